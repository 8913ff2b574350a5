//! What a prune may take, and what it took.

use std::collections::BTreeSet;

use kiln_oci::Digest;
use rusqlite::Transaction;

use crate::inventory::Rows;
use crate::store::database::{digest, rows as query_rows};

/// What a prune may remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PruneOptions {
    /// Bytes that the store may hold: what is worth least goes until it holds no more. Without it all that may go goes.
    pub budget: Option<u64>,
    /// Images without a name.
    pub images: bool,
    /// Results of steps and the layers that only they need, views, indexes of contexts, cache mounts.
    pub cache: bool,
    /// Of layers and of the cache only what was used last before this second.
    pub used_before: Option<i64>,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            budget: None,
            images: true,
            cache: true,
            used_before: None,
        }
    }
}

/// A budget for everything.
impl From<Option<u64>> for PruneOptions {
    fn from(budget: Option<u64>) -> Self {
        Self {
            budget,
            ..Self::default()
        }
    }
}

impl PruneOptions {
    /// Every digest that these options leave alone.
    pub(super) fn kept(
        &self,
        transaction: &Transaction<'_>,
        rows: &Rows,
    ) -> rusqlite::Result<BTreeSet<Digest>> {
        let mut kept = rows.kept();
        if !self.images {
            let images = rows.images.iter();
            kept.extend(images.flat_map(|(manifest, image)| image.blobs(*manifest)));
            kept.extend(rows.indexes.keys());
        }
        if !self.cache {
            let query = "SELECT DISTINCT diff_id FROM records WHERE diff_id IS NOT NULL";
            let needed: Vec<Digest> = query_rows(transaction, query, [], |row| digest(row, 0))?;
            for diff_id in needed {
                let row = rows.layers.get(&diff_id);
                kept.insert(diff_id);
                kept.extend(row.and_then(|row| row.compressed));
            }
        }
        Ok(kept)
    }

    /// Whether something that was used last at `used` may go.
    pub(super) fn is_old(&self, used: i64) -> bool {
        self.used_before.is_none_or(|limit| used < limit)
    }
}

/// What a prune did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Bytes that went to the trash; [`crate::Store::settle`] gives them back to the disk.
    pub freed: u64,
    /// Layers removed.
    pub layers: u64,
    /// Views removed.
    pub views: u64,
    /// Directories of cache mounts removed.
    pub cache_mounts: u64,
    /// Results that can no longer be found.
    pub records: u64,
    /// Untagged images removed.
    pub images: u64,
    /// Builds that are forgotten, with what their steps printed.
    pub builds: u64,
    /// Bytes that the store still holds.
    pub kept: u64,
}
