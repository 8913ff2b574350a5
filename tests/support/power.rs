//! A disk whose power can be cut: an ext4 file system in a file, and copies of that file as a power cut would leave it. Unaware of
//! stores. Needs root and loop devices.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Mounted as long as it lives.
#[derive(Debug)]
pub struct LoopDisk {
    image: PathBuf,
    folder: PathBuf,
}

const BLOCK: usize = 1 << 20;

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

    /// What is on the disk at one moment: a copy during and after which nothing was written.
    pub fn cut(&self, image: &Path) {
        let mut attempts = 0;
        while !self.copied_at_once(image) {
            attempts += 1;
            assert!(attempts < 1000, "the disk never holds still");
        }
    }

    /// Copies, then compares: where both agree, every block was the same from the copy's end to the comparison's begin.
    fn copied_at_once(&self, image: &Path) -> bool {
        fs::copy(&self.image, image).unwrap();
        let (mut one, mut other) = (File::open(&self.image).unwrap(), File::open(image).unwrap());
        let (mut here, mut there) = (vec![0; BLOCK], vec![0; BLOCK]);
        loop {
            let count = one.read(&mut here).unwrap();
            other.read_exact(&mut there[..count]).unwrap();
            if count == 0 || here[..count] != there[..count] {
                return count == 0;
            }
        }
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
