//! Images: manifests and configs, kept verbatim. Unaware of names, which are in `image/names.rs`.

pub(crate) mod find;
mod index;
mod names;
mod passing;
pub(crate) mod sizes;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;

use kiln_oci::{Digest, ImageConfig, Manifest, Reference};
use rusqlite::Transaction;

use crate::store::database::{digest, execute_each, signed, unsigned};
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
    /// The index that led to it.
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

/// A layer of an image: its diff ID, its blob as the manifest names it, and the size of that.
type LayerOfImage = (Digest, Digest, u64);

impl Images<'_> {
    /// Puts an image whose layers are in the store, or at an origin that [`crate::Origins::add`] has noted. Returns the digests of
    /// manifest and config. The image is durable once it is tagged.
    ///
    /// # Errors
    /// Manifest or config cannot be understood, or a layer is missing.
    pub fn put(&self, manifest: &[u8], config: &[u8]) -> Result<(Digest, Digest), ImageError> {
        let (manifest_digest, config_digest) = (Digest::of(manifest), Digest::of(config));
        let layers = layers_of(manifest, config, config_digest)?;
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

    /// All images, the newest first.
    ///
    /// # Errors
    /// The database fails.
    pub fn list(&self) -> Result<Vec<ImageSummary>, StoreError> {
        let query = "SELECT manifest, config, stored FROM images ORDER BY stored DESC, manifest";
        let rows: Vec<(Digest, Digest, i64)> = self.store.db().rows(query, [], |row| {
            Ok((digest(row, 0)?, digest(row, 1)?, row.get(2)?))
        })?;
        let summaries = rows.into_iter().map(|row| self.summary(row));
        summaries.collect()
    }

    fn summary(
        &self,
        (manifest, id, stored): (Digest, Digest, i64),
    ) -> Result<ImageSummary, StoreError> {
        let query = "SELECT l.diff_id, coalesce(s.tar_size, l.size) FROM image_layers l LEFT JOIN layers s ON s.diff_id = l.diff_id \
                     WHERE l.manifest = ?1 ORDER BY l.position";
        let row = [manifest.as_bytes()];
        let layers = self.store.db().rows(query, row, |row| {
            Ok((digest(row, 0)?, unsigned(row.get(1)?)))
        })?;
        let (diff_ids, sizes): (Vec<Digest>, Vec<u64>) = Vec::into_iter(layers).unzip();
        Ok(ImageSummary {
            manifest,
            id,
            references: self.names_of(&manifest)?,
            indexes: self.store.indexes().containing(&manifest)?,
            stored,
            size: sizes.into_iter().sum(),
            diff_ids,
        })
    }

    /// The image with this manifest digest.
    ///
    /// # Errors
    /// There is no such image.
    pub fn get(&self, manifest: &Digest) -> Result<StoredImage, ImageError> {
        let query = "SELECT config FROM images WHERE manifest = ?1";
        let row = [manifest.as_bytes()];
        let config_digest = match self.pin(manifest)? {
            true => self.store.db().row(query, row, |row| digest(row, 0))?,
            false => None,
        };
        let config_digest = config_digest.ok_or_else(|| not_found(manifest))?;
        let config = self.document(&config_digest)?;
        let parsed = parse_config(&config)?;
        Ok(StoredImage {
            manifest_digest: *manifest,
            manifest: self.document(manifest)?,
            config_digest,
            config,
            diff_ids: parsed.rootfs.diff_ids,
            index: None,
        })
    }

    fn document(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        self.store.blobs().read(digest, MAX_DOCUMENT)
    }

    /// Removes an image and its names; its layers stay until a prune. With an index go the images that nothing else names.
    ///
    /// # Errors
    /// There is no such image, or the database fails.
    pub fn remove(&self, manifest: &Digest) -> Result<(), ImageError> {
        let removed = self.remove_all(std::slice::from_ref(manifest))?;
        let is_gone = !removed.is_empty();
        is_gone.then_some(()).ok_or_else(|| not_found(manifest))
    }

    /// The same for several, all or none; manifests of the images, and digests of the indexes, that are gone. What was gone before is
    /// none of them.
    ///
    /// # Errors
    /// The database fails.
    pub fn remove_all(&self, named: &[Digest]) -> Result<Vec<Digest>, StoreError> {
        self.store.writable()?;
        let removed = |transaction: &Transaction<'_>| remove_named(transaction, named);
        self.store.db().write_durably(removed)
    }

    /// Pins all that an image needs, and says whether all of it is here or can be fetched.
    pub(crate) fn pin(&self, manifest: &Digest) -> Result<bool, StoreError> {
        Ok(self.pinned(manifest)?.is_some())
    }

    /// What an image needs, pinned; `None` if not all of it is here or can be fetched.
    pub(crate) fn pinned(&self, manifest: &Digest) -> Result<Option<BTreeSet<Digest>>, StoreError> {
        let blobs = self.blobs_of(manifest)?;
        if blobs.is_empty() {
            return Ok(None);
        }
        let pins: Vec<Digest> = blobs.iter().copied().collect();
        self.store.leases().pin(&pins)?;
        self.store.touch(Thing::Image, manifest);
        for digest in &blobs {
            self.store.touch(Thing::Layer, digest);
            if !self.store.origins().is_within_reach(digest)? {
                return Ok(None);
            }
        }
        Ok(Some(blobs))
    }

    /// Manifest, config, layers as the manifest names them, and their tars. Empty when there is no such image.
    pub(crate) fn blobs_of(&self, manifest: &Digest) -> Result<BTreeSet<Digest>, StoreError> {
        // what stands twice is once in the set
        let query = "SELECT manifest FROM images WHERE manifest = ?1 UNION ALL SELECT config FROM images WHERE manifest = ?1 UNION ALL \
                     SELECT diff_id FROM image_layers WHERE manifest = ?1 UNION ALL SELECT blob FROM image_layers WHERE manifest = ?1";
        self.store.db().digests(query, manifest)
    }
}

