//! A store is offered results of others: records that it lacks become its own, their layers are described in the table `offered`.
//! Unaware of networks: a layer is offered as long as the store's [`BlobSource`](crate::BlobSource) reaches a place that has it.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use kiln_oci::Digest;
use rusqlite::{OptionalExtension, Transaction};

use super::{SharedCache, SharedLayer, SharedMemo};
use crate::store::database::{digest, optional_digest, signed, unsigned};
use crate::{ImageError, Store, StoreError};

/// A blob that a place offers for a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Who offers it.
    pub place: String,
    /// The blob.
    pub blob: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// How it is compressed, as [`SharedLayer::compression`].
    pub compression: String,
}

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

    /// Of some layers those that are not here, with the reachable places that offer them.
    ///
    /// # Errors
    /// The database fails.
    pub fn only_offered(
        &self,
        diff_ids: &[Digest],
    ) -> Result<Vec<(Digest, Vec<Offer>)>, StoreError> {
        let mut found = Vec::new();
        for diff_id in diff_ids {
            let offers = self.offers(diff_id)?;
            if !offers.is_empty() && !self.has_blob(diff_id)? {
                found.push((*diff_id, offers));
            }
        }
        Ok(found)
    }

    /// Whether the source reaches a place that offers the layer.
    pub(crate) fn is_offered(&self, diff_id: &Digest) -> Result<bool, StoreError> {
        Ok(!self.offers(diff_id)?.is_empty())
    }

    /// Says that a layer cannot be had, although it is offered.
    pub fn lose(&self, diff_id: &Digest) {
        let lost = self.inner.lost.lock();
        lost.unwrap_or_else(PoisonError::into_inner)
            .insert(*diff_id);
    }

    /// Layers that [`Store::forget_lost`] has told of in this process.
    #[must_use]
    pub fn forgotten(&self) -> BTreeSet<Digest> {
        let forgotten = self.inner.forgotten.lock();
        forgotten.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Offered layers that did not come are not offered any more, so that their results are misses; which they were.
    ///
    /// # Errors
    /// The database fails.
    pub fn forget_lost(&self) -> Result<Vec<Digest>, StoreError> {
        let lost = self.inner.lost.lock();
        let lost = std::mem::take(&mut *lost.unwrap_or_else(PoisonError::into_inner));
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        let delete = "DELETE FROM offered WHERE diff_id = ?1";
        let forgotten = self.database().write(|transaction| {
            let mut forgotten = Vec::new();
            for diff_id in lost {
                if transaction.execute(delete, [diff_id.as_bytes()])? > 0 {
                    forgotten.push(diff_id);
                }
            }
            Ok(forgotten)
        })?;
        let known = self.inner.forgotten.lock();
        known
            .unwrap_or_else(PoisonError::into_inner)
            .extend(&forgotten);
        Ok(forgotten)
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

    /// What is offered of a layer by places that the source reaches, sorted.
    pub(crate) fn offers(&self, diff_id: &Digest) -> Result<Vec<Offer>, StoreError> {
        let Some(source) = &self.source else {
            return Ok(Vec::new());
        };
        let query = "SELECT repository, blob, size, compression FROM offered JOIN origins ON digest = blob AND there = blob \
                     WHERE diff_id = ?1 ORDER BY repository, blob";
        let offers: Vec<Offer> = self.database().read(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let rows = statement.query_map([diff_id.as_bytes()], |row| {
                Ok(Offer {
                    place: row.get(0)?,
                    blob: digest(row, 1)?,
                    size: unsigned(row.get(2)?),
                    compression: row.get(3)?,
                })
            })?;
            rows.collect()
        })?;
        let within_reach = offers
            .into_iter()
            .filter(|offer| source.reaches(&offer.place));
        Ok(within_reach.collect())
    }

    /// The most bytes that a blob may unpack to, if caches said it.
    pub(crate) fn offered_size(&self, blob: &Digest) -> Result<Option<u64>, StoreError> {
        let query = "SELECT max(tar_size) FROM offered WHERE blob = ?1";
        let size: Option<i64> = self.database().read(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            statement.query_row([blob.as_bytes()], |row| row.get(0))
        })?;
        Ok(size.map(unsigned))
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
    let offer = "INSERT OR REPLACE INTO offered (diff_id, blob, size, tar_size, compression) VALUES (?1, ?2, ?3, ?4, ?5)";
    let sizes = (signed(layer.size), signed(layer.tar_size));
    let row = (diff_id, blob, sizes.0, sizes.1, &layer.compression);
    transaction.prepare_cached(offer)?.execute(row)?;
    let origin = "INSERT OR REPLACE INTO origins (digest, repository, there) VALUES (?1, ?2, ?1)";
    transaction.prepare_cached(origin)?.execute((blob, place))?;
    Ok(())
}
