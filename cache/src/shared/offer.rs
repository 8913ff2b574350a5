//! A store is offered results of others: their records are kept as claims beside its own, their layers are described in the table
//! `offered`. Unaware of networks: a layer is offered as long as the store's [`BlobSource`](crate::BlobSource) reaches a place that has
//! it.
//!
//! What a cache offers counts for builds that name the cache. A blob that an image of this store needs is bound to the store: the image
//! was made by a build that named the cache, and later commands need not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use kiln_oci::Digest;
use rusqlite::{OptionalExtension, Transaction};

use super::{Caches, Loss, SharedCache, SharedLayer};
use crate::store::database::{digest, optional_digest, signed, unsigned};
use crate::{Exchange, Record, StoreError, Tree};

/// A blob that a place offers for a layer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// Who offers it.
    pub place: String,
    /// The blob.
    pub blob: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The layer.
    pub diff_id: Digest,
    /// Bytes of the layer's tar.
    pub tar_size: u64,
    /// How the blob is compressed, as [`SharedLayer::compression`].
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

impl Exchange<'_> {
    /// Takes what the cache of this name says, and remembers that `place` holds the layers. A result whose layer the store has stays as
    /// it is; one that cannot be true is not taken.
    ///
    /// # Errors
    /// The store is read-only, or the database fails.
    pub fn offer(
        &self,
        name: &str,
        place: &str,
        cache: &SharedCache,
    ) -> Result<Offered, StoreError> {
        self.store.writable()?;
        let described: BTreeSet<Digest> = cache.layers.iter().map(|layer| layer.diff_id).collect();
        let caches = Caches::one(name);
        let mut lacking = Vec::new();
        for record in &cache.records {
            if self.can_be_true(record, &described)? && !self.has_result(&record.key, &caches)? {
                lacking.push(Record {
                    caches: caches.clone(),
                    ..record.clone()
                });
            }
        }
        self.store.db().write(|transaction| {
            let mut layers = cache.layers.iter();
            layers.try_for_each(|layer| {
                describe(transaction, name, &Offer::of(layer, place.to_owned()))
            })
        })?;
        self.store.records().put_all(&lacking)?;
        Ok(Offered {
            new: lacking.len(),
            records: cache.records.len(),
        })
    }

    /// What can be said of a claim before its layer comes.
    fn can_be_true(
        &self,
        record: &Record,
        described: &BTreeSet<Digest>,
    ) -> Result<bool, StoreError> {
        let Some(diff_id) = record.diff_id else {
            return Ok(record.tree == Tree::new(Vec::new()).digest());
        };
        // a layer that nobody describes cannot be had
        if !described.contains(&diff_id) {
            return Ok(false);
        }
        let known = self.known_tree(&diff_id)?;
        Ok(known.is_none_or(|tree| tree == record.tree))
    }

    /// The blobs of an image's layers that only these places have: they count for every command from now on.
    ///
    /// # Errors
    /// The database fails.
    pub fn bind(&self, offers: &[Offer]) -> Result<(), StoreError> {
        self.store.writable()?;
        self.store.db().write(|transaction| {
            let mut offers = offers.iter();
            offers.try_for_each(|offer| describe(transaction, BOUND, offer))
        })
    }

    /// Bytes of a layer's tar, whether it is here or only described; `None` for one that the store does not know.
    ///
    /// # Errors
    /// The database fails.
    pub fn layer_size(&self, diff_id: &Digest) -> Result<Option<u64>, StoreError> {
        let query = "SELECT tar_size FROM layers WHERE diff_id = ?1";
        let size: Option<i64> = self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let size = statement.query_row([diff_id.as_bytes()], |row| row.get(0));
            size.optional()
        })?;
        match size {
            Some(size) => Ok(Some(unsigned(size))),
            None => {
                let offered = self.offered_for(diff_id)?;
                Ok(offered.first().map(|offer| offer.tar_size))
            }
        }
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
            if !offers.is_empty() && !self.store.blobs().has(diff_id)? {
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
        let lost = self.store.inner.lost.lock();
        lost.unwrap_or_else(PoisonError::into_inner)
            .entry(*diff_id)
            .or_insert(Loss::Absent);
    }

    /// Layers that [`Exchange::forget_lost`] has told of in this process.
    #[must_use]
    pub fn forgotten(&self) -> BTreeSet<Digest> {
        let forgotten = self.store.inner.forgotten.lock();
        forgotten.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Offered layers that did not come, or were others, are not offered any more, so that their results are misses; which they were.
    ///
    /// # Errors
    /// The database fails.
    pub fn forget_lost(&self) -> Result<BTreeMap<Digest, Loss>, StoreError> {
        let lost = self.store.inner.lost.lock();
        let lost = std::mem::take(&mut *lost.unwrap_or_else(PoisonError::into_inner));
        if lost.is_empty() {
            return Ok(lost);
        }
        let delete = "DELETE FROM offered WHERE diff_id = ?1 AND cache <> ?2";
        let lost = self.store.db().write(|transaction| {
            let mut offered = BTreeMap::new();
            for (diff_id, loss) in lost {
                let deleted = transaction.execute(delete, (diff_id.as_bytes(), BOUND))?;
                if deleted > 0 || loss == Loss::Disproved {
                    offered.insert(diff_id, loss);
                }
            }
            Ok(offered)
        })?;
        self.stop_believing(lost.keys());
        let known = self.store.inner.forgotten.lock();
        known
            .unwrap_or_else(PoisonError::into_inner)
            .extend(lost.keys());
        Ok(lost)
    }

    /// The size that a layer which came must have, as the offer said: images were made with it.
    pub(crate) fn check_offer(&self, diff_id: &Digest, tar_size: u64) -> Result<(), StoreError> {
        let offered = self.offered_for(diff_id)?;
        match offered.iter().find(|offer| offer.tar_size != tar_size) {
            Some(offer) => Err(StoreError::SizeMismatch {
                digest: *diff_id,
                expected: offer.tar_size,
                found: tar_size,
            }),
            None => Ok(()),
        }
    }

    /// What is offered of a layer by places that the source reaches, sorted.
    pub(crate) fn offers(&self, diff_id: &Digest) -> Result<Vec<Offer>, StoreError> {
        let Some(source) = &self.store.source else {
            return Ok(Vec::new());
        };
        let mut offers = self.offered_for(diff_id)?;
        offers.retain(|offer| source.reaches(&offer.place));
        Ok(offers)
    }

    /// The most bytes that a blob may unpack to, if caches said it.
    pub(crate) fn offered_size(&self, blob: &Digest) -> Result<Option<u64>, StoreError> {
        let offered = self.offered_as(blob)?;
        Ok(offered.iter().map(|offer| offer.tar_size).max())
    }

    /// What counts of what is offered for a layer, sorted by place and blob.
    pub(crate) fn offered_for(&self, diff_id: &Digest) -> Result<Vec<Offer>, StoreError> {
        self.offered("SELECT * FROM offered WHERE diff_id = ?1", diff_id)
    }

    /// The same by the blob.
    pub(crate) fn offered_as(&self, blob: &Digest) -> Result<Vec<Offer>, StoreError> {
        self.offered("SELECT * FROM offered WHERE blob = ?1", blob)
    }

    fn offered(&self, query: &str, about: &Digest) -> Result<Vec<Offer>, StoreError> {
        let rows: Vec<(String, Offer)> = self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let rows = statement.query_map([about.as_bytes()], |row| {
                let offer = Offer {
                    place: row.get("place")?,
                    blob: digest(row, row.as_ref().column_index("blob")?)?,
                    size: unsigned(row.get("size")?),
                    diff_id: digest(row, row.as_ref().column_index("diff_id")?)?,
                    tar_size: unsigned(row.get("tar_size")?),
                    compression: row.get("compression")?,
                };
                Ok((row.get("cache")?, offer))
            })?;
            rows.collect()
        })?;
        let counts = |cache: &String| cache == BOUND || self.store.named.contains(cache);
        let counting = rows.into_iter().filter(|(cache, _)| counts(cache));
        let offers: BTreeSet<Offer> = counting.map(|(_, offer)| offer).collect();
        Ok(offers.into_iter().collect())
    }

    /// Whether the store has a result of this key, its own or said by this cache, with its layer.
    fn has_result(&self, key: &Digest, caches: &Caches) -> Result<bool, StoreError> {
        let query = "SELECT diff_id FROM records WHERE key = ?1 AND (caches = '' OR caches = ?2)";
        let found: Vec<Option<Digest>> = self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let rows =
                statement.query_map((key.as_bytes(), caches), |row| optional_digest(row, 0))?;
            rows.collect()
        })?;
        for diff_id in found {
            match diff_id {
                Some(diff_id) if !self.store.blobs().has(&diff_id)? => {}
                _ => return Ok(true),
            }
        }
        Ok(false)
    }
}

/// The name under which no cache can be: what is bound to the store.
const BOUND: &str = "";

impl Offer {
    fn of(layer: &SharedLayer, place: String) -> Self {
        Self {
            place,
            blob: layer.blob,
            size: layer.size,
            diff_id: layer.diff_id,
            tar_size: layer.tar_size,
            compression: layer.compression.clone(),
        }
    }
}

fn describe(transaction: &Transaction<'_>, cache: &str, offer: &Offer) -> rusqlite::Result<()> {
    let insert = "INSERT OR REPLACE INTO offered (diff_id, blob, cache, place, size, tar_size, compression) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let row = (
        offer.diff_id.as_bytes(),
        offer.blob.as_bytes(),
        cache,
        &offer.place,
        signed(offer.size),
        signed(offer.tar_size),
        &offer.compression,
    );
    transaction.prepare_cached(insert)?.execute(row).map(drop)
}
