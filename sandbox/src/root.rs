//! The root file system of a run and everything that is mounted in it. Unaware of the process that runs there.
//!
//! A root is mounted as a file descriptor ([`mount_overlay`], [`mount_folder`]); [`system`] and [`mounts`] add to it, [`change`]
//! makes it the root of a mount namespace. [`stubs`] and [`workdir`] make the folders that an image lacks.

pub(crate) mod cgroups;
pub(crate) mod change;
pub(crate) mod changes;
pub(crate) mod detached;
pub(crate) mod devices;
mod files;
mod mask;
pub(crate) mod memory;
pub(crate) mod mounts;
pub(crate) mod overlay;
pub(crate) mod planted;
pub(crate) mod stubs;
pub(crate) mod system;
pub(crate) mod workdir;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::MountError;
use detached::NO_DEV;

/// A mounted root file system that is in no mount table; dropping it unmounts. It serves one [`run`](crate::run).
#[derive(Debug)]
pub struct RootMount {
    fd: OwnedFd,
    upper: Option<OwnedFd>,
    aside: Option<OwnedFd>,
    used: AtomicBool,
}

impl AsFd for RootMount {
    /// Its root folder: the caller may read and write below it, before and after a run.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl RootMount {
    pub(crate) fn new(fd: OwnedFd, upper: Option<OwnedFd>) -> Self {
        Self {
            fd,
            upper,
            aside: None,
            used: AtomicBool::new(false),
        }
    }

    /// The folder that takes its changes.
    pub(crate) fn upper(&self) -> Option<BorrowedFd<'_>> {
        self.upper.as_ref().map(AsFd::as_fd)
    }

    /// The folder for what stands in the way of its mounts, where nothing is mounted.
    pub(crate) fn aside(&self) -> Option<BorrowedFd<'_>> {
        self.aside.as_ref().map(AsFd::as_fd)
    }

    /// Takes its one use: a detached mount can be attached only once, and before Linux 6.15 it cannot be copied.
    pub(crate) fn take(&self) -> bool {
        !self.used.swap(true, Ordering::Relaxed)
    }
}

/// Shows a folder that belongs to the caller alone, writable: all changes are made in it.
///
/// # Errors
/// When the kernel refuses.
pub fn mount_folder(folder: &Path) -> Result<RootMount, MountError> {
    let view = detached::copy_of_host(folder, false, NO_DEV);
    let view = view.map_err(MountError::step("open_tree", Some(folder), None))?;
    Ok(RootMount::new(view, Some(detached::open_folder(folder)?)))
}

/// A folder that belongs to the caller alone as the root of a run without namespaces: nothing is mounted. What belongs in its place is moved
/// there, and what stood there is moved to `aside`, an empty folder on the same file system, until the run is over.
///
/// # Errors
/// When one cannot be opened.
pub fn plain_folder(folder: &Path, aside: &Path) -> Result<RootMount, MountError> {
    let mut root = RootMount::new(detached::open_folder(folder)?, None);
    root.aside = Some(detached::open_folder(aside)?);
    Ok(root)
}
