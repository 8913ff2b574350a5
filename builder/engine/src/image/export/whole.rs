//! A file of an output folder that appears whole: it has no name while it is written, so a process that is killed leaves nothing. Unaware of
//! what is in it.
//!
//! As `host/temporary.rs`, but below an opened folder, where no name can lead elsewhere. A file that replaces another one needs a temporary
//! name for a moment, and so does a file where the file system knows no `O_TMPFILE`; who writes to the folder next removes what stayed.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat, unlinkat};
use rustix::io::Errno;

/// The name of what has no name of its own yet.
pub(super) const TEMPORARY: &str = ".kiln-output.part";

/// The file, and whether it has the temporary name.
pub(super) struct Whole {
    pub file: File,
    is_named: bool,
}

impl Whole {
    /// An empty file in `folder`, for the user only.
    ///
    /// # Errors
    /// None can be made there.
    pub fn new(folder: BorrowedFd<'_>) -> io::Result<Self> {
        let mode = Mode::from_raw_mode(0o600);
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let unnamed = openat(folder, ".", flags | OFlags::TMPFILE, mode);
        let (file, is_named) = match unnamed {
            Ok(file) => (file, false),
            Err(_) => {
                let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                (openat(folder, TEMPORARY, flags, mode)?, true)
            }
        };
        Ok(Self {
            file: file.into(),
            is_named,
        })
    }

    /// Gives it its name in `folder`, if nothing has that; else the temporary one, and the caller renames it. Whether it must.
    ///
    /// # Errors
    /// It cannot be linked.
    pub fn link(&self, folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<bool> {
        if self.is_named {
            return Ok(true);
        }
        let way = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        match linkat(CWD, &way, folder, name, AtFlags::SYMLINK_FOLLOW) {
            Err(Errno::EXIST) => {}
            linked => return linked.map(|()| false).map_err(io::Error::from),
        }
        linkat(CWD, &way, folder, TEMPORARY, AtFlags::SYMLINK_FOLLOW)?;
        Ok(true)
    }
}

/// Removes what a process that was killed has left in `folder`.
pub(super) fn remove_left(folder: BorrowedFd<'_>) {
    // there is seldom anything
    let _ = unlinkat(folder, TEMPORARY, AtFlags::empty());
}
