//! What a prune may take, and what it took.

use std::collections::BTreeSet;
use std::path::Path;

use kiln_oci::Digest;
use rusqlite::Transaction;

use super::Victim;
use crate::Disk;
use crate::inventory::Rows;
use crate::store::database::{digest, rows as query_rows};

/// What a prune may remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruneOptions {
    /// Bytes that the store may hold: things go in their order until it holds no more.
    pub budget: Option<u64>,
    /// Bytes that are to be free on the disk. Without this and a budget all that may go goes.
    pub min_free: Option<u64>,
    /// Bytes that stay of what may go.
    pub reserved: u64,
    /// Images without a name.
    pub images: bool,
    /// Results of steps and the layers that only they need, views, indexes of contexts, cache mounts.
    pub cache: bool,
    /// Of layers and of the cache only what was used last before this second.
    pub used_before: Option<i64>,
    /// Which of the cache; everything, where it is empty.
    pub kinds: Vec<CacheKind>,
    /// How the names of what may go begin: digests in hex, names of files. Any name, where it is empty.
    pub ids: Vec<String>,
    /// Images, or indexes, that go first with their names, as [`crate::Images::remove_all`] removes them.
    pub without: Vec<Digest>,
    /// Layers and documents that stay; their views may go.
    pub spared: BTreeSet<Digest>,
    /// Nothing goes: the report tells what would.
    pub dry_run: bool,
}

/// A kind of what builds keep for later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKind {
    /// Layers, with their views and compressed forms.
    Results,
    /// What was found out about files of contexts.
    Contexts,
    /// What `RUN --mount=type=cache` keeps.
    CacheMounts,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            budget: None,
            min_free: None,
            reserved: 0,
            images: true,
            cache: true,
            used_before: None,
            kinds: Vec::new(),
            ids: Vec::new(),
            without: Vec::new(),
            spared: BTreeSet::new(),
            dry_run: false,
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
        kept.extend(&self.spared);
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

    /// Whether all that may go goes.
    pub(super) fn is_unlimited(&self) -> bool {
        self.budget.is_none() && self.min_free.is_none() && self.reserved == 0
    }

    /// Whether all of the cache goes: downloads that broke off, however young they are, and what is remembered of builds.
    pub(crate) fn takes_all_cache(&self) -> bool {
        self.cache && self.is_unlimited() && !self.is_choosy()
    }

    /// Whether only some of the cache is looked at.
    pub(crate) fn is_choosy(&self) -> bool {
        !self.kinds.is_empty() || !self.ids.is_empty()
    }

    /// What a store that holds so much is to be cut back to.
    pub(super) fn limit(&self, held: u64, disk: Option<Disk>) -> u64 {
        let lacking = |min_free: u64| min_free.saturating_sub(disk.map_or(0, |disk| disk.free));
        let by_free = self
            .min_free
            .map(|min_free| held.saturating_sub(lacking(min_free)));
        match (self.budget, by_free) {
            (None, None) => 0,
            (budget, by_free) => budget.unwrap_or(u64::MAX).min(by_free.unwrap_or(u64::MAX)),
        }
    }

    /// Whether it is of a kind and has a name that may go.
    pub(super) fn admits(&self, victim: &Victim) -> bool {
        let (kind, name) = match victim {
            Victim::View(_, digest) | Victim::Form(digest) | Victim::Layer(digest) => {
                (CacheKind::Results, digest.hex())
            }
            Victim::Context(path) => (CacheKind::Contexts, file_name(path)),
            Victim::CacheMount(path) => (CacheKind::CacheMounts, file_name(path)),
        };
        let is_of_kind = self.kinds.is_empty() || self.kinds.contains(&kind);
        let is_called = |id: &String| name.starts_with(id.trim_start_matches("sha256:"));
        is_of_kind && (self.ids.is_empty() || self.ids.iter().any(is_called))
    }

    /// Whether something that was used last at `used` may go.
    pub(super) fn is_old(&self, used: i64) -> bool {
        self.used_before.is_none_or(|limit| used < limit)
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
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
