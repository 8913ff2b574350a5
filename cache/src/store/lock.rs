//! Locks that go away with the process that holds them: flock(2) on files that are removed by the last process that holds them.
//!
//! A lock file may be removed after a process has opened it and before it has locked it. So the name is compared afterwards with what
//! was locked.

use std::fs::{File, TryLockError};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use kiln_oci::Digest;
use rustix::fs::OFlags;

use crate::store::waiting::{Wait, Waiter};
use crate::{Leases, StoreError};

/// A file that is locked until this is dropped. It is unlocked in so many words: a process that was forked meanwhile, and is not yet
/// another program, has the same open file, and the lock would live as long as it does (flock(2)).
#[derive(Debug)]
pub(crate) struct Held(File);

impl Held {
    /// Locks it against all others; `None` when somebody has it.
    pub(crate) fn exclusive(file: File) -> io::Result<Option<Self>> {
        let locked = file.try_lock();
        Self::unless_busy(file, locked)
    }

    /// Locks it against those who want it for themselves; `None` when one of them has it.
    pub(crate) fn shared(file: File) -> io::Result<Option<Self>> {
        let locked = file.try_lock_shared();
        Self::unless_busy(file, locked)
    }

    fn unless_busy(file: File, locked: Result<(), TryLockError>) -> io::Result<Option<Self>> {
        match locked {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Deref for Held {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// A locked file; unlocked and removed when dropped.
#[derive(Debug)]
pub(crate) struct LockedFile {
    path: PathBuf,
    _file: Held,
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // before the unlock, so that nobody else can hold it under this name; a leftover file does no harm
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Locks the file at `path`, which is made if it does not exist; `None` when another process or thread holds it.
pub(crate) fn lock_file(path: &Path) -> io::Result<Option<LockedFile>> {
    loop {
        let file = match open(path) {
            // kiln makes no such thing
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                std::fs::remove_dir_all(path)?;
                continue;
            }
            opened => opened?,
        };
        let Some(file) = Held::exclusive(file)? else {
            return Ok(None);
        };
        if is_at(&file, path)? {
            return Ok(Some(LockedFile {
                path: path.to_owned(),
                _file: file,
            }));
        }
    }
}

/// The same, waited for: meanwhile its holder does `what`.
pub(crate) fn wait_for_file(
    path: &Path,
    waiter: &dyn Waiter,
    what: &str,
) -> Result<LockedFile, StoreError> {
    let mut wait = Wait::begin();
    loop {
        let locked = lock_file(path).map_err(|source| StoreError::io("lock", path, source))?;
        match locked {
            Some(locked) => return Ok(locked),
            None => wait.pause_or_stop(waiter, what)?,
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let options = options.create(true).truncate(false).read(true).write(true);
    let options = options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options.open(path)
}

/// Whether the lock at `path` is held; does not make it.
pub(crate) fn is_locked(path: &Path) -> io::Result<bool> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
        Ok(file) => Ok(Held::shared(file)?.is_none()),
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let locked = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (locked.dev(), locked.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Held while one thread of one process makes the result of a key; released when dropped.
#[derive(Debug)]
pub struct KeyLock {
    _lock: LockedFile,
}

impl Leases<'_> {
    /// Waits until this thread may make the result of `key`, which another one makes by doing `what`.
    ///
    /// # Errors
    /// The lock file cannot be made, or the caller is stopped.
    pub fn lock(&self, key: &Digest, what: &str) -> Result<KeyLock, StoreError> {
        let path = self.path(key)?;
        let lock = wait_for_file(&path, self.store.waiter(), what)?;
        Ok(KeyLock { _lock: lock })
    }

    /// As [`Leases::lock`], but `None` when another thread or process makes it now.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn try_lock(&self, key: &Digest) -> Result<Option<KeyLock>, StoreError> {
        let path = self.path(key)?;
        let lock = lock_file(&path).map_err(|source| StoreError::io("lock", &path, source))?;
        Ok(lock.map(|lock| KeyLock { _lock: lock }))
    }

    fn path(&self, key: &Digest) -> Result<PathBuf, StoreError> {
        self.store.writable()?;
        Ok(self.store.root().join("locks").join(key.hex()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forked_process_keeps_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        for is_exclusive in [true, false] {
            let file = open(&path).unwrap();
            // the same open file, as a fork has it
            let _forked = file.try_clone().unwrap();
            let held = match is_exclusive {
                true => Held::exclusive(file),
                false => Held::shared(file),
            };
            assert_eq!(is_locked(&path).unwrap(), is_exclusive);
            assert!(lock_file(&path).unwrap().is_none());
            drop(held);
            assert!(lock_file(&path).unwrap().is_some());
        }
    }
}
