//! A folder in memory for the changes of runs, used when the store's file system cannot hold the upper folder of an overlay.
//! Unaware of overlays.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, fstatvfs, setxattr};
use rustix::mount::{UnmountFlags, unmount};
use std::os::fd::OwnedFd;

use crate::cgroup::memory_limit;
use crate::root::detached::{self, NO_DEV};

/// One folder may take this part of the memory that there is.
const PART: u64 = 4;
/// The average size of a file for which the folder has enough inodes. They take memory that is not counted as the folder's.
const BYTES_PER_INODE: u64 = 4096;
/// A folder counts as full when less than this part is free.
const LEFT: u64 = 16;

/// A file system in memory, mounted on a folder of this process's mount namespace. Dropping it unmounts; files that are still in use stay
/// until their last user is gone.
#[derive(Debug)]
pub struct MemoryFolder {
    path: PathBuf,
    mount: OwnedFd,
}

/// How many bytes a [`MemoryFolder`] may hold here: a quarter of what the cgroup or the machine allows.
#[must_use]
pub fn memory_for_changes() -> u64 {
    memory_limit() / PART
}

impl MemoryFolder {
    /// Mounts one on `path`, an empty folder. The process has entered its namespaces ([`enter`](crate::enter)).
    ///
    /// # Errors
    /// It cannot be mounted, or has no extended attributes for users (before Linux 6.6) and `rootless` overlays need them.
    pub fn mount(path: &Path, size: u64, rootless: bool) -> io::Result<Self> {
        let (bytes, inodes) = (size.to_string(), (size / BYTES_PER_INODE).to_string());
        let options = [("mode", "0700"), ("size", &*bytes), ("nr_inodes", &*inodes)];
        let mount = detached::filesystem("tmpfs", &options, NO_DEV)?;
        detached::attach_at(&mount, path)?;
        let folder = Self {
            path: path.to_owned(),
            mount,
        };
        if rootless {
            setxattr(path, "user.kiln", b"", XattrFlags::empty())?;
        }
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Another handle to look at it from another thread.
    ///
    /// # Errors
    /// Too many open files.
    pub fn gauge(&self) -> io::Result<MemoryGauge> {
        self.mount.try_clone().map(MemoryGauge)
    }
}

impl Drop for MemoryFolder {
    fn drop(&mut self) {
        // Else it goes with this process's mount namespace.
        let _ = unmount(&self.path, UnmountFlags::DETACH);
    }
}

/// Tells how full a [`MemoryFolder`] is.
#[derive(Debug)]
pub struct MemoryGauge(OwnedFd);

impl MemoryGauge {
    /// Whether hardly anything more fits in.
    #[must_use]
    pub fn is_full(&self) -> bool {
        fstatvfs(&self.0).is_ok_and(|stat| {
            stat.f_bfree < stat.f_blocks / LEFT || stat.f_ffree < stat.f_files / LEFT
        })
    }
}
