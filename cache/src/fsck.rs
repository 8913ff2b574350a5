//! The check of a whole store: every blob is digested, every index compared with its tar, every view with its index, everything
//! that points is followed.
//!
//! Other processes may work meanwhile. So it goes in two steps: what looks wrong in a snapshot of the database and the files that
//! were found after it is only *suspected*; then all suspects are looked at again in one write transaction, which no prune and no
//! build gets past, and only what is still wrong there is told or mended.
//!
//! What was never made durable is no damage when it is lost: a power cut takes results that no name needs, and the next build
//! makes them again. Indexes that are missing or torn are made anew when something reads them. None of that is told.

mod judge;
mod suspect;
mod views;

use crate::threads::start_pool;
use std::path::PathBuf;

use kiln_oci::Digest;

use crate::fsck::judge::Judge;
use crate::{Store, StoreError};

/// Something wrong in a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// A blob's bytes do not have the digest that it is named by.
    CorruptBlob(Digest),
    /// A blob that was durable is not there.
    MissingBlob(Digest),
    /// The index of a layer is not what its tar says.
    BadIndex(Digest),
    /// A view, of an id map, lacks something of its layer or shows something else.
    BadView(String, Digest),
    /// Something that is no regular file has the name of one, or no directory that of a directory.
    WrongType(PathBuf),
    /// A file of the store that nothing knows.
    Unknown(PathBuf),
    /// An image, with its names, lacks its config or a layer that cannot be fetched, or the store the bytes of an index.
    BrokenImage(Digest, Vec<String>),
    /// A tag points to no image.
    DanglingTag(String),
}

impl Store {
    /// Checks everything; with `repair`, drops what is damaged and rebuilds what can be. Findings come sorted.
    ///
    /// # Errors
    /// The store cannot be read, its database least of all.
    pub fn fsck(&self, repair: bool) -> Result<Vec<Finding>, StoreError> {
        if repair {
            // repairs need scratch, and the lease cannot be taken inside the transaction
            self.leases().own()?;
        }
        self.db().check()?;
        start_pool().map_err(StoreError::Thread)?;
        let suspects = self.suspects()?;
        let mut findings = if self.inner.options.read_only {
            let mut judge = Judge::new(self, self.read_snapshot()?);
            judge.findings(&suspects)?
        } else {
            self.db().write_with(|transaction| {
                let snapshot = self.snapshot_in(transaction);
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
