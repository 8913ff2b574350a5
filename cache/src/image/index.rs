//! Indexes: lists of the images of one name for several platforms. The bytes are kept verbatim; which of the images are here may
//! change, and one that is not here makes no index wrong.

use std::collections::BTreeSet;

use kiln_oci::{Digest, Index, Platform};
use rusqlite::Transaction;

use crate::store::database::{digest, execute_each, rows};
use crate::{ImageError, Indexes, StoreError, StoredImage};

impl Indexes<'_> {
    /// Puts an index, whose images may be here or not. Not durable before it is tagged.
    ///
    /// # Errors
    /// It cannot be understood, or the disk fails.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, ImageError> {
        let index = parse(bytes)?;
        let digest = self.store.blobs().put(&mut &*bytes, None)?;
        let now = self.store.now();
        self.store.db().write(|transaction| {
            let insert = "INSERT OR IGNORE INTO indexes (digest, stored) VALUES (?1, ?2)";
            transaction.execute(insert, (digest.as_bytes(), now))?;
            let replace = "INSERT OR REPLACE INTO index_children (digest, position, child) VALUES (?1, ?2, ?3)";
            let children = (0_i64..).zip(&index.manifests);
            let rows = children.map(|(position, manifest)| {
                (digest.as_bytes(), position, manifest.digest.as_bytes())
            });
            execute_each(transaction, replace, rows)
        })?;
        Ok(digest)
    }

    /// Says which blobs of the store an index needs beside images: attestations and what else came with it. They stay as long as
    /// it does, and what it lists can go out as it came.
    ///
    /// # Errors
    /// One of them is not here, or the database fails.
    pub fn attach(&self, index: &Digest, blobs: &[Digest]) -> Result<(), StoreError> {
        self.store.leases().pin(blobs)?;
        for digest in blobs {
            if !self.store.blobs().has(digest)? {
                return Err(StoreError::Missing { digest: *digest });
            }
        }
        let insert = "INSERT OR IGNORE INTO index_blobs (digest, blob) VALUES (?1, ?2)";
        let rows = blobs.iter().map(|blob| (index.as_bytes(), blob.as_bytes()));
        self.store
            .db()
            .write(|transaction| execute_each(transaction, insert, rows))
    }

    /// What an index needs beside images so that it can go out as it is, sorted: indexes inside it, and what [`Indexes::attach`]
    /// has noted. `None` when something that it lists is not here.
    ///
    /// # Errors
    /// The database fails.
    pub fn companions(&self, index: &Digest) -> Result<Option<Vec<Digest>>, StoreError> {
        let mut companions = self.blobs_below(index)?;
        for child in self.below(index)? {
            if self.has(&child)? {
                companions.insert(child);
            } else if !companions.contains(&child) && !self.store.images().pin(&child)? {
                return Ok(None);
            }
        }
        for blob in &companions {
            if !self.store.blobs().has(blob)? {
                return Ok(None);
            }
        }
        Ok(Some(companions.into_iter().collect()))
    }

    fn attached(&self, index: &Digest) -> Result<BTreeSet<Digest>, StoreError> {
        let query = "SELECT blob FROM index_blobs WHERE digest = ?1";
        self.store.db().digests(query, index)
    }

    /// The bytes of an index; `None` when there is no index of that digest.
    ///
    /// # Errors
    /// The database fails, or its blob is gone.
    pub fn get(&self, index: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        if !self.has(index)? {
            return Ok(None);
        }
        self.store.images().document(index).map(Some)
    }

    /// Digests of all indexes, sorted.
    ///
    /// # Errors
    /// The database fails.
    pub fn list(&self) -> Result<Vec<Digest>, StoreError> {
        self.store
            .db()
            .rows("SELECT digest FROM indexes ORDER BY digest", [], |row| {
                digest(row, 0)
            })
    }

    /// The images of an index that the store has, each with its platform, in the order of the index and pinned. An image of its
    /// own is the only one; nothing for what is neither.
    ///
    /// # Errors
    /// A document cannot be understood, or the database fails.
    pub fn images_of(&self, named: &Digest) -> Result<Vec<(Platform, Digest)>, ImageError> {
        let (mut images, mut seen) = (Vec::new(), BTreeSet::new());
        let mut todo = vec![(None, *named)];
        while let Some((described, named)) = todo.pop() {
            if !seen.insert(named) {
                continue;
            }
            if let Some(bytes) = self.get(&named)? {
                let children = parse(&bytes)?.manifests.into_iter().rev();
                todo.extend(children.map(|child| (child.platform, child.digest)));
            } else if self.store.images().pin(&named)? {
                let platform = described.map_or_else(|| self.platform_of(&named), Ok)?;
                images.push((platform, named));
            }
        }
        Ok(images)
    }

    /// What an image's config says that it is for.
    fn platform_of(&self, image: &Digest) -> Result<Platform, ImageError> {
        let image = self.store.images().get(image)?;
        Ok(super::parse_config(&image.config)?.platform())
    }

    /// The image for `platform`.
    pub(super) fn choose(
        &self,
        name: &str,
        named: &Digest,
        platform: &Platform,
    ) -> Result<StoredImage, ImageError> {
        if !self.has(named)? {
            return self.store.images().get(named);
        }
        let images = self.images_of(named)?;
        let ranked = images
            .iter()
            .filter_map(|(other, image)| Some((platform.rank(other)?, image)));
        match ranked.min_by_key(|(rank, _)| *rank) {
            Some((_, image)) => self.image_of(named, image),
            None => {
                let available: Vec<_> = images.iter().map(|(other, _)| other.to_string()).collect();
                Err(ImageError::NoPlatform {
                    name: name.to_owned(),
                    wanted: platform.to_string(),
                    available: available.join(", "),
                })
            }
        }
    }

    /// An image that was found through an index.
    pub(super) fn image_of(
        &self,
        index: &Digest,
        image: &Digest,
    ) -> Result<StoredImage, ImageError> {
        let image = self.store.images().get(image)?;
        let index = Some(*index).filter(|index| *index != image.manifest_digest);
        Ok(StoredImage { index, ..image })
    }

    /// Indexes that list an image or index, sorted.
    pub(super) fn containing(&self, child: &Digest) -> Result<Vec<Digest>, StoreError> {
        self.store.db().digests(
            "SELECT DISTINCT digest FROM index_children WHERE child = ?1 ORDER BY digest",
            child,
        )
    }

    fn has(&self, digest: &Digest) -> Result<bool, StoreError> {
        let query = "SELECT 1 FROM indexes WHERE digest = ?1";
        let found = self
            .store
            .db()
            .row(query, [digest.as_bytes()], |_| Ok(()))?;
        Ok(found.is_some())
    }

    /// Pins what a name needs: that, unless it is not here. Of an index only its own bytes must be.
    pub(crate) fn pin_named(&self, named: &Digest) -> Result<Option<BTreeSet<Digest>>, StoreError> {
        if !self.has(named)? {
            return self.store.images().pinned(named);
        }
        self.store.leases().pin(&[*named])?;
        let blobs = self.blobs_of_index(named)?;
        let further: Vec<Digest> = blobs.iter().copied().collect();
        self.store.leases().pin(&further)?;
        Ok(self.store.blobs().has(named)?.then_some(blobs))
    }

    /// As [`Indexes::pin_named`], and of an index all images must be here; whether they are.
    pub(crate) fn pin_whole(&self, named: &Digest) -> Result<bool, StoreError> {
        if !self.has(named)? {
            return self.store.images().pin(named);
        }
        let mut is_whole = self.pin_named(named)?.is_some();
        for child in self.below(named)? {
            is_whole = is_whole && (self.has(&child)? || self.store.images().pin(&child)?);
        }
        Ok(is_whole)
    }

    /// The blobs of an image; of an index, with those of its images that are whole. Empty for what is neither.
    pub(crate) fn blobs_of_named(&self, named: &Digest) -> Result<BTreeSet<Digest>, StoreError> {
        match self.has(named)? {
            true => self.blobs_of_index(named),
            false => self.store.images().blobs_of(named),
        }
    }

    /// The same of what is an index; its images are pinned.
    fn blobs_of_index(&self, named: &Digest) -> Result<BTreeSet<Digest>, StoreError> {
        let mut blobs = self.blobs_below(named)?;
        blobs.insert(*named);
        for child in self.below(named)? {
            if self.has(&child)? {
                blobs.insert(child);
            } else {
                blobs.extend(self.store.images().pinned(&child)?.into_iter().flatten());
            }
        }
        Ok(blobs)
    }

    /// What indexes below this one, and itself, need beside images.
    fn blobs_below(&self, index: &Digest) -> Result<BTreeSet<Digest>, StoreError> {
        let mut blobs = self.attached(index)?;
        for child in self.below(index)? {
            blobs.extend(self.attached(&child)?);
        }
        Ok(blobs)
    }

    /// All that an index lists, also through further indexes, without itself.
    fn below(&self, index: &Digest) -> Result<Vec<Digest>, StoreError> {
        let query = "WITH RECURSIVE below (digest) AS (SELECT child FROM index_children WHERE digest = ?1 UNION \
                     SELECT child FROM index_children JOIN below ON index_children.digest = below.digest) SELECT digest FROM below";
        self.store.db().digests(query, index)
    }
}

fn parse(bytes: &[u8]) -> Result<Index, ImageError> {
    Index::parse(bytes).map_err(|error| super::malformed("index", bytes, error.to_string()))
}

/// What an index lists; nothing for an image.
pub(super) fn children(
    transaction: &Transaction<'_>,
    index: &Digest,
) -> rusqlite::Result<Vec<Digest>> {
    let query = "SELECT child FROM index_children WHERE digest = ?1 ORDER BY position";
    rows(transaction, query, [index.as_bytes()], |row| digest(row, 0))
}

/// Removes an image that was in an index, unless a name or another index has it; whether it is gone. An index in an index stays until
/// a prune.
pub(super) fn delete_unnamed(
    transaction: &Transaction<'_>,
    image: &Digest,
) -> rusqlite::Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM tags WHERE manifest = ?1) OR EXISTS (SELECT 1 FROM index_children WHERE child = ?1) \
                 OR EXISTS (SELECT 1 FROM indexes WHERE digest = ?1)";
    let is_kept: bool = transaction.query_row(query, [image.as_bytes()], |row| row.get(0))?;
    Ok(!is_kept && super::delete(transaction, image)?)
}
