//! A file system in memory that is small enough to become full. Unaware of stores.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Mounted as long as it lives.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts one of this size.
    ///
    /// # Errors
    /// Why that is impossible: only root mounts.
    pub fn mount(folder: &Path, bytes: u64) -> Result<Self, String> {
        fs::create_dir(folder).unwrap();
        let options = std::ffi::CString::new(format!("size={bytes},mode=0755")).unwrap();
        let options: &CStr = &options;
        mount("tmpfs", folder, "tmpfs", MountFlags::empty(), options)
            .map_err(|error| format!("mount a tmpfs: {error}"))?;
        Ok(Disk {
            folder: folder.to_owned(),
        })
    }

    /// Mounts an overlay whose folders are beside it, as a container's root is one.
    ///
    /// # Errors
    /// Why that is impossible: only root mounts.
    pub fn overlay(folder: &Path) -> Result<Self, String> {
        let beside = |name: &str| folder.with_extension(name);
        let parts = ["lower", "upper", "work"].map(beside);
        for part in parts.iter().map(PathBuf::as_path).chain([folder]) {
            fs::create_dir(part).unwrap();
        }
        let [lower, upper, work] = parts.map(|part| part.display().to_string());
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        let options = std::ffi::CString::new(options).unwrap();
        mount("overlay", folder, "overlay", MountFlags::empty(), &*options)
            .map_err(|error| format!("mount an overlay: {error}"))?;
        Ok(Disk {
            folder: folder.to_owned(),
        })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Takes space until only this many bytes are free.
    pub fn leave(&self, bytes: u64) {
        let free = rustix::fs::statvfs(&self.folder).unwrap();
        let taken = (free.f_bavail * free.f_frsize).saturating_sub(bytes);
        let mut filler = File::create(self.filler()).unwrap();
        let block = vec![1; 4096];
        for _ in 0..taken / 4096 {
            filler.write_all(&block).unwrap();
        }
    }

    /// Gives back what [`Disk::leave`] took.
    pub fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A process that still looks at it keeps it until it ends.
        let _ = unmount(&self.folder, UnmountFlags::DETACH);
    }
}
