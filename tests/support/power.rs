//! A disk whose power can be cut: an ext4 file system in a file, and copies of that file as a power cut would leave it. Unaware of
//! stores. Needs root and loop devices.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::SeekFrom;

/// Mounted as long as it lives.
#[derive(Debug)]
pub struct LoopDisk {
    image: PathBuf,
    folder: PathBuf,
}

const BLOCK: usize = 64 << 10;

impl LoopDisk {
    /// Makes and mounts one; its journal commits each second, so that moments differ.
    ///
    /// # Errors
    /// Why that is impossible here.
    pub fn new(image: &Path, folder: &Path, bytes: u64) -> Result<Self, String> {
        File::create(image).unwrap().set_len(bytes).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image))?;
        Self::mount(image.to_owned(), folder)
    }

    fn mount(image: PathBuf, folder: &Path) -> Result<Self, String> {
        fs::create_dir_all(folder).unwrap();
        let options = ["-t", "ext4", "-o", "loop,commit=1"];
        run(Command::new("mount").args(options).arg(&image).arg(folder))?;
        Ok(Self {
            image,
            folder: folder.to_owned(),
        })
    }

    /// Where it is mounted.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is on the disk at one moment: a copy in which a whole pass found nothing to mend. Each block was the same then from the end of the
    /// pass before to its begin.
    pub fn cut(&self, image: &Path) {
        let mut copy = File::create_new(image).unwrap();
        let length = fs::metadata(&self.image).unwrap().len();
        copy.set_len(length).unwrap();
        let passes = (0..10_000).take_while(|_| self.mends(&mut copy)).count();
        assert!(passes < 10_000, "the disk never holds still");
    }

    /// Brings a copy up to date; whether there was anything to do.
    fn mends(&self, copy: &mut File) -> bool {
        let disk = File::open(&self.image).unwrap();
        let (mut here, mut there) = (vec![0; BLOCK], vec![0; BLOCK]);
        let (mut at, mut is_mended) = (0, false);
        // holes are those of the copy too: a disk only grows
        while let Ok(data) = rustix::fs::seek(&disk, SeekFrom::Data(at)) {
            at = data - data % BLOCK as u64;
            let count = disk.read_at(&mut here, at).unwrap();
            copy.read_exact_at(&mut there[..count], at).unwrap();
            if here[..count] != there[..count] {
                copy.write_all_at(&here[..count], at).unwrap();
                is_mended = true;
            }
            at += count as u64;
        }
        is_mended
    }

    /// Mounts what [`LoopDisk::cut`] left.
    ///
    /// # Panics
    /// It cannot be mounted.
    pub fn revived(image: &Path, folder: &Path) -> Self {
        Self::mount(image.to_owned(), folder).unwrap()
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    ))
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // a process that still looks at it keeps it until it ends
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}
