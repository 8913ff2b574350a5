//! The root file system of a run and everything that is mounted in it. Unaware of the process that runs there.
//!
//! A root is mounted as a file descriptor ([`mount_overlay`], [`mount_folder`]); [`system`] and [`mounts`] add to it, [`change`]
//! makes it the root of a mount namespace. [`stubs`] and [`workdir`] make the folders that an image lacks.

pub(crate) mod cgroups;
pub(crate) mod change;
pub(crate) mod changes;
pub(crate) mod detached;
mod devices;
mod files;
mod mask;
pub(crate) mod memory;
pub(crate) mod mounts;
pub(crate) mod overlay;
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
            used: AtomicBool::new(false),
        }
    }

    /// The folder that takes its changes.
    pub(crate) fn upper(&self) -> Option<BorrowedFd<'_>> {
        self.upper.as_ref().map(AsFd::as_fd)
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
