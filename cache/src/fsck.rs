//! The check of a whole store: every blob is digested, every index compared with its tar, every view with its index, everything
//! that points is followed.
//!
//! Other processes may work meanwhile. So it goes in two steps: what looks wrong in a snapshot of the database and the files that
//! were found after it is only *suspected*; then all suspects are looked at again in one write transaction, which no prune and no
//! build gets past, and only what is still wrong there is reported or mended.
//!
//! What was never made durable is no damage when it is lost: a power cut takes results that no name needs, and the next build
//! makes them again. Indexes that are missing or torn are made anew when something reads them. None of that is reported.

mod judge;
mod suspect;
mod views;

use judge::Judge;
use suspect::{Snapshot, suspects};

use crate::threads::start_pool;
use crate::{Store, StoreError};

pub use judge::Finding;

impl Store {
    /// Checks everything; with `repair`, drops what is damaged and rebuilds what can be. Findings come sorted.
    ///
    /// # Errors
    /// The store or its database cannot be read.
    pub fn fsck(&self, repair: bool) -> Result<Vec<Finding>, StoreError> {
        if repair {
            // repairs need scratch, and the lease cannot be taken inside the transaction
            self.leases().own()?;
        }
        self.db().check()?;
        start_pool().map_err(StoreError::Thread)?;
        let suspects = suspects(self)?;
        let mut findings = if self.inner.options.read_only {
            let snapshot = self
                .db()
                .snapshot(|connection| Snapshot::read(self, connection))?;
            Judge::new(self, snapshot).findings(&suspects)?
        } else {
            self.db().write_with(|transaction| {
                let snapshot = Snapshot::read(self, transaction);
                let snapshot = snapshot.map_err(|source| self.db().failed(source))?;
                let mut judge = Judge::new(self, snapshot);
                if repair {
                    judge.mend_in(transaction);
                }
                judge.findings(&suspects)
            })?
        };
        findings.sort();
        Ok(findings)
    }
}
