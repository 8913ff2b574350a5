//! A store is offered results of others: records that it lacks become its own, their layers are described in the table `offered`.
//! Unaware of networks: a layer is offered as long as the store's [`BlobSource`](crate::BlobSource) reaches a place that has it.

use std::collections::BTreeSet;

use kiln_oci::{Digest, LayerCompression};
use rusqlite::{OptionalExtension, Transaction};

use super::{SharedCache, SharedLayer, SharedMemo};
use crate::store::database::{optional_digest, signed, unsigned};
use crate::{ImageError, Store, StoreError};

/// What a cache held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// Results that the store did not have.
    pub new: usize,
    /// Results in all.
    pub records: usize,
}

impl Store {
    /// Takes the records of a cache, and remembers that `place` holds their layers. A result whose layer the store has stays as it is.
    ///
    /// # Errors
    /// The store is read-only, or the database fails.
    pub fn offer(&self, place: &str, cache: &SharedCache) -> Result<Offered, StoreError> {
        self.writable()?;
        let described: BTreeSet<Digest> = cache.layers.iter().map(|layer| layer.diff_id).collect();
        let mut lacking = Vec::new();
        for record in &cache.records {
            // a layer that nobody describes cannot be had
            let is_whole = record.diff_id.is_none_or(|id| described.contains(&id));
            if is_whole && !self.has_result(&record.key)? {
                lacking.push(record);
            }
        }
        self.database().write(|transaction| {
            let layers = cache.layers.iter();
            layers
                .clone()
                .try_for_each(|layer| describe(transaction, place, layer))
        })?;
        self.record_all(lacking.iter().copied())?;
        Ok(Offered {
            new: lacking.len(),
            records: cache.records.len(),
        })
    }

    /// Takes the images of a whole outcome, if all that they need is here or can be brought. It is found by its key once the caller
    /// has put the memo, after bringing what will not be there later.
    ///
    /// # Errors
    /// The documents are not what they should be, a layer cannot be had, or the database fails.
    pub fn offer_images(&self, memo: &SharedMemo) -> Result<(), ImageError> {
        for (manifest, config) in &memo.images {
            self.put_image(manifest.as_bytes(), config.as_bytes())?;
        }
        if let Some(index) = &memo.index {
            self.put_index(index.as_bytes())?;
        }
        if !self.pin_whole(&memo.bundle.manifest)? {
            let digest = memo.bundle.manifest;
            return Err(StoreError::Missing { digest }.into());
        }
        Ok(())
    }

    /// Bytes of a layer's tar, whether it is here or only described; `None` for one that the store does not know.
    ///
    /// # Errors
    /// The database fails.
    pub fn layer_size(&self, diff_id: &Digest) -> Result<Option<u64>, StoreError> {
        let query = "SELECT tar_size FROM layers WHERE diff_id = ?1 \
                     UNION ALL SELECT tar_size FROM offered WHERE diff_id = ?1 LIMIT 1";
        let size: Option<i64> = self.database().read(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let size = statement.query_row([diff_id.as_bytes()], |row| row.get(0));
            size.optional()
        })?;
        Ok(size.map(unsigned))
    }

    /// Of some layers those that are not here, and only offered by places that `lasts` does not vouch for.
    ///
    /// # Errors
    /// The database fails.
    pub fn only_offered(
        &self,
        diff_ids: &[Digest],
        lasts: impl Fn(&str) -> bool,
    ) -> Result<Vec<Digest>, StoreError> {
        let mut found = Vec::new();
        for diff_id in diff_ids {
            if !self.has_blob(diff_id)? {
                let places = self.places_that_offer(diff_id)?;
                if !places.is_empty() && !places.iter().any(|place| lasts(place)) {
                    found.push(*diff_id);
                }
            }
        }
        Ok(found)
    }

    /// Whether the source reaches a place that offers the layer.
    pub(crate) fn is_offered(&self, diff_id: &Digest) -> Result<bool, StoreError> {
        let Some(source) = &self.source else {
            return Ok(false);
        };
        let places = self.places_that_offer(diff_id)?;
        Ok(places.iter().any(|place| source.reaches(place)))
    }

    /// A layer of an offer that cannot be had is not offered any more, so that its result is a miss; whether there was one.
    ///
    /// # Errors
    /// The database fails.
    pub fn forget_offer(&self, layer_or_blob: &Digest) -> Result<bool, StoreError> {
        let delete = "DELETE FROM offered WHERE blob = ?1 OR diff_id = ?1";
        self.database()
            .write(|transaction| Ok(transaction.execute(delete, [layer_or_blob.as_bytes()])? > 0))
    }

    /// The size that a layer which came must have, as the offer said: images were made with it.
    pub(crate) fn check_offer(&self, diff_id: &Digest, tar_size: u64) -> Result<(), StoreError> {
        match self.layer_size(diff_id)? {
            Some(expected) if expected != tar_size => Err(StoreError::SizeMismatch {
                digest: *diff_id,
                expected,
                found: tar_size,
            }),
            _ => Ok(()),
        }
    }

    fn places_that_offer(&self, diff_id: &Digest) -> Result<Vec<String>, StoreError> {
        let query = "SELECT DISTINCT repository FROM offered JOIN origins ON digest = blob AND there = blob \
                     WHERE diff_id = ?1 ORDER BY repository";
        self.database().read(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let rows = statement.query_map([diff_id.as_bytes()], |row| row.get(0))?;
            rows.collect()
        })
    }

    /// Whether the store has a result of this key with its layer.
    fn has_result(&self, key: &Digest) -> Result<bool, StoreError> {
        let query = "SELECT diff_id FROM records WHERE key = ?1";
        let found: Option<Option<Digest>> = self.database().read(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let row = statement.query_row([key.as_bytes()], |row| optional_digest(row, 0));
            row.optional()
        })?;
        match found {
            None => Ok(false),
            Some(None) => Ok(true),
            Some(Some(diff_id)) => self.has_blob(&diff_id),
        }
    }
}

fn describe(
    transaction: &Transaction<'_>,
    place: &str,
    layer: &SharedLayer,
) -> rusqlite::Result<()> {
    let (diff_id, blob) = (layer.diff_id.as_bytes(), layer.blob.as_bytes());
    let offer =
        "INSERT OR REPLACE INTO offered (diff_id, blob, size, tar_size) VALUES (?1, ?2, ?3, ?4)";
    let row = (diff_id, blob, signed(layer.size), signed(layer.tar_size));
    transaction.prepare_cached(offer)?.execute(row)?;
    let origin = "INSERT OR REPLACE INTO origins (digest, repository, there) VALUES (?1, ?2, ?1)";
    transaction.prepare_cached(origin)?.execute((blob, place))?;
    // what a push would compress it to, if it has that form
    if layer.compression.parse::<LayerCompression>().is_ok() && layer.blob != layer.diff_id {
        let form = "INSERT OR IGNORE INTO forms (diff_id, compression, digest, size) VALUES (?1, ?2, ?3, ?4)";
        let row = (diff_id, &layer.compression, blob, signed(layer.size));
        transaction.prepare_cached(form)?.execute(row)?;
    }
    Ok(())
}
