//! When things were last used: collected in memory, written together.
//!
//! A hit must not cost a transaction; what is lost with a killed process only makes a thing look older than it is.

use std::collections::HashSet;
use std::sync::PoisonError;

use kiln_oci::Digest;

use crate::store::Inner;
use crate::{Store, StoreError};

/// What was used since the last write.
#[derive(Debug, Default)]
pub(crate) struct Used {
    layers: HashSet<Digest>,
    views: HashSet<Digest>,
    records: HashSet<Digest>,
    memos: HashSet<Digest>,
    images: HashSet<Digest>,
}

/// What a digest names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Thing {
    Layer,
    View,
    Record,
    Memo,
    Image,
}

impl Store {
    /// Notes that something was used.
    pub(crate) fn touch(&self, thing: Thing, digest: &Digest) {
        let mut used = self
            .inner
            .used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let set = match thing {
            Thing::Layer => &mut used.layers,
            Thing::View => &mut used.views,
            Thing::Record => &mut used.records,
            Thing::Memo => &mut used.memos,
            Thing::Image => &mut used.images,
        };
        set.insert(*digest);
    }

    /// Writes what was noted.
    pub(crate) fn write_used(&self) -> Result<(), StoreError> {
        write(&self.inner)
    }
}

pub(crate) fn write(inner: &Inner) -> Result<(), StoreError> {
    let used = std::mem::take(&mut *inner.used.lock().unwrap_or_else(PoisonError::into_inner));
    let sets = [
        (
            &used.layers,
            "UPDATE layers SET used = ?1 WHERE diff_id = ?2",
        ),
        (&used.views, "UPDATE views SET used = ?1 WHERE diff_id = ?2"),
        (&used.records, "UPDATE records SET used = ?1 WHERE key = ?2"),
        (&used.memos, "UPDATE memos SET used = ?1 WHERE key = ?2"),
        (
            &used.images,
            "UPDATE images SET used = ?1 WHERE manifest = ?2",
        ),
    ];
    if inner.options.read_only || sets.iter().all(|(set, _)| set.is_empty()) {
        return Ok(());
    }
    let now = inner.now();
    inner.database.write_lightly(|transaction| {
        for (set, update) in sets {
            let mut statement = transaction.prepare_cached(update)?;
            for digest in set {
                statement.execute((now, digest.as_bytes()))?;
            }
        }
        Ok(())
    })
}
