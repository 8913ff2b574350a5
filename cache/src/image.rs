//! Images: manifests and configs that are kept verbatim, and the names that point to them.

pub(crate) mod find;
mod index;
pub(crate) mod sizes;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;
use std::io::Read;

use kiln_oci::{Digest, ImageConfig, Manifest, Reference};
use rusqlite::{OptionalExtension, Transaction};

use crate::store::database::{digest, signed, unsigned};
use crate::store::used::Thing;
use crate::{ImageError, Images, StoreError};

/// An image as it is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredImage {
    /// Digest of the manifest.
    pub manifest_digest: Digest,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// Digest of the config: the image's id.
    pub config_digest: Digest,
    /// The config's bytes.
    pub config: Vec<u8>,
    /// Diff IDs, bottom first.
    pub diff_ids: Vec<Digest>,
    /// Names, sorted: its own, and those of the indexes that list it.
    pub references: Vec<Reference>,
    /// The index that it was found through.
    pub index: Option<Digest>,
}

/// What a list of images shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSummary {
    /// Digest of the manifest.
    pub manifest: Digest,
    /// Digest of the config: the image's id.
    pub id: Digest,
    /// Names, sorted: its own, and those of the indexes that list it. Empty for a dangling image.
    pub references: Vec<Reference>,
    /// Indexes that list it, sorted.
    pub indexes: Vec<Digest>,
    /// When it was put into this store, seconds since 1970.
    pub stored: i64,
    /// Bytes of its uncompressed layers, shared ones counted.
    pub size: u64,
    /// Diff IDs, bottom first.
    pub diff_ids: Vec<Digest>,
}

/// Larger manifests and configs are refused, as everywhere.
const MAX_DOCUMENT: u64 = 4 << 20;

