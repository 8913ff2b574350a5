//! Room on a full disk. To remove something, the database needs some itself: for its log, and for what its processes share. So what is
//! worth nothing goes first, without it: the trash, what dead processes have left, and at last a file that a store keeps for this moment.
//! Unaware of what else is worth how much.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use crate::error::is_full;
use crate::inventory::list;
use crate::store::folders::private;
use crate::store::lock::lock_file;
use crate::store::{open, trash};
use crate::{Garbage, LayerError, OpenOptions, Store, StoreError};

/// The file that holds room.
pub(crate) const BALLAST: &str = "ballast";
/// Its size: enough for the log of removing some thousand things.
const SIZE: u64 = 4 << 20;
/// It is made only where it takes this part of what is free.
const PART: u64 = 16;

impl Store {
    /// Opens a store to remove something from it: on a full disk, room for that is made first.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_to_remove(options: OpenOptions) -> Result<Self, StoreError> {
        let root = &options.root;
        if free(root).is_some_and(|free| free < SIZE)
            && open::prepare(root, true, &options.waiter).is_ok()
        {
            make_room(root)?;
        }
        Self::open(options)
    }
}

impl Garbage<'_> {
    /// Takes back what a removal on a full disk may have needed.
    pub fn hold_room(&self) {
        hold(self.store.root());
    }
}

impl StoreError {
    /// Whether there was no room on the disk.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::NoSpace { .. } => true,
            Self::Io { source, .. } => is_full(source),
            Self::Layer(error) => error.is_full(),
            _ => false,
        }
    }
}

impl LayerError {
    /// Whether there was no room on the disk.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Write { source, .. } if is_full(source))
    }
}

pub(crate) fn make_room(root: &Path) -> Result<(), StoreError> {
    trash::empty_now(root)?;
    if free(root).is_some_and(|free| free < SIZE) {
        // the rest works only when there is some room
        let _ = std::fs::remove_file(root.join(BALLAST));
    }
    let leases = root.join("leases");
    for entry in list(&leases)? {
        let lock = leases.join(entry.file_name()).with_extension("lock");
        if entry.path() == lock {
            continue;
        }
        // where no lock can be made, the next process throws it away
        if let Ok(Some(_dead)) = lock_file(&lock) {
            trash::put(root, &entry.path())?;
        }
    }
    trash::empty_now(root)
}

/// Makes the file, if there is enough room; a store works without.
pub(crate) fn hold(root: &Path) {
    let path = root.join(BALLAST);
    let is_room = free(root).is_some_and(|free| free / PART >= SIZE);
    if !is_room || path.symlink_metadata().is_ok_and(|held| held.len() == SIZE) {
        return;
    }
    let filled = private(&path).and_then(|file: File| {
        let filled = fallocate(&file, FallocateFlags::empty(), 0, SIZE);
        filled.map_err(io::Error::from)
    });
    if filled.is_err() {
        let _ = std::fs::remove_file(&path);
    }
}

/// Bytes that this user can still write to the disk.
fn free(root: &Path) -> Option<u64> {
    let disk = statvfs(root).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
