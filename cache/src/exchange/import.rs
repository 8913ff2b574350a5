//! A store imports what others exported: their records are kept as claims beside its own, and their layers are described in the table
//! `offered`. Unaware of networks: an imported layer counts as long as the store's [`Fetcher`](crate::Fetcher) reaches an origin that has
//! it.
//!
//! What a cache says counts for builds that name the cache. A blob that an image of this store needs is bound to the store: the image
//! was made by a build that named the cache, and later commands need not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kiln_oci::Digest;
use rusqlite::{OptionalExtension, Row};

use super::{CacheOrigin, Caches, ExportedBuild, ExportedCache, ExportedLayer, Loss};
use crate::store::database::{digest, optional_digest, signed, unsigned};
use crate::{Exchange, Record, StoreError, Tree};

/// A layer that somebody exported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImportedLayer {
    /// Where the blob is that holds it.
    pub origin: CacheOrigin,
    /// The layer and its blob.
    pub layer: ExportedLayer,
}

/// The name under which no cache can be: what is bound to the store.
const BOUND: &str = "";

/// The name of a cache, and what it says.
type Told = (String, ImportedLayer);

impl Exchange<'_> {
    /// Imports the cache of this name, whose layers are at `origin`. A result whose layer the store has stays as it is; one that cannot
    /// be true is not taken. Returns how many results are new. What a store that is only read learns so, it knows until it is closed.
    ///
    /// # Errors
    /// The database fails.
    pub fn import(
        &self,
        name: &str,
        origin: &CacheOrigin,
        cache: &ExportedCache,
    ) -> Result<usize, StoreError> {
        self.keep_apart()?;
        let described: BTreeSet<Digest> = cache.layers.iter().map(|layer| layer.diff_id).collect();
        let caches = Caches::one(name);
        let mut lacking = Vec::new();
        for record in &cache.records {
            if self.can_be_true(record, &described)? && !self.has_result(&record.key, &caches)? {
                let mut record = record.clone();
                record.caches = caches.clone();
                lacking.push(record);
            }
        }
        let layers = cache.layers.iter().map(|layer| (origin, layer));
        self.describe(name, layers)?;
        self.store.records().put_all(&lacking)?;
        Ok(lacking.len())
    }

    /// Keeps what build a cache is of, for this build: the first one counts.
    pub fn hear(&self, build: ExportedBuild) {
        self.store.imports.hear(build);
    }

    /// The build elsewhere of which the caches have been heard.
    #[must_use]
    pub fn heard(&self) -> Option<Arc<ExportedBuild>> {
        self.store.imports.heard()
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
        // a layer that nobody describes cannot be fetched
        if !described.contains(&diff_id) {
            return Ok(false);
        }
        let known = self.known_tree(&diff_id)?;
        Ok(known.is_none_or(|tree| tree == record.tree))
    }

    /// Binds layers of an image to the store that only these origins have: they count for every command from now on.
    ///
    /// # Errors
    /// The database fails.
    pub fn bind(&self, layers: &[ImportedLayer]) -> Result<(), StoreError> {
        self.store.writable()?;
        self.describe(
            BOUND,
            layers.iter().map(|known| (&known.origin, &known.layer)),
        )
    }

    /// Bytes of a layer's tar, whether it is here or only described; `None` for one that the store does not know.
    ///
    /// # Errors
    /// The database fails.
    pub fn layer_size(&self, diff_id: &Digest) -> Result<Option<u64>, StoreError> {
        Ok(self.layer_sizes([diff_id])?.into_iter().next().flatten())
    }

    /// The same of several, in their order.
    ///
    /// # Errors
    /// The database fails.
    pub fn layer_sizes<'d>(
        &self,
        diff_ids: impl IntoIterator<Item = &'d Digest> + Clone,
    ) -> Result<Vec<Option<u64>>, StoreError> {
        let query = "SELECT tar_size FROM layers WHERE diff_id = ?1";
        let here: Vec<Option<i64>> = self.store.db().snapshot(|connection| {
            let mut size = connection.prepare_cached(query)?;
            let mut size = |digest: &Digest| {
                let row = size.query_row([digest.as_bytes()], |row| row.get(0));
                row.optional()
            };
            diff_ids.clone().into_iter().map(&mut size).collect()
        })?;
        let sizes = here.into_iter().zip(diff_ids);
        let size = |(here, diff_id): (Option<i64>, &Digest)| match here {
            Some(size) => Ok(Some(unsigned(size))),
            None => {
                let imported = self.imported(diff_id)?;
                Ok(imported.first().map(|known| known.layer.tar_size))
            }
        };
        sizes.map(size).collect()
    }

    /// Of some layers those that are not here, each with the origins that can be reached.
    ///
    /// # Errors
    /// The database fails.
    pub fn only_remote(
        &self,
        diff_ids: &[Digest],
    ) -> Result<Vec<(Digest, Vec<ImportedLayer>)>, StoreError> {
        let mut found = Vec::new();
        for diff_id in diff_ids {
            let layers = self.reachable(diff_id)?;
            if !layers.is_empty() && !self.store.blobs().has(diff_id)? {
                found.push((*diff_id, layers));
            }
        }
        Ok(found)
    }

    /// Whether the fetcher reaches an origin of the layer.
    pub(crate) fn is_importable(&self, diff_id: &Digest) -> Result<bool, StoreError> {
        Ok(!self.reachable(diff_id)?.is_empty())
    }

    /// Says that a layer cannot be fetched, although it was imported.
    pub fn lose(&self, diff_id: &Digest) {
        self.store.imports.lose(diff_id, Loss::Absent);
    }

    /// Layers that [`Exchange::forget_lost`] has returned in this build.
    #[must_use]
    pub fn forgotten(&self) -> BTreeSet<Digest> {
        self.store.imports.forgotten()
    }

    /// Forgets, in this build, the imported layers that did not come, or were others, so that their results are misses; which they were.
    ///
    /// # Errors
    /// The database fails.
    pub fn forget_lost(&self) -> Result<BTreeMap<Digest, Loss>, StoreError> {
        let mut lost = BTreeMap::new();
        for (diff_id, loss) in self.store.imports.take_lost() {
            let told = self.told_where("diff_id", &diff_id)?;
            let is_imported = told.iter().any(|(cache, _)| cache != BOUND);
            if is_imported || loss == Loss::Disproved {
                lost.insert(diff_id, loss);
            }
        }
        self.store.imports.forget(lost.keys());
        Ok(lost)
    }

    /// Checks the size of a layer that came against the one that was imported: images were made with it.
    pub(crate) fn check_import(&self, diff_id: &Digest, tar_size: u64) -> Result<(), StoreError> {
        let imported = self.imported(diff_id)?;
        let mut said = imported.iter().map(|known| known.layer.tar_size);
        match said.find(|said| *said != tar_size) {
            Some(expected) => Err(StoreError::SizeMismatch {
                digest: *diff_id,
                expected,
                found: tar_size,
            }),
            None => Ok(()),
        }
    }

    /// What was imported of a layer, as far as the fetcher reaches it, sorted.
    pub(crate) fn reachable(&self, diff_id: &Digest) -> Result<Vec<ImportedLayer>, StoreError> {
        let Some(fetcher) = &self.store.fetcher else {
            return Ok(Vec::new());
        };
        let mut layers = self.imported(diff_id)?;
        layers.retain(|known| fetcher.reaches(&known.origin));
        Ok(layers)
    }

    /// What counts of what was imported of a layer, sorted by origin and blob.
    pub(crate) fn imported(&self, diff_id: &Digest) -> Result<Vec<ImportedLayer>, StoreError> {
        Ok(sorted(self.told_where("diff_id", diff_id)?))
    }

    /// The same by the blob.
    pub(crate) fn imported_as(&self, blob: &Digest) -> Result<Vec<ImportedLayer>, StoreError> {
        Ok(sorted(self.told_where("blob", blob)?))
    }

    /// The rows that count in this build, with the caches that said so.
    fn told_where(&self, column: &str, is: &Digest) -> Result<Vec<Told>, StoreError> {
        let query = format!("SELECT * FROM offered WHERE {column} = ?1");
        let told: Vec<Option<Told>> = self.store.db().rows(&query, [is.as_bytes()], told)?;
        let forgotten = self.store.imports.forgotten();
        let counts = |(cache, known): &Told| {
            let is_named = || self.store.imports.named.contains(cache);
            cache == BOUND || (is_named() && !forgotten.contains(&known.layer.diff_id))
        };
        Ok(told.into_iter().flatten().filter(counts).collect())
    }

    /// Whether the store has a result of this key, its own or said by this cache, with its layer.
    fn has_result(&self, key: &Digest, caches: &Caches) -> Result<bool, StoreError> {
        let query = "SELECT diff_id FROM records WHERE key = ?1 AND (caches = '' OR caches = ?2)";
        let found: Vec<Option<Digest>> =
            self.store
                .db()
                .rows(query, (key.as_bytes(), caches), |row| {
                    optional_digest(row, 0)
                })?;
        for diff_id in found {
            match diff_id {
                Some(diff_id) if !self.store.blobs().has(&diff_id)? => {}
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    /// A store that is only read keeps in memory what it learns.
    fn keep_apart(&self) -> Result<(), StoreError> {
        if self.store.is_read_only() {
            let database = self.store.db();
            database.shadow("records", "key, caches")?;
            database.shadow("offered", "diff_id, blob, cache, place")?;
        }
        Ok(())
    }

    /// Writes layers down as what the cache of this name says.
    fn describe<'a>(
        &self,
        cache: &str,
        mut layers: impl Iterator<Item = (&'a CacheOrigin, &'a ExportedLayer)>,
    ) -> Result<(), StoreError> {
        let insert = "INSERT OR REPLACE INTO offered (diff_id, blob, cache, place, size, tar_size, compression) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.store.db().write(|transaction| {
            let mut insert = transaction.prepare_cached(insert)?;
            layers.try_for_each(|(origin, layer)| {
                let (diff_id, blob) = (layer.diff_id.as_bytes(), layer.blob.as_bytes());
                let (origin, compression) = (origin.to_string(), &layer.compression);
                let (size, tar_size) = (signed(layer.size), signed(layer.tar_size));
                let row = (diff_id, blob, cache, origin, size, tar_size, compression);
                insert.execute(row).map(drop)
            })
        })
    }
}

fn sorted(told: Vec<Told>) -> Vec<ImportedLayer> {
    let layers: BTreeSet<ImportedLayer> = told.into_iter().map(|(_, layer)| layer).collect();
    layers.into_iter().collect()
}

/// Reads a row; `None` for a layer at an origin that this version does not understand.
fn told(row: &Row<'_>) -> rusqlite::Result<Option<Told>> {
    let Ok(origin) = CacheOrigin::parse(&row.get::<_, String>("place")?) else {
        return Ok(None);
    };
    let column = |name| row.as_ref().column_index(name);
    let layer = ExportedLayer {
        blob: digest(row, column("blob")?)?,
        size: unsigned(row.get("size")?),
        diff_id: digest(row, column("diff_id")?)?,
        tar_size: unsigned(row.get("tar_size")?),
        compression: row.get("compression")?,
    };
    Ok(Some((row.get("cache")?, ImportedLayer { origin, layer })))
}