/// The layers of an image, as manifest and config describe them together.
fn layers_of(
    manifest: &[u8],
    config: &[u8],
    config_digest: Digest,
) -> Result<Vec<LayerOfImage>, ImageError> {
    let wrong = |problem: String| malformed("manifest", manifest, problem);
    let parsed = Manifest::parse(manifest).map_err(|error| wrong(error.to_string()))?;
    let diff_ids = parse_config(config)?.rootfs.diff_ids;
    let (named, layers) = (parsed.config.digest, parsed.layers);
    if named != config_digest {
        return Err(wrong(format!("its config is {named}, not {config_digest}")));
    }
    if diff_ids.len() != layers.len() {
        let (has, wanted) = (layers.len(), diff_ids.len());
        return Err(wrong(format!("it has {has} layers, its config {wanted}")));
    }
    let layers = diff_ids.into_iter().zip(layers);
    Ok(layers
        .map(|(diff_id, layer)| (diff_id, layer.digest, layer.size))
        .collect())
}

fn parse_config(config: &[u8]) -> Result<ImageConfig, ImageError> {
    ImageConfig::parse(config).map_err(|error| malformed("config", config, error.to_string()))
}

fn malformed(what: &'static str, document: &[u8], problem: String) -> ImageError {
    ImageError::Malformed {
        what,
        digest: Digest::of(document),
        problem,
    }
}

fn not_found(manifest: &Digest) -> ImageError {
    ImageError::NotFound {
        name: manifest.to_string(),
    }
}

fn insert(
    transaction: &Transaction<'_>,
    manifest: &Digest,
    config: &Digest,
    layers: &[LayerOfImage],
    now: i64,
) -> rusqlite::Result<()> {
    let upsert = "INSERT INTO images (manifest, config, stored, used) VALUES (?1, ?2, ?3, ?3) ON CONFLICT DO UPDATE SET used = ?3";
    let row = (manifest.as_bytes(), config.as_bytes(), now);
    transaction.prepare_cached(upsert)?.execute(row)?;
    let replace = "INSERT OR REPLACE INTO image_layers (manifest, position, diff_id, blob, size) VALUES (?1, ?2, ?3, ?4, ?5)";
    let rows = (0_i64..).zip(layers).map(|(position, layer)| {
        let (diff_id, blob) = (layer.0.as_bytes(), layer.1.as_bytes());
        (
            manifest.as_bytes(),
            position,
            diff_id,
            blob,
            signed(layer.2),
        )
    });
    execute_each(transaction, replace, rows)
}

/// Removes images, or indexes with those of their images that nothing else names; what is gone.
pub(crate) fn remove_named(
    transaction: &Transaction<'_>,
    named: &[Digest],
) -> rusqlite::Result<Vec<Digest>> {
    let mut gone = Vec::new();
    for named in named {
        let children = index::children(transaction, named)?;
        if delete(transaction, named)? {
            gone.push(*named);
        }
        for child in children {
            if index::delete_unnamed(transaction, &child)? {
                gone.push(child);
            }
        }
    }
    Ok(gone)
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
