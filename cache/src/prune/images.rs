//! Removal of untagged images and indexes, with the documents that nothing else has. Unaware of budgets and of layers' files.

use std::collections::BTreeSet;

use kiln_oci::Digest;

use super::Prune;
use crate::inventory::{ImageRow, IndexRow};
use crate::{StoreError, image};

impl Prune<'_> {
    /// Untagged images that lost a layer, or all of them.
    pub(super) fn remove_images(&mut self, all: bool) -> Result<(), StoreError> {
        let has = |digest: &Digest| self.files.blobs.contains_key(digest);
        let kept: BTreeSet<Digest> = self
            .rows
            .kept_images()
            .map(|(manifest, _)| *manifest)
            .collect();
        let is_doomed = |(manifest, image): &(&Digest, &ImageRow)| {
            let is_whole = image.has_layers(has, &self.rows);
            !kept.contains(manifest) && (all || !is_whole)
        };
        let doomed: Vec<Digest> = self
            .rows
            .images
            .iter()
            .filter(is_doomed)
            .map(|(manifest, _)| *manifest)
            .collect();
        let mut blobs = BTreeSet::new();
        for manifest in doomed {
            let deleted = image::delete(self.transaction, &manifest);
            deleted.map_err(|source| self.store.db().failed(source))?;
            self.report.images += 1;
            let image = self.rows.images.remove(&manifest);
            blobs.extend(image.iter().flat_map(|image| image.blobs(manifest)));
        }
        // other images and layers that a record needs stay
        let known = self.rows.known();
        blobs
            .difference(&known)
            .try_for_each(|digest| self.remove_blob(digest))?;
        Ok(())
    }

    /// Untagged indexes that have no image left, or all of them.
    pub(super) fn remove_indexes(&mut self, all: bool) -> Result<(), StoreError> {
        let kept: BTreeSet<Digest> = self.rows.kept_indexes().copied().collect();
        let is_doomed = |(digest, row): &(&Digest, &IndexRow)| {
            let is_left = |child: &Digest| {
                self.rows.images.contains_key(child) || self.rows.indexes.contains_key(child)
            };
            !kept.contains(digest) && (all || !row.children.iter().any(is_left))
        };
        let indexes = self.rows.indexes.iter().filter(is_doomed);
        let doomed: Vec<Digest> = indexes.map(|(digest, _)| *digest).collect();
        let mut companions = BTreeSet::new();
        for index in doomed {
            let deleted = image::delete(self.transaction, &index);
            deleted.map_err(|source| self.store.db().failed(source))?;
            let row = self.rows.indexes.remove(&index);
            self.remove_blob(&index)?;
            companions.extend(row.into_iter().flat_map(|row| row.blobs));
        }
        // other indexes, images and layers may have them too
        let known = self.rows.known();
        companions
            .difference(&known)
            .try_for_each(|digest| self.remove_blob(digest))
    }
}
