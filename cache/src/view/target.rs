//! How entries become files where a view is made: owners, modes, times, attributes, and the marks of overlayfs. Unaware of where their
//! content comes from.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{
    Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, fchmod, fchown, fsetxattr, futimens,
};
use rustix::io::Errno;

use crate::Entry;

/// Where a view is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Overlayfs will be mounted with `userxattr`.
    pub(crate) rootless: bool,
    /// There is one id: files keep the owner that they are made with.
    pub(crate) keep_owners: bool,
    /// Overlayfs's marks are set.
    pub(crate) is_lower: bool,
}

impl Target {
    /// The same for a tree that is no lower of an overlay.
    pub(crate) fn unmarked(self) -> Self {
        Self {
            is_lower: false,
            ..self
        }
    }

    /// What marks a directory that hides what is below (`y`), or that holds whiteouts which are files (`x`).
    pub(super) fn opaque(self) -> &'static str {
        if self.rootless {
            "user.overlay.opaque"
        } else {
            "trusted.overlay.opaque"
        }
    }

    /// What marks a whiteout that is a file.
    pub(super) fn whiteout(self) -> &'static str {
        if self.rootless {
            "user.overlay.whiteout"
        } else {
            "trusted.overlay.whiteout"
        }
    }

    /// Gives an open file or directory the entry's owner, mode, attributes and time, in the order that keeps them: chown(2) clears
    /// setuid bits and capabilities.
    pub(crate) fn apply(self, file: BorrowedFd<'_>, entry: &Entry) -> io::Result<()> {
        if !self.keep_owners && (entry.uid, entry.gid) != (0, 0) {
            fchown(
                file,
                Some(Uid::from_raw(entry.uid)),
                Some(Gid::from_raw(entry.gid)),
            )?;
        }
        fchmod(file, Mode::from_raw_mode(entry.mode))?;
        for (name, value) in &entry.xattrs {
            match fsetxattr(file, &**name, value, XattrFlags::empty()) {
                // a file system without them, or a namespace that may not give capabilities: the index still has them
                Err(Errno::NOTSUP | Errno::PERM) => {
                    tracing::warn!(path = %crate::path::display(&entry.path), "an extended attribute cannot be set here")
                }
                outcome => outcome?,
            }
        }
        Ok(futimens(file, &times(entry.mtime))?)
    }
}

/// Times of a file that has been changed last at `mtime`.
pub(super) fn times(mtime: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime,
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
