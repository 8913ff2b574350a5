//! What a store may hold: it keeps to a budget by itself, when a process has nothing else to do, and before the disk is full.
//! Unaware of what goes first (`prune/order.rs`).
//!
//! Three numbers decide, by BuildKit's names. The store holds at most *max-used-space*. It holds less while fewer than
//! *min-free-space* bytes of the disk are free, whoever takes them. However much images and other programs take, it keeps
//! *reserved-space* bytes of what neither a name nor a process needs: a build that throws away what the next one needs helps nobody.
//!
//! Without anything said, these are a quarter of the file system, but at least 2 GB; a tenth of it; and a tenth of the first.
//!
//! Whether there is something to do is known from sums that the database keeps (`store/totals.rs`), not from the files. The store is
//! cut back to nine tenths of what it may hold when it holds more than nineteen twentieths, so that not every build has work. Where
//! all that is left is needed, it is left in peace until it has grown by a twentieth, or for ten minutes.

use std::path::Path;

use kiln_oci::Digest;

use crate::store::room;
use crate::store::totals::Totals;
use crate::{Garbage, PruneOptions, PruneReport, StoreError};

/// A number of bytes, or a part of the file system that the store is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Bytes.
    Bytes(u64),
    /// Hundredths of the file system.
    Percent(u8),
}

/// What a store may hold; a number that is not given is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// What it holds at most.
    pub max_used: Option<Space>,
    /// What is to be free on the disk.
    pub min_free: Option<Space>,
    /// What stays of that which could go.
    pub reserved: Option<Space>,
}

/// A file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Bytes in all.
    pub size: u64,
    /// Bytes that this user can still write.
    pub free: u64,
}

/// Nobody's store is cut back below this by default.
const SMALLEST: u64 = 2_000_000_000;
/// Seconds in which a store that could not be cut back is left in peace.
const PEACE: i64 = 600;

impl Space {
    /// As bytes.
    #[must_use]
    pub fn bytes(self, disk: Disk) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Percent(percent) => disk.size / 100 * u64::from(percent),
        }
    }
}

impl Disk {
    /// The one that a path is on, or will be on, unless it cannot be asked.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let mut disks = path.ancestors().map(rustix::fs::statvfs);
        let disk = disks.find_map(Result::ok)?;
        Some(Self {
            size: disk.f_blocks.saturating_mul(disk.f_frsize),
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
        })
    }
}

impl Budget {
    /// Bytes that the store holds at most.
    #[must_use]
    pub fn max_used(&self, disk: Disk) -> u64 {
        let default = || (disk.size / 4).max(SMALLEST);
        self.max_used
            .map_or_else(default, |space| space.bytes(disk))
    }

    /// Bytes that are to be free.
    #[must_use]
    pub fn min_free(&self, disk: Disk) -> u64 {
        self.min_free.unwrap_or(Space::Percent(10)).bytes(disk)
    }

    /// Bytes that stay of what could go.
    #[must_use]
    pub fn reserved(&self, disk: Disk) -> u64 {
        let default = || self.max_used(disk) / 10;
        self.reserved
            .map_or_else(default, |space| space.bytes(disk))
    }

    /// What a store that holds so much is to be cut back to, if it holds too much.
    fn excess(&self, totals: &Totals, disk: Disk, now: i64) -> Option<PruneOptions> {
        let (most, free) = (self.max_used(disk), self.min_free(disk));
        let is_too_much = totals.held > most - most / 20 || disk.free < free;
        let grown = totals.held > totals.left.saturating_add(most / 20);
        let is_in_peace = !grown && (0..PEACE).contains(&(now - totals.left_at));
        let reserved = self.reserved(disk);
        let is_worth_it = is_too_much && !is_in_peace && totals.held > reserved;
        is_worth_it.then(|| PruneOptions {
            budget: Some(most - most / 10),
            min_free: Some(free),
            reserved,
            ..PruneOptions::default()
        })
    }
}