impl Images<'_> {
    /// Puts an image whose layers are in the store, or at an origin that [`crate::Origins::add`] was given; returns manifest and
    /// config digest. Not durable before it is tagged.
    ///
    /// # Errors
    /// Manifest or config cannot be understood, or a layer is missing.
    pub fn put(&self, manifest: &[u8], config: &[u8]) -> Result<(Digest, Digest), ImageError> {
        let (manifest_digest, config_digest) = (Digest::of(manifest), Digest::of(config));
        let malformed = |what, digest, problem: String| ImageError::Malformed {
            what,
            digest,
            problem,
        };
        let parsed = Manifest::parse(manifest)
            .map_err(|error| malformed("manifest", manifest_digest, error.to_string()))?;
        let parsed_config = ImageConfig::parse(config)
            .map_err(|error| malformed("config", config_digest, error.to_string()))?;
        if parsed.config.digest != config_digest {
            return Err(malformed(
                "manifest",
                manifest_digest,
                format!(
                    "its config is {}, not {config_digest}",
                    parsed.config.digest
                ),
            ));
        }
        let diff_ids = &parsed_config.rootfs.diff_ids;
        if diff_ids.len() != parsed.layers.len() {
            return Err(malformed(
                "manifest",
                manifest_digest,
                format!(
                    "it has {} layers, its config {}",
                    parsed.layers.len(),
                    diff_ids.len()
                ),
            ));
        }
        let layers: Vec<(Digest, Digest, u64)> = diff_ids
            .iter()
            .zip(&parsed.layers)
            .map(|(diff_id, layer)| (*diff_id, layer.digest, layer.size))
            .collect();
        let named = layers.iter().flat_map(|layer| [layer.0, layer.1]);
        self.store.leases().pin(&named.collect::<Vec<Digest>>())?;
        for &(_, digest, _) in &layers {
            // the tar can be made from the blob
            if !self.store.blobs().has(&digest)?
                && !self.store.origins().has(&digest)?
                && !self.store.exchange().is_importable(&digest)?
            {
                return Err(StoreError::Missing { digest }.into());
            }
        }
        self.store.blobs().put(&mut &*manifest, None)?;
        self.store.blobs().put(&mut &*config, None)?;
        let now = self.store.now();
        self.store.db().write(|transaction| {
            insert(transaction, &manifest_digest, &config_digest, &layers, now)
        })?;
        Ok((manifest_digest, config_digest))
    }

    /// Points a name to an image, or to an index. Durable on return, with everything that the image needs; of an index, with
    /// those of its images that are here.
    ///
    /// # Errors
    /// There is no such image, or the disk fails.
    pub fn tag(&self, reference: &Reference, manifest: &Digest) -> Result<(), ImageError> {
        self.store.writable()?;
        if !self.store.indexes().pin_named(manifest)? {
            return Err(ImageError::NotFound {
                name: manifest.to_string(),
            });
        }
        let mut blobs = BTreeSet::new();
        for digest in self.store.indexes().blobs_of_named(manifest)? {
            if self.store.blobs().has(&digest)? {
                blobs.insert(digest);
            }
        }
        let name = stored_name(reference);
        if self.is_durably_tagged(&name, manifest, &blobs)? {
            return Ok(());
        }
        self.store.blobs().make_durable(&blobs)?;
        let now = self.store.now();
        self.store.db().write_durably(|transaction| {
            let mut update =
                transaction.prepare_cached("UPDATE blobs SET synced = 1 WHERE digest = ?1")?;
            blobs
                .iter()
                .try_for_each(|digest| update.execute([digest.as_bytes()]).map(drop))?;
            let replace =
                "INSERT OR REPLACE INTO tags (reference, manifest, tagged) VALUES (?1, ?2, ?3)";
            transaction
                .execute(replace, (name, manifest.as_bytes(), now))
                .map(drop)
        })?;
        Ok(())
    }

    /// Whether a tag says just that already: a rebuild that changed nothing syncs nothing.
    fn is_durably_tagged(
        &self,
        name: &str,
        manifest: &Digest,
        blobs: &BTreeSet<Digest>,
    ) -> Result<bool, StoreError> {
        let query = "SELECT manifest = ?2 FROM tags WHERE reference = ?1";
        let same: Option<bool> = self.store.db().query(|connection| {
            let parameters = (name, manifest.as_bytes());
            connection
                .query_row(query, parameters, |row| row.get(0))
                .optional()
        })?;
        if same != Some(true) {
            return Ok(false);
        }
        for digest in blobs {
            if !self.store.blobs().is_durable(digest)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes a name; `false` when there was none. Durable on return.
    ///
    /// # Errors
    /// The database fails.
    pub fn untag(&self, reference: &Reference) -> Result<bool, StoreError> {
        self.store.writable()?;
        let name = stored_name(reference);
        self.store.db().write_durably(|transaction| {
            Ok(transaction.execute("DELETE FROM tags WHERE reference = ?1", [name])? > 0)
        })
    }

    /// When an image, or an index that it was found through, got its last name: seconds since 1970. `None` for one without a name,
    /// and for names of before that was noted.
    ///
    /// # Errors
    /// The database fails.
    pub fn last_tagged(&self, image: &StoredImage) -> Result<Option<i64>, StoreError> {
        let query = "SELECT max(tagged) FROM tags WHERE manifest IN (?1, ?2) AND tagged > 0";
        let index = image.index.unwrap_or(image.manifest_digest);
        self.store.db().query(|connection| {
            let digests = (image.manifest_digest.as_bytes(), index.as_bytes());
            connection.query_row(query, digests, |row| row.get(0))
        })
    }

    /// All images, the newest first.
    ///
    /// # Errors
    /// The database fails.
    pub fn list(&self) -> Result<Vec<ImageSummary>, StoreError> {
        let query = "SELECT manifest, config, stored FROM images ORDER BY stored DESC, manifest";
        let rows: Vec<(Digest, Digest, i64)> = self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let rows = statement.query_map([], |row| {
                Ok((digest(row, 0)?, digest(row, 1)?, row.get(2)?))
            })?;
            rows.collect()
        })?;
        rows.into_iter()
            .map(|(manifest, id, stored)| self.summary(manifest, id, stored))
            .collect()
    }

    fn summary(
        &self,
        manifest: Digest,
        id: Digest,
        stored: i64,
    ) -> Result<ImageSummary, StoreError> {
        let query = "SELECT l.diff_id, coalesce(s.tar_size, l.size) FROM image_layers l LEFT JOIN layers s ON s.diff_id = l.diff_id \
                     WHERE l.manifest = ?1 ORDER BY l.position";
        let layers: Vec<(Digest, i64)> = self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let rows = statement.query_map([manifest.as_bytes()], |row| {
                Ok((digest(row, 0)?, row.get(1)?))
            })?;
            rows.collect()
        })?;
        let size = layers.iter().map(|(_, size)| unsigned(*size)).sum();
        let diff_ids = layers.into_iter().map(|(diff_id, _)| diff_id).collect();
        Ok(ImageSummary {
            manifest,
            id,
            references: self.names_of(&manifest)?,
            indexes: self.store.indexes().containing(&manifest)?,
            stored,
            size,
            diff_ids,
        })
    }

    /// Names of an image or index, sorted; also those of indexes that list it.
    ///
    /// # Errors
    /// The database fails.
    pub fn names_of(&self, manifest: &Digest) -> Result<Vec<Reference>, StoreError> {
        let query = "WITH RECURSIVE named (digest) AS (VALUES (?1) UNION \
                     SELECT index_children.digest FROM index_children JOIN named ON index_children.child = named.digest) \
                     SELECT reference FROM tags WHERE manifest IN (SELECT digest FROM named) ORDER BY reference";
        let names: Vec<String> = self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let rows = statement.query_map([manifest.as_bytes()], |row| row.get(0))?;
            rows.collect()
        })?;
        let parsed = names.iter().map(|name| {
            Reference::parse(name).map_err(|_| StoreError::Damaged {
                what: format!("the name {name}"),
            })
        });
        parsed.collect()
    }

    /// The image with this manifest digest.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, manifest: &Digest) -> Result<StoredImage, ImageError> {
        let not_found = || ImageError::NotFound {
            name: manifest.to_string(),
        };
        if !self.pin(manifest)? {
            return Err(not_found());
        }
        let query = "SELECT config FROM images WHERE manifest = ?1";
        let config_digest = self.store.db().query(|connection| {
            connection
                .prepare_cached(query)?
                .query_row([manifest.as_bytes()], |row| digest(row, 0))
        })?;
        let (manifest_bytes, config) = (self.document(manifest)?, self.document(&config_digest)?);
        let parsed = ImageConfig::parse(&config);
        let parsed = parsed.map_err(|error| ImageError::Malformed {
            what: "config",
            digest: config_digest,
            problem: error.to_string(),
        })?;
        Ok(StoredImage {
            manifest_digest: *manifest,
            manifest: manifest_bytes,
            config_digest,
            config,
            diff_ids: parsed.rootfs.diff_ids,
            references: self.names_of(manifest)?,
            index: None,
        })
    }

    fn document(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        let read = self
            .store
            .blobs()
            .open(digest)?
            .take(MAX_DOCUMENT)
            .read_to_end(&mut bytes);
        read.map_err(|source| StoreError::io("read", &self.store.blobs().path(digest), source))?;
        Ok(bytes)
    }

    /// Removes an image and its names; its layers stay until a prune. With an index go the images that nothing else names.
    ///
    /// # Errors
    /// There is none, or the database fails.
    pub fn remove(&self, manifest: &Digest) -> Result<(), ImageError> {
        self.store.writable()?;
        let removed = self.store.db().write_durably(|transaction| {
            let children = index::children(transaction, manifest)?;
            let removed = delete(transaction, manifest)?;
            children
                .iter()
                .try_for_each(|child| index::delete_unnamed(transaction, child))?;
            Ok(removed)
        })?;
        if !removed {
            return Err(ImageError::NotFound {
                name: manifest.to_string(),
            });
        }
        Ok(())
    }

    /// Pins all that an image needs and says whether all of it is here or can be fetched.
    pub(crate) fn pin(&self, manifest: &Digest) -> Result<bool, StoreError> {
        let blobs = self.blobs_of(manifest)?;
        if blobs.is_empty() {
            return Ok(false);
        }
        let list: Vec<Digest> = blobs.iter().copied().collect();
        self.store.leases().pin(&list)?;
        self.store.touch(Thing::Image, manifest);
        for digest in &list {
            self.store.touch(Thing::Layer, digest);
            if !self.store.origins().is_within_reach(digest)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Manifest, config, layers as the manifest names them, and their tars. Empty when there is no such image.
    pub(crate) fn blobs_of(&self, manifest: &Digest) -> Result<BTreeSet<Digest>, StoreError> {
        let query = "SELECT manifest FROM images WHERE manifest = ?1 UNION SELECT config FROM images WHERE manifest = ?1 \
                     UNION SELECT diff_id FROM image_layers WHERE manifest = ?1 UNION SELECT blob FROM image_layers WHERE manifest = ?1";
        self.store.db().query(|connection| {
            let mut statement = connection.prepare_cached(query)?;
            let rows = statement.query_map([manifest.as_bytes()], |row| digest(row, 0))?;
            rows.collect()
        })
    }
}

/// How a name is stored: in full, with its tag.
fn stored_name(reference: &Reference) -> String {
    reference.clone().with_default_tag().to_string()
}

fn insert(
    transaction: &Transaction<'_>,
    manifest: &Digest,
    config: &Digest,
    layers: &[(Digest, Digest, u64)],
    now: i64,
) -> rusqlite::Result<()> {
    let upsert = "INSERT INTO images (manifest, config, stored, used) VALUES (?1, ?2, ?3, ?3) ON CONFLICT DO UPDATE SET used = ?3";
    transaction
        .prepare_cached(upsert)?
        .execute((manifest.as_bytes(), config.as_bytes(), now))?;
    let mut layer = transaction.prepare_cached("INSERT OR REPLACE INTO image_layers (manifest, position, diff_id, blob, size) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, (diff_id, blob, size)) in (0_i64..).zip(layers) {
        layer.execute((
            manifest.as_bytes(),
            position,
            diff_id.as_bytes(),
            blob.as_bytes(),
            signed(*size),
        ))?;
    }
    Ok(())
}

/// Removes the rows of an image or an index; `false` when there were none.
pub(crate) fn delete(transaction: &Transaction<'_>, manifest: &Digest) -> rusqlite::Result<bool> {
    let delete = |from: &str| {
        let statement = format!("DELETE FROM {from} = ?1");
        transaction.execute(&statement, [manifest.as_bytes()])
    };
    for from in [
        "tags WHERE manifest",
        "image_layers WHERE manifest",
        "memos WHERE manifest",
        "index_children WHERE digest",
        "index_blobs WHERE digest",
    ] {
        delete(from)?;
    }
    Ok(delete("images WHERE manifest")? + delete("indexes WHERE digest")? > 0)
}
