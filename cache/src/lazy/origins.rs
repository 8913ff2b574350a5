//! Where a blob or manifest is, as far as this store has seen.

use std::collections::BTreeSet;

use kiln_oci::Digest;

use crate::lazy::RemoteBlob;
use crate::store::database::{digest, unsigned};
use crate::{CacheOrigin, Origins, StoreError};

impl Origins<'_> {
    /// Remembers that these blobs, manifests or indexes are at an origin.
    ///
    /// # Errors
    /// The database fails.
    pub fn add(&self, origin: &CacheOrigin, digests: &[Digest]) -> Result<(), StoreError> {
        let same: Vec<(Digest, Digest)> = digests.iter().map(|digest| (*digest, *digest)).collect();
        self.add_all(origin, &same)
    }

    /// The same for what has another digest there, because its layers were compressed on the way: `(here, there)`.
    ///
    /// # Errors
    /// The database fails.
    pub fn add_all(
        &self,
        origin: &CacheOrigin,
        digests: &[(Digest, Digest)],
    ) -> Result<(), StoreError> {
        // it only saves time later
        if self.store.inner.options.read_only {
            return Ok(());
        }
        let replace =
            "INSERT OR REPLACE INTO origins (digest, repository, there) VALUES (?1, ?2, ?3)";
        let origin = origin.to_string();
        self.store.db().write(|transaction| {
            let mut replace = transaction.prepare_cached(replace)?;
            digests.iter().try_for_each(|(here, there)| {
                replace
                    .execute((here.as_bytes(), &origin, there.as_bytes()))
                    .map(drop)
            })
        })
    }

    /// Where a blob, manifest or index is, sorted, and its digest there.
    ///
    /// # Errors
    /// The database fails.
    pub fn of(&self, of: &Digest) -> Result<Vec<(CacheOrigin, Digest)>, StoreError> {
        let query = "SELECT repository, there FROM origins WHERE digest = ?1";
        let known: Vec<(String, Digest)> = self.store.db().rows(query, [of.as_bytes()], |row| {
            Ok((row.get(0)?, digest(row, 1)?))
        })?;
        // what another version wrote may be unreadable
        let known = known.into_iter();
        let known =
            known.filter_map(|(origin, there)| Some((CacheOrigin::parse(&origin).ok()?, there)));
        let imported = self.store.exchange().imported_as(of)?.into_iter();
        let imported = imported.map(|known| (known.origin, *of));
        let found: BTreeSet<_> = known.chain(imported).collect();
        Ok(found.into_iter().collect())
    }

    /// Where a blob is that has the same digest there.
    ///
    /// # Errors
    /// The database fails.
    pub fn same(&self, blob: &Digest) -> Result<Vec<CacheOrigin>, StoreError> {
        let origins = self.of(blob)?.into_iter();
        let same = origins.filter(|(_, there)| there == blob);
        Ok(same.map(|(origin, _)| origin).collect())
    }

    /// A blob of an image or of a cache that is at some origin under the same digest.
    pub(crate) fn remote_blob(&self, blob: &Digest) -> Result<Option<RemoteBlob>, StoreError> {
        let query = "SELECT max(size) FROM image_layers WHERE blob = ?1";
        let row = [blob.as_bytes()];
        let size: Option<Option<i64>> = self.store.db().row(query, row, |row| row.get(0))?;
        let imported = self.store.exchange().imported_as(blob)?.into_iter();
        let imported = imported.map(|known| known.layer.size);
        let Some(size) = imported.chain(size.flatten().map(unsigned)).max() else {
            return Ok(None);
        };
        let origins = self.same(blob)?;
        Ok((!origins.is_empty()).then_some(RemoteBlob {
            digest: *blob,
            size,
            origins,
        }))
    }

    /// Whether an origin of the blob is known.
    pub(crate) fn has(&self, blob: &Digest) -> Result<bool, StoreError> {
        let query = "SELECT 1 FROM origins WHERE digest = ?1 AND there = ?1";
        let found = self.store.db().row(query, [blob.as_bytes()], |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// Whether something that an image needs is here or can be fetched: manifest, config, a layer's blob or tar.
    pub(crate) fn is_within_reach(&self, digest: &Digest) -> Result<bool, StoreError> {
        if self.store.blobs().verify(digest)? {
            return Ok(true);
        }
        if self.remote_blob(digest)?.is_some() {
            return Ok(true);
        }
        for blob in self.blobs_of_layer(digest)? {
            if blob != *digest
                && (self.store.blobs().verify(&blob)? || self.remote_blob(&blob)?.is_some())
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The blobs that hold a layer: as it came in, as images name it, as kiln compressed it.
    pub(crate) fn blobs_of_layer(&self, diff_id: &Digest) -> Result<Vec<Digest>, StoreError> {
        let query = "SELECT compressed FROM layers WHERE diff_id = ?1 AND compressed IS NOT NULL UNION \
                     SELECT blob FROM image_layers WHERE diff_id = ?1 UNION SELECT digest FROM forms WHERE diff_id = ?1";
        let mut blobs: BTreeSet<Digest> =
            self.store
                .db()
                .rows(query, [diff_id.as_bytes()], |row| digest(row, 0))?;
        blobs.extend(
            self.store
                .exchange()
                .imported(diff_id)?
                .iter()
                .map(|known| known.layer.blob),
        );
        Ok(blobs.into_iter().collect())
    }

    /// Whether images or imported caches name a digest as the diff ID of a layer.
    pub(crate) fn is_layer(&self, diff_id: &Digest) -> Result<bool, StoreError> {
        let query = "SELECT 1 FROM image_layers WHERE diff_id = ?1 LIMIT 1";
        let found = self
            .store
            .db()
            .row(query, [diff_id.as_bytes()], |_| Ok(()))?;
        Ok(found.is_some() || !self.store.exchange().imported(diff_id)?.is_empty())
    }
}