impl Garbage<'_> {
    /// Cuts the store back to its budget, where it holds too much, and empties the trash: for a process that has ended its work.
    /// It holds nothing any more then; this once, the image `result` stays, with a name or without. Returns what went, if anything had to.
    ///
    /// # Errors
    /// The database, a rename or the trash fails.
    pub fn settle(
        &self,
        budget: &Budget,
        result: Option<&Digest>,
    ) -> Result<Option<PruneReport>, StoreError> {
        self.store.settle_soon()?;
        let Some(options) = self.excess(budget)? else {
            return Ok(None);
        };
        let spared = result.map(|result| self.store.indexes().blobs_of_named(result));
        let spared = spared.transpose()?.unwrap_or_default();
        // who ends next sees what it may take
        self.store.leases().release_all()?;
        self.cut_back(PruneOptions { spared, ..options }).map(Some)
    }

    /// Before a build on a disk that has less than half of the free space that is wanted: cuts the store back first.
    ///
    /// # Errors
    /// The database, a rename or the trash fails.
    pub fn make_room(&self, budget: &Budget) -> Result<Option<PruneReport>, StoreError> {
        let disk = Disk::of(self.store.root());
        let is_low = disk.is_some_and(|disk| disk.free < budget.min_free(disk) / 2);
        if !is_low {
            return Ok(None);
        }
        let options = self.excess(budget)?;
        options.map(|options| self.cut_back(options)).transpose()
    }

    /// In the middle of a build whose disk is full: cuts the store back to its budget, of all that no build holds, and more where that is not
    /// enough for the free space that is wanted. Returns how many bytes went.
    ///
    /// # Errors
    /// The database, a rename or the trash fails.
    pub fn rescue(&self, budget: &Budget) -> Result<u64, StoreError> {
        room::make_room(self.store.root())?;
        let Some(disk) = Disk::of(self.store.root()) else {
            return Ok(0);
        };
        let most = budget.max_used(disk);
        let report = self.prune(PruneOptions {
            budget: Some(most - most / 10),
            min_free: Some(budget.min_free(disk)),
            ..PruneOptions::default()
        })?;
        self.store.settle()?;
        Ok(report.freed)
    }

    fn excess(&self, budget: &Budget) -> Result<Option<PruneOptions>, StoreError> {
        let Some(disk) = Disk::of(self.store.root()) else {
            return Ok(None);
        };
        let totals = self.store.totals()?;
        Ok(budget.excess(&totals, disk, self.store.now()))
    }

    fn cut_back(&self, options: PruneOptions) -> Result<PruneReport, StoreError> {
        let report = self.prune(options)?;
        self.store.settle()?;
        // what others hold may be free in a moment
        if self.store.leases().living()?.len() <= 1 {
            self.store.leave_in_peace()?;
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    fn disk(size: u64, free: u64) -> Disk {
        Disk {
            size: size * GB,
            free: free * GB,
        }
    }

    fn held(held: u64) -> Totals {
        Totals {
            held,
            ..Totals::default()
        }
    }

    #[test]
    fn the_disk_decides_where_nothing_is_said() {
        let budget = Budget::default();
        let of = |disk| {
            (
                budget.max_used(disk),
                budget.min_free(disk),
                budget.reserved(disk),
            )
        };
        assert_eq!(of(disk(100, 50)), (25 * GB, 10 * GB, 5 * GB / 2));
        assert_eq!(of(disk(4, 1)), (2 * GB, GB * 4 / 10, GB / 5));
    }

    #[test]
    fn nothing_is_done_within_the_budget() {
        let budget = Budget {
            max_used: Some(Space::Percent(10)),
            ..Budget::default()
        };
        let excess = |bytes, disk| budget.excess(&held(bytes), disk, 0);
        assert_eq!(excess(9 * GB, disk(100, 50)), None);
        let options = excess(10 * GB, disk(100, 50)).unwrap();
        assert_eq!((options.budget, options.reserved), (Some(9 * GB), GB));
        // others have filled the disk
        assert_eq!(
            excess(2 * GB, disk(100, 5)).unwrap().min_free,
            Some(10 * GB)
        );
        assert_eq!(excess(GB / 2, disk(100, 5)), None);
    }

    #[test]
    fn what_could_not_be_cut_back_is_left_in_peace() {
        let budget = Budget::default();
        let totals = |held| Totals {
            held,
            left: 30 * GB,
            left_at: 1000,
        };
        let excess = |held, now| budget.excess(&totals(held), disk(100, 50), now).is_some();
        assert!(!excess(31 * GB, 1100));
        assert!(excess(32 * GB, 1100));
        assert!(excess(30 * GB, 1600));
    }
}
