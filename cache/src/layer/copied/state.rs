//! The state of a copied tree at one moment, by which is known later what nobody has touched. Unaware of what changed.
//!
//! As git does with its index: a file that was changed just before the look at it could be changed again in the same tick of the clock and look
//! the same, so only what is older than that tick can be known as untouched.

use std::collections::HashMap;

use rustix::time::{ClockId, clock_gettime};

use crate::CommitError;
use crate::layer::upper::{Stamp, UpperDir, UpperEntry};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct TreeState {
    stamps: HashMap<Box<[u8]>, Stamp>,
    /// The clock of file systems when the look began, in seconds and nanoseconds.
    began: (i64, u64),
}

impl TreeState {
    /// Looks at everything in a tree.
    pub(crate) fn look(tree: &UpperDir) -> Result<(Vec<UpperEntry>, Self), CommitError> {
        let clock = clock_gettime(ClockId::RealtimeCoarse);
        let began = (clock.tv_sec, clock.tv_nsec.unsigned_abs());
        let entries = tree.walk()?;
        let stamp = |entry: &UpperEntry| (entry.path.clone(), entry.stamp);
        let stamps = entries.iter().map(stamp).collect();
        Ok((entries, Self { stamps, began }))
    }

    /// The paths of everything that was there.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.stamps.keys().map(|path| &**path)
    }

    /// Whether nobody has touched it since.
    pub(crate) fn is_untouched(&self, entry: &UpperEntry) -> bool {
        self.stamps.get(&entry.path) == Some(&entry.stamp) && entry.stamp.changed < self.began
    }

    /// Whether it was there already, with other content perhaps.
    pub(crate) fn has_inode(&self, entry: &UpperEntry) -> bool {
        let stamp = self.stamps.get(&entry.path);
        stamp.is_some_and(|stamp| stamp.inode == entry.inode)
    }

    /// Whether it was there already, with the same time of its content.
    pub(crate) fn has_time(&self, entry: &UpperEntry) -> bool {
        let stamp = self.stamps.get(&entry.path);
        self.has_inode(entry) && stamp.is_some_and(|stamp| stamp.modified == entry.stamp.modified)
    }
}
