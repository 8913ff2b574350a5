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
        let kept = self.rows.kept_images().map(|(manifest, _)| *manifest);
        let kept: BTreeSet<Digest> = kept.collect();
        let is_doomed = |(manifest, image): &(&Digest, &ImageRow)| {
            !kept.contains(manifest) && (all || !image.has_layers(has, &self.rows))
        };
        let images = self.rows.images.iter().filter(is_doomed);
        let doomed: Vec<Digest> = images.map(|(manifest, _)| *manifest).collect();
        let mut blobs = BTreeSet::new();
        for manifest in doomed {
            self.delete_rows(&manifest)?;
            self.report.images += 1;
            let image = self.rows.images.remove(&manifest);
            blobs.extend(image.iter().flat_map(|image| image.blobs(manifest)));
        }
        self.remove_unknown(&blobs)
    }

    /// Untagged indexes that have no image left, or all of them.
    pub(super) fn remove_indexes(&mut self, all: bool) -> Result<(), StoreError> {
        let kept: BTreeSet<Digest> = self.rows.kept_indexes().copied().collect();
        let is_left = |child: &Digest| {
            self.rows.images.contains_key(child) || self.rows.indexes.contains_key(child)
        };
        let is_doomed = |(digest, row): &(&Digest, &IndexRow)| {
            !kept.contains(digest) && (all || !row.children.iter().any(is_left))
        };
        let indexes = self.rows.indexes.iter().filter(is_doomed);
        let doomed: Vec<Digest> = indexes.map(|(digest, _)| *digest).collect();
        let mut companions = BTreeSet::new();
        for index in doomed {
            self.delete_rows(&index)?;
            let row = self.rows.indexes.remove(&index);
            self.remove_blob(&index)?;
            companions.extend(row.into_iter().flat_map(|row| row.blobs));
        }
        self.remove_unknown(&companions)
    }

    fn delete_rows(&self, named: &Digest) -> Result<(), StoreError> {
        let deleted = image::delete(self.transaction, named);
        deleted
            .map(drop)
            .map_err(|source| self.store.db().failed(source))
    }

    /// Removes those that no other image, index or layer has.
    fn remove_unknown(&mut self, blobs: &BTreeSet<Digest>) -> Result<(), StoreError> {
        let known = self.rows.known();
        let mut unknown = blobs.difference(&known);
        unknown.try_for_each(|digest| self.remove_blob(digest))
    }
}
