//! Which repositories hold a blob or manifest, as far as this store has seen.

use std::collections::BTreeSet;

use kiln_oci::Digest;
use rusqlite::OptionalExtension;

use crate::lazy::RemoteBlob;
use crate::store::database::{digest, unsigned};
use crate::{Origins, StoreError};

impl Origins<'_> {
    /// Remembers that a repository (`registry/path`) holds these blobs, manifests or indexes.
    ///
    /// # Errors
    /// The database fails.
    pub fn add(&self, repository: &str, digests: &[Digest]) -> Result<(), StoreError> {
        let same: Vec<(Digest, Digest)> = digests.iter().map(|digest| (*digest, *digest)).collect();
        self.add_all(repository, &same)
    }

    /// The same for what has another digest there, because its layers were compressed on the way: `(here, there)`.
    ///
    /// # Errors
    /// The database fails.
    pub fn add_all(
        &self,
        repository: &str,
        digests: &[(Digest, Digest)],
    ) -> Result<(), StoreError> {
        self.store.writable()?;
        let replace =
            "INSERT OR REPLACE INTO origins (digest, repository, there) VALUES (?1, ?2, ?3)";
        self.store.db().write(|transaction| {
            let mut replace = transaction.prepare_cached(replace)?;
            digests.iter().try_for_each(|(here, there)| {
                replace
                    .execute((here.as_bytes(), repository, there.as_bytes()))
                    .map(drop)
            })
        })
    }

    /// Repositories that hold a blob, manifest or index, sorted, and its digest there.
    ///
    /// # Errors
    /// The database fails.
    pub fn of(&self, of: &Digest) -> Result<Vec<(String, Digest)>, StoreError> {
        let query = "SELECT repository, there FROM origins WHERE digest = ?1";
        let mut found: BTreeSet<(String, Digest)> = self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let rows =
                statement.query_map([of.as_bytes()], |row| Ok((row.get(0)?, digest(row, 1)?)))?;
            rows.collect()
        })?;
        found.extend(
            self.store
                .exchange()
                .offered_as(of)?
                .into_iter()
                .map(|offer| (offer.place, *of)),
        );
        Ok(found.into_iter().collect())
    }

    /// A blob of an image that some repository holds under the same digest.
    pub(crate) fn remote_blob(&self, blob: &Digest) -> Result<Option<RemoteBlob>, StoreError> {
        let query = "SELECT max(size) FROM image_layers WHERE blob = ?1";
        let size: Option<i64> = self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            statement.query_row([blob.as_bytes()], |row| row.get(0))
        })?;
        let offered = self
            .store
            .exchange()
            .offered_as(blob)?
            .into_iter()
            .map(|offer| offer.size);
        let size = offered.chain(size.map(unsigned)).max();
        let Some(size) = size else { return Ok(None) };
        let repositories: Vec<String> = self
            .of(blob)?
            .into_iter()
            .filter(|(_, there)| there == blob)
            .map(|(repository, _)| repository)
            .collect();
        Ok((!repositories.is_empty()).then_some(RemoteBlob {
            digest: *blob,
            size,
            repositories,
        }))
    }

    /// Whether a repository is known that holds the blob.
    pub(crate) fn has(&self, blob: &Digest) -> Result<bool, StoreError> {
        let query = "SELECT EXISTS (SELECT 1 FROM origins WHERE digest = ?1 AND there = ?1)";
        self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            statement.query_row([blob.as_bytes()], |row| row.get(0))
        })
    }

    /// Whether something that an image needs is here or can be brought: manifest, config, a layer's blob or tar.
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
        let mut blobs: BTreeSet<Digest> = self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let rows = statement.query_map([diff_id.as_bytes()], |row| digest(row, 0))?;
            rows.collect()
        })?;
        blobs.extend(
            self.store
                .exchange()
                .offered_for(diff_id)?
                .iter()
                .map(|offer| offer.blob),
        );
        Ok(blobs.into_iter().collect())
    }

    /// Whether images or shared caches name a digest as the diff ID of a layer.
    pub(crate) fn is_described_layer(&self, diff_id: &Digest) -> Result<bool, StoreError> {
        let query = "SELECT 1 FROM image_layers WHERE diff_id = ?1 LIMIT 1";
        let found = self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            statement
                .query_row([diff_id.as_bytes()], |_| Ok(()))
                .optional()
        })?;
        Ok(found.is_some() || !self.store.exchange().offered_for(diff_id)?.is_empty())
    }
}
