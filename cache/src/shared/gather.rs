//! What a build has to share: its records, with the layers in the form in which they travel. Unaware of who gets it.

use std::collections::BTreeSet;

use kiln_oci::{Descriptor, Digest, LayerCompression};

use super::{Caches, Mode, SharedCache, SharedLayer, SharedMemo};
use crate::{Exchange, ImageError, MemoBundle, Record, StoreError};

impl Exchange<'_> {
    /// The records of an outcome as far as the store still has them, sorted by key and pinned with their layers.
    ///
    /// # Errors
    /// The database fails.
    pub fn records_to_share(
        &self,
        bundle: &MemoBundle,
        mode: Mode,
    ) -> Result<Vec<Record>, ImageError> {
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
    pub fn memo_to_share(
        &self,
        key: Digest,
        bundle: &MemoBundle,
    ) -> Result<Option<SharedMemo>, ImageError> {
        let mut images = Vec::new();
        for (_, image) in self.store.indexes().images_of(&bundle.manifest)? {
            let image = self.store.images().get(&image)?;
            let texts = (
                String::from_utf8(image.manifest),
                String::from_utf8(image.config),
            );
            let (Ok(manifest), Ok(config)) = texts else {
                return Ok(None);
            };
            images.push((manifest, config));
        }
        let index = self
            .store
            .indexes()
            .get(&bundle.manifest)?
            .map(String::from_utf8);
        Ok(index.transpose().ok().map(|index| SharedMemo {
            key,
            // what it rests on here means nothing elsewhere
            bundle: MemoBundle {
                caches: Caches::default(),
                ..bundle.clone()
            },
            images,
            index,
        }))
    }

    /// Joins records, the blobs that hold their layers (`(diff ID, blob)`, in this compression) and whole outcomes.
    ///
    /// # Errors
    /// The database fails.
    pub fn shared_cache(
        &self,
        records: Vec<Record>,
        blobs: &[(Digest, Descriptor)],
        compression: LayerCompression,
        memos: Vec<SharedMemo>,
    ) -> Result<SharedCache, StoreError> {
        let mut layers = Vec::new();
        for (diff_id, blob) in blobs {
            let tar_size = self.layer_size(diff_id)?;
            layers.push(SharedLayer {
                diff_id: *diff_id,
                tar_size: tar_size.ok_or(StoreError::Missing { digest: *diff_id })?,
                blob: blob.digest,
                size: blob.size,
                compression: compression.to_string(),
            });
        }
        layers.sort_by_key(|layer| layer.diff_id);
        Ok(SharedCache::new(layers, records, memos))
    }
}
