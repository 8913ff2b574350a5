//! The check of a whole store: every blob is digested, every index compared with its tar, everything that points is followed.
//!
//! Other processes may work meanwhile: what vanishes while it is checked is no finding. Files that a killed process left under a
//! right name are none either; they are whole, and the next prune takes them.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use kiln_oci::Digest;
use rayon::prelude::*;

use crate::inventory::{Files, ImageRow, Rows, list};
use crate::store::blobs::digest_file;
use crate::store::database::digest;
use crate::store::lock::is_locked;
use crate::{Store, StoreError, index_tar};

/// Something wrong in a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// A blob's bytes do not have the digest that it is named by.
    CorruptBlob(Digest),
    /// The database knows a layer that is not there.
    MissingBlob(Digest),
    /// The index of a layer is missing, damaged, or is not what its tar says.
    BadIndex(Digest),
    /// A file of the store that nothing knows.
    Unknown(PathBuf),
    /// A record points to a layer that is not there: it is only a miss.
    DanglingRecord(Digest),
    /// An image lacks its config or a layer that cannot be fetched, or the store the bytes of an index.
    BrokenImage(Digest),
    /// A tag points to no image.
    DanglingTag(String),
    /// Scratch of a process that is gone.
    Leftover(PathBuf),
}

impl Store {
    /// Checks everything; with `repair`, drops what is damaged and rebuilds what can be. Findings come sorted.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn fsck(&self, repair: bool) -> Result<Vec<Finding>, StoreError> {
        if repair {
            self.writable()?;
        }
        let mut findings = self.leftovers()?;
        let files = self.files()?;
        findings.extend(files.unknown.iter().cloned().map(Finding::Unknown));
        let corrupt = self.corrupt_blobs(&files)?;
        findings.extend(corrupt.iter().copied().map(Finding::CorruptBlob));
        let whole: BTreeSet<Digest> = files
            .blobs
            .keys()
            .filter(|digest| !corrupt.contains(digest))
            .copied()
            .collect();
        let rows = self
            .database()
            .read(|connection| Rows::read(connection, &[]))?;
        findings.extend(
            rows.layers
                .keys()
                .filter(|diff_id| !whole.contains(diff_id))
                .copied()
                .map(Finding::MissingBlob),
        );
        findings.extend(self.bad_indexes(&files, &rows, &whole)?);
        findings.extend(self.dangling(&rows, &whole)?);
        findings.sort();
        if repair {
            findings
                .iter()
                .try_for_each(|finding| self.repair(finding))?;
        }
        Ok(findings)
    }

    /// Scratch whose process is gone.
    fn leftovers(&self) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        for entry in list(&self.leases())? {
            let path = entry.path();
            let lock = path.with_extension("lock");
            if path != lock
                && !is_locked(&lock).map_err(|source| StoreError::io("lock", &lock, source))?
            {
                findings.push(Finding::Leftover(path));
            }
        }
        Ok(findings)
    }

    fn corrupt_blobs(&self, files: &Files) -> Result<BTreeSet<Digest>, StoreError> {
        let checked = files.blobs.par_iter().map(|(digest, _)| {
            let path = self.blob_path(digest);
            match digest_file(&path) {
                Ok(found) => Ok((found != *digest).then_some(*digest)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(StoreError::io("read", &path, source)),
            }
        });
        Ok(checked
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    /// Makes every index anew and compares.
    fn bad_indexes(
        &self,
        files: &Files,
        rows: &Rows,
        whole: &BTreeSet<Digest>,
    ) -> Result<Vec<Finding>, StoreError> {
        let layers: BTreeSet<Digest> = rows
            .layers
            .keys()
            .chain(files.indexes.keys())
            .filter(|diff_id| whole.contains(diff_id))
            .copied()
            .collect();
        let checked = layers.into_par_iter().map(|diff_id| {
            let Ok(tar) = std::fs::File::open(self.blob_path(&diff_id)) else {
                return Ok(None);
            };
            let expected = index_tar(tar)?;
            Ok((self.read_index(&diff_id) != Some(expected)).then_some(Finding::BadIndex(diff_id)))
        });
        Ok(checked
            .collect::<Result<Vec<_>, StoreError>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    /// Records, images and tags that point to nothing.
    fn dangling(&self, rows: &Rows, whole: &BTreeSet<Digest>) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        let query = "SELECT key, diff_id FROM records WHERE diff_id IS NOT NULL";
        let records: Vec<(Digest, Digest)> = self.database().read(|connection| {
            let mut statement = connection.prepare(query)?;
            let found = statement.query_map([], |row| Ok((digest(row, 0)?, digest(row, 1)?)))?;
            found.collect()
        })?;
        findings.extend(
            records
                .into_iter()
                .filter(|(_, diff_id)| {
                    !whole.contains(diff_id) && !rows.fetchable.contains(diff_id)
                })
                .map(|(key, _)| Finding::DanglingRecord(key)),
        );
        let has = |digest: &Digest| whole.contains(digest);
        let is_broken = |(manifest, image): &(&Digest, &ImageRow)| {
            !(has(manifest) && has(&image.config) && image.has_layers(has, rows))
        };
        findings.extend(
            rows.images
                .iter()
                .filter(is_broken)
                .map(|(manifest, _)| Finding::BrokenImage(*manifest)),
        );
        // that images of an index are not here is no finding
        let lost = rows.indexes.keys().filter(|index| !whole.contains(index));
        findings.extend(lost.copied().map(Finding::BrokenImage));
        let query = "SELECT reference FROM tags WHERE manifest NOT IN (SELECT manifest FROM images) AND manifest NOT IN (SELECT digest FROM indexes)";
        let tags: Vec<String> = self.database().read(|connection| {
            let mut statement = connection.prepare(query)?;
            let found = statement.query_map([], |row| row.get(0))?;
            found.collect()
        })?;
        findings.extend(tags.into_iter().map(Finding::DanglingTag));
        Ok(findings)
    }

    fn repair(&self, finding: &Finding) -> Result<(), StoreError> {
        let delete = |statement: &str, digest: &Digest| {
            self.database()
                .read(|connection| connection.execute(statement, [digest.as_bytes()]).map(drop))
        };
        match finding {
            Finding::CorruptBlob(digest) => {
                self.to_trash(&self.blob_path(digest))?;
                self.forget_blob(digest)
            }
            Finding::MissingBlob(digest) => {
                self.forget_blob(digest)?;
                delete("DELETE FROM layers WHERE diff_id = ?1", digest)
            }
            Finding::BadIndex(digest) => {
                let tar = self.open_blob(digest)?;
                self.write_index(&index_tar(tar)?)
            }
            Finding::DanglingRecord(key) => delete("DELETE FROM records WHERE key = ?1", key),
            Finding::BrokenImage(manifest) => self
                .database()
                .write(|transaction| crate::image::delete(transaction, manifest).map(drop)),
            Finding::DanglingTag(reference) => self.database().read(|connection| {
                connection
                    .execute("DELETE FROM tags WHERE reference = ?1", [reference])
                    .map(drop)
            }),
            Finding::Unknown(path) => self.to_trash(path),
            Finding::Leftover(_) => self.collect_dead_leases(),
        }
    }
}
