//! When things were last used: collected in memory, written together.
//!
//! A hit must not cost a transaction; what is lost with a killed process only makes a thing look older than it is.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use kiln_oci::{Digest, locked};

use rusqlite::Transaction;

use crate::StoreError;
use crate::store::database::{Database, execute_each};

/// What was used since the last write.
#[derive(Debug, Default)]
pub(crate) struct Used(Mutex<HashMap<Thing, HashSet<Digest>>>);

/// What a digest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Thing {
    Layer,
    View,
    Record,
    Memo,
    Image,
}

impl Thing {
    /// Sets the time of the last use.
    fn update(self) -> &'static str {
        match self {
            Self::Layer => "UPDATE layers SET used = ?1 WHERE diff_id = ?2",
            Self::View => "UPDATE views SET used = ?1, uses = uses + 1 WHERE diff_id = ?2",
            Self::Record => "UPDATE records SET used = ?1 WHERE key = ?2",
            Self::Memo => "UPDATE memos SET used = ?1 WHERE key = ?2",
            Self::Image => "UPDATE images SET used = ?1 WHERE manifest = ?2",
        }
    }
}

impl Used {
    /// Notes that something was used.
    pub(crate) fn touch(&self, thing: Thing, digest: &Digest) {
        locked(&self.0).entry(thing).or_default().insert(*digest);
    }

    /// Writes what was noted.
    pub(crate) fn write(&self, database: &Database, now: i64) -> Result<(), StoreError> {
        if locked(&self.0).is_empty() {
            return Ok(());
        }
        database.write_lightly(|transaction| self.write_in(transaction, now))
    }

    /// The same in a transaction that does more.
    pub(crate) fn write_in(&self, transaction: &Transaction<'_>, now: i64) -> rusqlite::Result<()> {
        let used = std::mem::take(&mut *locked(&self.0));
        used.iter().try_for_each(|(thing, digests)| {
            let rows = digests.iter().map(|digest| (now, digest.as_bytes()));
            execute_each(transaction, thing.update(), rows)
        })
    }
}
