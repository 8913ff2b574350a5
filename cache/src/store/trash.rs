//! The trash: removal is a rename, and the slow part is done when there is time.
//!
//! Trees in it come from RUN steps: their directories may have any mode and any depth. So nothing is resolved by path, modes
//! are opened up where they are in the way, and what lies deep is first renamed to the top of the trash: neither the stack nor
//! the number of open files depends on what is removed.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, chmodat, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::beneath::open_root;
use crate::listing::names;
use crate::store::folders::check_parent;
use crate::store::lease::random;
use crate::{StoreError, Trash};

/// The folder.
const TRASH: &str = "trash";
/// Deeper directories are moved to the top of the trash before they are emptied.
const MAX_DEPTH: usize = 32;

impl Trash<'_> {
    /// Moves `path` into the trash; nothing happens when it is not there.
    pub(crate) fn put(&self, path: &Path) -> Result<(), StoreError> {
        put(self.store.root(), path)
    }

    /// The same for what may hold files of user ids that this process does not have; `false` when it stays, for a process that has
    /// them.
    pub(crate) fn try_put(&self, path: &Path) -> Result<bool, StoreError> {
        match self.put(path) {
            Ok(()) => Ok(true),
            Err(StoreError::Io { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                // a directory that its own owner may not write to cannot be moved either
                let _ = rustix::fs::chmod(path, Mode::RWXU);
                Ok(self.put(path).is_ok())
            }
            Err(error) => Err(error),
        }
    }

    /// Empties the trash. Several processes may do it at once. What belongs to user ids that this process does not have stays for one
    /// that has them.
    pub(crate) fn empty(&self) -> Result<(), StoreError> {
        empty(self.store.root())
    }
}

/// As [`Trash::put`], for a store that is not open.
pub(super) fn put(root: &Path, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("move to the trash", path, source);
    let target = root.join(TRASH).join(unique().map_err(failed)?);
    check_parent(path).map_err(failed)?;
    match std::fs::rename(path, target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

/// As [`Trash::empty`], for a store that is not open.
pub(super) fn empty(root: &Path) -> Result<(), StoreError> {
    let path = root.join(TRASH);
    let failed = |source: io::Error| StoreError::io("empty", &path, source);
    let mut foreign = HashSet::new();
    // emptying may move deep directories to the top: look again until there is nothing
    loop {
        let trash = open_root(&path).map_err(failed)?;
        let mut found = names(trash.as_fd()).map_err(failed)?;
        found.retain(|(name, _)| !foreign.contains(name));
        if found.is_empty() {
            return Ok(());
        }
        for (name, kind) in found {
            match remove(trash.as_fd(), trash.as_fd(), &name, kind, 0) {
                Err(Errno::ACCESS | Errno::PERM) => {
                    foreign.insert(name);
                }
                outcome => outcome.map_err(|errno| failed(errno.into()))?,
            }
        }
    }
}

fn remove(
    trash: BorrowedFd<'_>,
    at: BorrowedFd<'_>,
    name: &[u8],
    kind: FileType,
    depth: usize,
) -> Result<(), Errno> {
    if kind != FileType::Directory {
        match gone_is_fine(unlinkat(at, name, AtFlags::empty())) {
            // the type was unknown or has changed
            Err(Errno::ISDIR) => {}
            outcome => return outcome,
        }
    }
    if depth == MAX_DEPTH {
        let top = format!("deep-{}", unique().map_err(|_| Errno::IO)?);
        let _ = chmodat(at, name, Mode::RWXU, AtFlags::empty());
        return gone_is_fine(renameat(at, name, trash, top));
    }
    let directory = match open_to_empty(at, name) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    let errno = |error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let children = match names(directory.as_fd()).map_err(errno) {
        Err(Errno::NOENT) => return Ok(()),
        children => children?,
    };
    for (child, kind) in children {
        remove(trash, directory.as_fd(), &child, kind, depth + 1)?;
    }
    match unlinkat(at, name, AtFlags::REMOVEDIR) {
        // names that were passed over while another process removed others: the next look finds them
        Err(Errno::NOTEMPTY) => Ok(()),
        removed => gone_is_fine(removed),
    }
}

/// Opens a directory so that it can be read and emptied, whatever its mode.
fn open_to_empty(at: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(at, name, flags, Mode::empty());
    match &opened {
        Ok(directory) => {
            let mode = Mode::from_raw_mode(rustix::fs::fstat(directory)?.st_mode);
            if mode.contains(Mode::RWXU) {
                return opened;
            }
        }
        Err(Errno::ACCESS) => {}
        Err(_) => return opened,
    }
    chmodat(at, name, Mode::RWXU, AtFlags::empty())?;
    openat(at, name, flags, Mode::empty())
}

/// A name that nothing in the trash has.
fn unique() -> io::Result<String> {
    Ok(format!("{:08x}{:08x}", random()?, random()?))
}

/// Another process may empty the trash too.
fn gone_is_fine(outcome: Result<(), Errno>) -> Result<(), Errno> {
    match outcome {
        Err(Errno::NOENT) => Ok(()),
        outcome => outcome,
    }
}
