//! A folder in memory for what runs change, where the store's file system cannot hold the upper folder of an overlay. Unaware of
//! overlays.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, XattrFlags, fstatvfs, setxattr};
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};
use std::os::fd::OwnedFd;

use crate::cgroup::memory_limit;
use crate::detached::{self, NO_DEV};

/// Of the memory that there is, the part that one folder may take.
const PART: u64 = 4;
/// A file of this size on average fits the folder's inodes, which take memory that is not counted as its own.
const BYTES_PER_INODE: u64 = 4096;
/// A folder counts as full when less than this part is free.
const LEFT: u64 = 16;

/// A file system in memory, mounted on a folder of this process's mount namespace. Dropping it unmounts; what is still used goes with its
/// last user.
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
        move_mount(
            &mount,
            "",
            CWD,
            path,
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )?;
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
