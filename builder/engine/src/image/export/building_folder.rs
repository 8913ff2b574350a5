//! A folder beside the destination, in which an output is made before it gets its name. A process that is killed leaves it; the next one that
//! makes an output there removes it. Unaware of what is in it.
//!
//! Each process holds a lock on its folder, so that only those of the dead are taken.

use crate::failure::ExportError;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open, stat};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// What names begin with; six letters and digits follow.
const PREFIX: &str = ".kiln-output-";
const LETTERS: usize = 6;

/// The folder; it goes when this is dropped, unless it was moved away.
pub(super) struct BuildingFolder {
    pub folder: TempDir,
    /// Others see by it that somebody is at work.
    _lock: OwnedFd,
}

impl BuildingFolder {
    /// Makes one in `parent`, and removes what others have left there.
    ///
    /// # Errors
    /// None can be made there.
    pub fn beside(parent: &Path) -> Result<Self, ExportError> {
        remove_left(parent);
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX).rand_bytes(LETTERS);
        builder.permissions(std::fs::Permissions::from_mode(0o755));
        loop {
            let folder = builder.tempdir_in(parent);
            let folder = folder.map_err(ExportError::io("make a folder in", parent))?;
            let locked = lock(folder.path());
            // somebody may have taken it for a dead one before it was locked
            if let Some(lock) = locked.map_err(ExportError::io("lock", folder.path()))? {
                return Ok(Self {
                    folder,
                    _lock: lock,
                });
            }
        }
    }
}

/// Locks a folder; none if somebody else holds it, or if it is gone.
fn lock(path: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match open(path, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        opened => opened?,
    };
    match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(None),
        locked => locked?,
    }
    let (held, named) = (fstat(&folder)?, stat(path));
    let is_there =
        named.is_ok_and(|named| (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino));
    Ok(is_there.then_some(folder))
}

/// What cannot be removed may be another user's; it does not matter here.
fn remove_left(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if is_ours(entry.file_name().as_bytes())
            && let Ok(Some(_lock)) = lock(&entry.path())
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn is_ours(name: &[u8]) -> bool {
    let letters = name.strip_prefix(PREFIX.as_bytes());
    letters.is_some_and(|letters| {
        letters.len() == LETTERS && letters.iter().all(u8::is_ascii_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_dead_left_goes() {
        let parent = tempfile::tempdir().unwrap();
        let dead = parent.path().join(".kiln-output-aB3dE6");
        std::fs::create_dir_all(dead.join("blobs")).unwrap();
        for other in [
            ".kiln-output-of-mine",
            ".kiln-output-abcdeé",
            "kiln-output-aB3dE7",
        ] {
            std::fs::create_dir(parent.path().join(other)).unwrap();
        }
        let alive = BuildingFolder::beside(parent.path()).unwrap();
        assert!(!dead.exists());
        let next = BuildingFolder::beside(parent.path()).unwrap();
        assert!(alive.folder.path().exists() && next.folder.path().exists());
        drop((alive, next));
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 3);
    }
}
