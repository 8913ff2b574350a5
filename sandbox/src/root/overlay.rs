//! Mounts overlays as file descriptors: nothing appears in the mount table, and closing the descriptor unmounts.
//! Unaware of what the folders hold.
//!
//! Options, and why: `volatile` (no sync of the upper file system, on unmount or for a program that asks: a build that loses power is built
//! again) unless the changes are to be kept,
//! `userxattr` in a user namespace (without it the mount works and removing a lower folder fails with EIO),
//! `redirect_dir=nofollow`, `metacopy=off`, `index=off`, `xino=off` (an upper stays a plain tree that can be packed, and a
//! hostile layer cannot point elsewhere); `nodev` (a run may make device nodes but not open them).
//!
//! After the unmount the upper folder is plain: changed files, character devices 0:0 for removed ones, and the xattrs
//! `{trusted,user}.overlay.*`. `volatile` leaves `incompat/volatile` in the work folder, which the kernel takes as "do not
//! mount again"; mounting the same pair again removes it, since the caller that passes an upper vouches for it.

pub(crate) mod fsopen;
mod mount2;
mod options;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::root::RootMount;
use crate::root::detached::{self, NO_DEV, READ_ONLY};
use crate::{Disabled, Feature, MountError};

/// How many lowers the kernel takes (`OVL_MAX_STACK`).
pub const MAX_LOWERS: usize = 500;

/// What to merge.
#[derive(Debug, Clone, Copy)]
pub struct OverlaySpec<'a> {
    /// Folders that are only read, the top one first. May be empty.
    pub lowers: &'a [PathBuf],
    /// The folder that takes changes, and an empty folder on the same file system for the kernel's use. Without them
    /// the mount is read-only. If there are no lowers, an empty one is made beside the work folder, with `.lower` added to its name.
    pub upper: Option<(&'a Path, &'a Path)>,
    /// Whether the process is in a user namespace ([`Entered::rootless`](crate::Entered::rootless)).
    pub rootless: bool,
    /// Whether what is changed is to survive a power failure, as far as the command takes care of that.
    pub keeps: bool,
}

/// Mounts an overlay. One lower without an upper is a read-only view of that folder; no lower and no upper is an empty folder.
///
/// # Errors
/// With the step and folder that failed, and what the kernel said.
pub fn mount_overlay(spec: &OverlaySpec<'_>, disabled: Disabled) -> Result<RootMount, MountError> {
    let (mut spec, limit) = (*spec, MAX_LOWERS);
    let lowers = spec.lowers.len();
    if lowers > limit {
        return Err(MountError::TooMany { lowers, limit });
    }
    let Some((upper, work)) = spec.upper else {
        return Ok(RootMount::new(view(&spec, disabled)?, None));
    };
    let beside = [work.with_added_extension("lower")];
    if spec.lowers.is_empty() {
        make_folder(&beside[0])?;
        spec.lowers = &beside;
    }
    forget_volatile(work)?;
    let folder = detached::open_folder(upper)?;
    Ok(RootMount::new(merge(&spec, disabled)?, Some(folder)))
}

/// Lowers without an upper, read-only.
fn view(spec: &OverlaySpec<'_>, disabled: Disabled) -> Result<OwnedFd, MountError> {
    match spec.lowers {
        [] => detached::filesystem("tmpfs", &[("mode", "0755")], NO_DEV | READ_ONLY)
            .map_err(MountError::step("mount a tmpfs", None, None)),
        // An overlay needs two folders.
        [lower] => detached::copy_of_host(lower, false, NO_DEV | READ_ONLY)
            .map_err(MountError::step("open_tree", Some(lower), None)),
        _ => merge(spec, disabled),
    }
}

fn merge(spec: &OverlaySpec<'_>, disabled: Disabled) -> Result<OwnedFd, MountError> {
    if disabled.has(Feature::LowerdirAppend) {
        return mount2::merge(spec);
    }
    let answer = fsopen::merge(spec);
    if let Err(MountError::Step { step, source, .. }) = &answer
        && let (fsopen::APPEND, Some(libc::EINVAL)) | (fsopen::OPEN, Some(libc::ENOSYS)) =
            (*step, source.raw_os_error())
    {
        return mount2::merge(spec);
    }
    answer
}

fn make_folder(folder: &Path) -> Result<(), MountError> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(MountError::step("mkdir", Some(folder), None)),
    }
}

fn forget_volatile(work: &Path) -> Result<(), MountError> {
    let mark = work.join("work/incompat/volatile");
    match fs::remove_dir_all(&mark) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(MountError::step("remove", Some(&mark), None)),
    }
}
