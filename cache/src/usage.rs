//! What the store holds, by class.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;
use walkdir::WalkDir;

use crate::inventory::{Files, LayerRow, Rows};
use crate::store::database::unsigned;
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

    fn join(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
        self.reclaimable += other.reclaimable;
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
    /// Containers that are kept: what they have changed. A prune leaves them alone.
    pub containers: Class,
    /// Images, and the bytes of their manifests and configs.
    pub images: Class,
    /// Results: bytes of their rows.
    pub records: Class,
    /// Builds that are remembered: bytes of their rows.
    pub builds: Class,
    /// What their steps printed.
    pub logs: Class,
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
            self.containers,
            self.images,
            self.records,
            self.builds,
            self.logs,
            self.contexts,
            self.scratch,
            self.trash,
        ];
        classes.iter().map(|class| class.bytes).sum()
    }

    fn add_blobs(&mut self, rows: &Rows, files: &Files) {
        let kept = rows.kept();
        let compressed: BTreeSet<_> = rows.layers.values().flat_map(LayerRow::blobs).collect();
        for (digest, size) in &files.blobs {
            let is_reclaimable = !kept.contains(digest);
            if rows.layers.contains_key(digest) {
                let index = files.indexes.get(digest).copied().unwrap_or(0);
                self.layers.add(size + index, is_reclaimable);
            } else if compressed.contains(digest) {
                self.compressed.add(*size, is_reclaimable);
            } else {
                self.images.add(*size, is_reclaimable);
            }
        }
        // an image is two blobs, manifest and config, but one thing
        self.images.count = rows.images.len() as u64;
    }
}

impl Garbage<'_> {
    /// What the store holds.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let living = self.store.leases().living()?;
        let read = |connection: &Connection| Rows::read(connection, &living);
        let (mut rows, files) = (
            self.store.db().query(read)?,
            Files::read(self.store.root())?,
        );
        if let Ok(mut held) = self.store.containers().all_layers() {
            rows.pinned.append(&mut held);
        }
        let mut usage = Usage::default();
        usage.add_blobs(&rows, &files);
        for key in files.views.keys() {
            let size = rows.views.get(key).map_or(0, |row| row.size);
            usage.views.add(size, !rows.pinned.contains(&key.1));
        }
        for (_, size, _) in &files.contexts {
            usage.contexts.add(*size, true);
        }
        for path in self.store.cache_mounts().paths() {
            usage.cache_mounts.add(measured(&path, true).bytes, true);
        }
        usage.containers = self.store.containers().usage()?;
        usage.records = self.records()?;
        usage.builds = self.store.history().usage()?;
        usage.logs = measured(&self.store.logs().folder(), true);
        usage.scratch = measured(&self.store.leases().folder(), false);
        usage
            .scratch
            .join(measured(&self.store.fetch().parts(), true));
        usage.trash = measured(&self.store.root().join("trash"), true);
        Ok(usage)
    }

    fn records(&self) -> Result<Class, StoreError> {
        let query =
            "SELECT count(*), coalesce(sum(length(inputs) + length(title) + 128), 0) FROM records";
        let records = self.store.db().row(query, [], |row| {
            Ok(Class {
                count: unsigned(row.get(0)?),
                bytes: unsigned(row.get(1)?),
                reclaimable: 0,
            })
        })?;
        Ok(records.unwrap_or_default())
    }
}

/// Bytes of all files below a folder; what cannot be read or vanishes does not count.
pub(crate) fn measured(folder: &Path, is_reclaimable: bool) -> Class {
    let mut class = Class::default();
    let entries = WalkDir::new(folder).min_depth(1).max_open(16);
    let stats = entries
        .into_iter()
        .flatten()
        .flat_map(|entry| entry.metadata());
    for stat in stats.filter(|stat| stat.is_file()) {
        class.add(stat.len(), is_reclaimable);
    }
    class
}
