//! The folder that a command starts in: an image may name one that it does not hold. Unaware of mounts.
//!
//! As BuildKit's executor does it: what is missing is made before the run, mode 0755, owned by the command's user, and is part of
//! what the run leaves behind.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat, mkdirat};

use crate::RunSpec;
use crate::path::{Links, find_place, open_in_root};

/// Makes what is missing of `spec.cwd` in `root`, whose mounts are not there yet.
pub fn make(root: BorrowedFd<'_>, spec: &RunSpec) -> io::Result<()> {
    let path = Path::new(&spec.cwd);
    match open_in_root(root, path, OFlags::PATH, Mode::empty(), spec.disabled) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // Links in circles, or a file: entering the folder tells.
        _ => return Ok(()),
    }
    let place = find_place(root, path, Links::All, &mut |folder, names| {
        folder_of_user(
            folder,
            names.last().map_or(OsStr::new("."), |name| name),
            spec,
        )
    })?;
    match place.name {
        None => Ok(()),
        Some(name) => {
            let folder = place.folder.as_ref().map_or(root, AsFd::as_fd);
            folder_of_user(folder, &name, spec)
        }
    }
}

fn folder_of_user(folder: BorrowedFd<'_>, name: &OsStr, spec: &RunSpec) -> io::Result<()> {
    mkdirat(folder, name, Mode::from_raw_mode(0o755))?;
    if (spec.uid, spec.gid) == (0, 0) {
        return Ok(());
    }
    let owner = (Uid::from_raw(spec.uid), Gid::from_raw(spec.gid));
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(chownat(folder, name, Some(owner.0), Some(owner.1), flags)?)
}
