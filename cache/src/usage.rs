//! What the store holds, by class.

use std::path::Path;

use walkdir::WalkDir;

use crate::inventory::Rows;
use crate::{Garbage, StoreError};

/// Number and bytes of one class of things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Class {
    /// How many.
    pub count: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes that a prune without a budget would free.
    pub reclaimable: u64,
}

impl Class {
    fn add(&mut self, bytes: u64, is_reclaimable: bool) {
        self.count += 1;
        self.bytes += bytes;
        self.reclaimable += if is_reclaimable { bytes } else { 0 };
    }
}

/// Disk usage of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tars and indexes of layers.
    pub layers: Class,
    /// Compressed layers: as they came, or made for a push or an archive.
    pub compressed: Class,
    /// Unpacked layers; their size is about what they take.
    pub views: Class,
    /// What RUN steps keep between builds.
    pub cache_mounts: Class,
    /// Images, and the bytes of their manifests and configs.
    pub images: Class,
    /// Results: bytes of their rows.
    pub records: Class,
    /// Stat indexes of contexts.
    pub contexts: Class,
    /// Scratch of processes, living or not, and downloads that broke off.
    pub scratch: Class,
    /// Removed, but still on disk.
    pub trash: Class,
}

impl Usage {
    /// Bytes of everything.
    #[must_use]
    pub fn total(&self) -> u64 {
        let classes = [
            self.layers,
            self.compressed,
            self.views,
            self.cache_mounts,
            self.images,
            self.records,
            self.contexts,
            self.scratch,
            self.trash,
        ];
        classes.iter().map(|class| class.bytes).sum()
    }
}

impl Garbage<'_> {
    /// What the store holds.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let living = self.store.leases().living()?;
        let rows = self
            .store
            .db()
            .query(|connection| Rows::read(connection, &living))?;
        let (files, kept) = (self.files()?, rows.kept());
        let compressed: std::collections::BTreeSet<_> =
            rows.layers.values().flat_map(|row| row.blobs()).collect();
        let mut usage = Usage::default();
        for (digest, size) in &files.blobs {
            let is_reclaimable = !kept.contains(digest);
            if rows.layers.contains_key(digest) {
                let index = files.indexes.get(digest).copied().unwrap_or(0);
                usage.layers.add(size + index, is_reclaimable);
            } else if compressed.contains(digest) {
                usage.compressed.add(*size, is_reclaimable);
            } else {
                usage.images.add(*size, is_reclaimable);
            }
        }
        // An image is two blobs, manifest and config, but one thing.
        usage.images.count = rows.images.len() as u64;
        for key in files.views.keys() {
            let size = rows.views.get(key).map_or(0, |row| row.size);
            usage.views.add(size, !rows.pinned.contains(&key.1));
        }
        files
            .contexts
            .iter()
            .for_each(|(_, size, _)| usage.contexts.add(*size, true));
        let query =
            "SELECT count(*), coalesce(sum(length(inputs) + length(title) + 128), 0) FROM records";
        let (count, bytes): (i64, i64) = self.store.db().query(|connection| {
            connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))
        })?;
        usage.records = Class {
            count: count.unsigned_abs(),
            bytes: bytes.unsigned_abs(),
            reclaimable: 0,
        };
        for path in self.store.cache_mounts().paths() {
            usage.cache_mounts.add(measured(&path, true).bytes, true);
        }
        usage.scratch = measured(&self.store.leases().folder(), false);
        let parts = measured(&self.store.fetch().parts(), true);
        usage.scratch.count += parts.count;
        usage.scratch.bytes += parts.bytes;
        usage.scratch.reclaimable += parts.reclaimable;
        usage.trash = measured(&self.store.root().join("trash"), true);
        Ok(usage)
    }
}

/// Bytes of all files below a folder; what cannot be read or vanishes counts nothing.
pub(crate) fn measured(folder: &Path, is_reclaimable: bool) -> Class {
    let mut class = Class::default();
    for entry in WalkDir::new(folder)
        .min_depth(1)
        .max_open(16)
        .into_iter()
        .flatten()
    {
        let Ok(stat) = entry.metadata() else {
            continue;
        };
        if stat.is_file() {
            class.add(stat.len(), is_reclaimable);
        }
    }
    class
}
