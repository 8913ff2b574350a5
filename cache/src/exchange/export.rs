//! What a build exports: its records, with the layers in the form in which they travel. Unaware of where that goes.

use std::collections::BTreeSet;

use kiln_oci::{Descriptor, Digest, LayerCompression};

use super::{Caches, ExportedCache, ExportedLayer, ExportedMemo, Mode};
use crate::{Exchange, ImageError, MemoBundle, Record, StoreError};

impl Exchange<'_> {
    /// The records of an outcome as far as the store still has them, sorted by key and pinned with their layers.
    ///
    /// # Errors
    /// The database fails.
    pub fn records(&self, bundle: &MemoBundle, mode: Mode) -> Result<Vec<Record>, ImageError> {
        let mut in_image = BTreeSet::new();
        for (_, image) in self.store.indexes().images_of(&bundle.manifest)? {
            in_image.extend(self.store.images().get(&image)?.diff_ids);
        }
        let keys: BTreeSet<Digest> = bundle.records.iter().copied().collect();
        let mut records = Vec::new();
        for key in keys {
            let is_wanted = |record: &Record| {
                let of_image = record.diff_id.is_none_or(|layer| in_image.contains(&layer));
                mode == Mode::Max || of_image
            };
            records.extend(self.store.records().lookup(&key)?.filter(is_wanted));
        }
        Ok(records)
    }

    /// The outcome with the documents of its images; `None` when one of them is no text.
    ///
    /// # Errors
    /// The store lost the image.
    pub fn memo(
        &self,
        key: Digest,
        bundle: &MemoBundle,
    ) -> Result<Option<ExportedMemo>, ImageError> {
        let text = |bytes| String::from_utf8(bytes).ok();
        let mut images = Vec::new();
        for (_, image) in self.store.indexes().images_of(&bundle.manifest)? {
            let image = self.store.images().get(&image)?;
            match text(image.manifest).zip(text(image.config)) {
                Some(documents) => images.push(documents),
                None => return Ok(None),
            }
        }
        let index = self
            .store
            .indexes()
            .get(&bundle.manifest)?
            .map(String::from_utf8);
        let Ok(index) = index.transpose() else {
            return Ok(None);
        };
        // what it rests on here means nothing elsewhere
        let caches = Caches::default();
        let bundle = MemoBundle {
            caches,
            ..bundle.clone()
        };
        Ok(Some(ExportedMemo {
            key,
            bundle,
            images,
            index,
        }))
    }

    /// Joins records, the blobs that hold their layers (`(diff ID, blob)`, in this compression) and whole outcomes.
    ///
    /// # Errors
    /// The database fails.
    pub fn export(
        &self,
        records: Vec<Record>,
        blobs: &[(Digest, Descriptor)],
        compression: LayerCompression,
        memos: Vec<ExportedMemo>,
    ) -> Result<ExportedCache, StoreError> {
        let mut layers = Vec::new();
        for (diff_id, blob) in blobs {
            let tar_size = self.layer_size(diff_id)?;
            layers.push(ExportedLayer {
                diff_id: *diff_id,
                tar_size: tar_size.ok_or(StoreError::Missing { digest: *diff_id })?,
                blob: blob.digest,
                size: blob.size,
                compression: compression.to_string(),
            });
        }
        layers.sort_by_key(|layer| layer.diff_id);
        Ok(ExportedCache::new(layers, records, memos))
    }
}
