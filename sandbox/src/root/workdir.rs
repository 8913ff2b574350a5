//! The folder that a command starts in: an image may name one that it does not hold. Unaware of mounts.
//!
//! As in BuildKit's executor, what is missing is made before the run, mode 0755, owned by the command's user, and is part of what the run
//! leaves behind.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat, mkdirat};

use crate::RunSpec;
use crate::path::{Missing, make_missing, open_in_root};

/// Makes what is missing of `spec.cwd` in `root`, before anything is mounted in it.
pub fn make(root: BorrowedFd<'_>, spec: &RunSpec) -> io::Result<()> {
    let path = Path::new(&spec.cwd);
    match open_in_root(root, path, OFlags::PATH, Mode::empty(), spec.disabled) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_missing(root, path, &mut |missing| folder_of_user(missing, spec))
        }
        // Links in circles, or a file: the error comes when the folder is entered.
        _ => Ok(()),
    }
}

fn folder_of_user(missing: &Missing<'_>, spec: &RunSpec) -> io::Result<()> {
    mkdirat(missing.folder, missing.name, Mode::from_raw_mode(0o755))?;
    if (spec.uid, spec.gid) == (0, 0) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(spec.uid), Gid::from_raw(spec.gid));
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(chownat(
        missing.folder,
        missing.name,
        Some(uid),
        Some(gid),
        flags,
    )?)
}
