//! What looks wrong at first sight: in a snapshot of the database and the files that were there after it. Tells nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::PathBuf;

use kiln_oci::{Digest, Hasher};
use rayon::prelude::*;
use rusqlite::Connection;

use crate::fsck::views;
use crate::inventory::{Files, ImageRow, Rows};
use crate::layer::upper::UpperDir;
use crate::store::database::{digest, unsigned};
use crate::store::sink::read_full;
use crate::{LayerIndex, Store, StoreError, index_tar};

/// Something that looked wrong, with what is needed to look again.
pub(super) enum Suspect {
    /// A name that kiln does not give.
    Unknown(PathBuf),
    /// A name of the store over something else than it should be.
    WrongType(PathBuf),
    /// A blob with other bytes, and the file that was read: while it is open, no other file can be taken for it.
    Blob(Digest, File),
    /// A blob that is not there.
    Lost(Digest),
    /// What a layer's index should be.
    Index(LayerIndex),
    /// A view that is not like its layer, and the directory that was looked at.
    View((String, Digest), UpperDir),
    /// An image or index that lacks something.
    Image(Digest),
    /// A name without an image.
    Tag(String),
}

/// A row of the table `blobs`.
pub(super) struct BlobRow {
    pub(super) size: u64,
    /// Where the store is now, this boot wrote or checked it.
    pub(super) is_of_this_boot: bool,
    pub(super) synced: bool,
}

/// What the database says at one moment.
pub(super) struct Snapshot {
    pub(super) rows: Rows,
    pub(super) blobs: BTreeMap<Digest, BlobRow>,
    /// Names, and what they point to.
    pub(super) tags: Vec<(String, Digest)>,
}

impl Snapshot {
    /// Names that point to nothing.
    pub(super) fn dangling_tags(&self) -> impl Iterator<Item = &String> {
        let is_known =
            |named| self.rows.images.contains_key(named) || self.rows.indexes.contains_key(named);
        let dangling = self.tags.iter().filter(move |(_, named)| !is_known(named));
        dangling.map(|(name, _)| name)
    }

    /// Whether the store lacks something of an image, or the bytes of an index. That images of an index are not here is no lack.
    pub(super) fn is_broken(&self, named: &Digest, has: impl Fn(&Digest) -> bool) -> bool {
        match self.rows.images.get(named) {
            Some(image) => !(has(named) && has(&image.config) && image.has_layers(has, &self.rows)),
            None => self.rows.indexes.contains_key(named) && !has(named),
        }
    }

    /// Blobs that an image or index needs.
    pub(super) fn blobs_of(&self, named: &Digest) -> Vec<Digest> {
        let image = self.rows.images.get(named);
        image.map_or_else(
            || vec![*named],
            |image: &ImageRow| image.blobs(*named).collect(),
        )
    }
}

impl Store {
    pub(super) fn read_snapshot(&self) -> Result<Snapshot, StoreError> {
        self.db()
            .snapshot(|connection| self.snapshot_in(connection))
    }

    pub(super) fn snapshot_in(&self, connection: &Connection) -> rusqlite::Result<Snapshot> {
        let mut blobs = connection.prepare("SELECT digest, size, boot = ?1, synced FROM blobs")?;
        let blobs = blobs.query_map([&self.inner.options.boot_id], |row| {
            let blob = BlobRow {
                size: unsigned(row.get(1)?),
                is_of_this_boot: row.get(2)?,
                synced: row.get(3)?,
            };
            Ok((digest(row, 0)?, blob))
        })?;
        let blobs = blobs.collect::<rusqlite::Result<_>>()?;
        let mut tags = connection.prepare("SELECT reference, manifest FROM tags")?;
        let tags = tags.query_map([], |row| Ok((row.get(0)?, digest(row, 1)?)))?;
        let tags = tags.collect::<rusqlite::Result<_>>()?;
        let rows = Rows::read(connection, &[])?;
        Ok(Snapshot { rows, blobs, tags })
    }

    /// Everything that looks wrong; blobs come before the images that need them.
    pub(super) fn suspects(&self) -> Result<Vec<Suspect>, StoreError> {
        let snapshot = self.read_snapshot()?;
        let files = self.garbage().files()?;
        let mut suspects = Vec::new();
        suspects.extend(files.unknown.iter().cloned().map(Suspect::Unknown));
        suspects.extend(files.wrong_type.iter().cloned().map(Suspect::WrongType));
        let corrupt = self.corrupt_blobs(&files)?;
        let mut whole: BTreeSet<Digest> = files.blobs.keys().copied().collect();
        for (digest, file) in corrupt {
            whole.remove(&digest);
            suspects.push(Suspect::Blob(digest, file));
        }
        let has = |digest: &Digest| whole.contains(digest);
        let durable = snapshot.blobs.iter().filter(|(_, row)| row.synced);
        let lost = durable.filter(|(digest, _)| !files.blobs.contains_key(digest));
        suspects.extend(lost.map(|(digest, _)| Suspect::Lost(*digest)));
        suspects.extend(self.suspects_of_layers(&files, &snapshot, &whole)?);
        let named = snapshot
            .rows
            .images
            .keys()
            .chain(snapshot.rows.indexes.keys());
        let broken = named.filter(|named| snapshot.is_broken(named, has));
        suspects.extend(broken.copied().map(Suspect::Image));
        suspects.extend(snapshot.dangling_tags().cloned().map(Suspect::Tag));
        Ok(suspects)
    }

    fn corrupt_blobs(&self, files: &Files) -> Result<Vec<(Digest, File)>, StoreError> {
        let checked = files.blobs.par_iter().map(|(digest, _)| {
            let path = self.blobs().path(digest);
            match File::open(&path).and_then(digested) {
                Ok((found, file)) => Ok((found != *digest).then_some((*digest, file))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(StoreError::io("read", &path, source)),
            }
        });
        let checked = checked.collect::<Result<Vec<_>, _>>()?;
        Ok(checked.into_iter().flatten().collect())
    }

    /// Makes every index anew, and compares with it the one on disk and all views that this boot made.
    fn suspects_of_layers(
        &self,
        files: &Files,
        snapshot: &Snapshot,
        whole: &BTreeSet<Digest>,
    ) -> Result<Vec<Suspect>, StoreError> {
        let layers = snapshot.rows.layers.keys().chain(files.indexes.keys());
        let layers: BTreeSet<&Digest> = layers.filter(|layer| whole.contains(layer)).collect();
        let checked = layers.into_par_iter().map(|diff_id| {
            let Ok(tar) = File::open(self.blobs().path(diff_id)) else {
                return Ok(Vec::new());
            };
            let Ok(index) = index_tar(tar) else {
                // a blob that is no layer needs no index
                return Ok(vec![Suspect::Unknown(self.layers().index_path(diff_id))]);
            };
            let mut suspects = self.suspect_views(&index, snapshot)?;
            if self.layers().read_index(diff_id).as_ref() != Some(&index) {
                suspects.push(Suspect::Index(index));
            }
            Ok(suspects)
        });
        let checked = checked.collect::<Result<Vec<_>, StoreError>>()?;
        Ok(checked.into_iter().flatten().collect())
    }

    fn suspect_views(
        &self,
        index: &LayerIndex,
        snapshot: &Snapshot,
    ) -> Result<Vec<Suspect>, StoreError> {
        let mut suspects = Vec::new();
        let views = snapshot.rows.views.iter();
        let views = views.filter(|((_, diff_id), row)| {
            *diff_id == index.diff_id && row.boot == self.inner.options.boot_id
        });
        for (key, _) in views {
            let path = self.root().join("views").join(&key.0).join(key.1.hex());
            // one that is not there is made when it is needed
            let Ok(mut view) = UpperDir::open(&path) else {
                continue;
            };
            if !views::is_like(&mut view, &index.tree) {
                suspects.push(Suspect::View(key.clone(), view));
            }
        }
        Ok(suspects)
    }
}

/// sha256 of an open file, and the file.
fn digested(mut file: File) -> io::Result<(Digest, File)> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = read_full(&mut file, &mut buffer)?;
        hasher.update(&buffer[..count]);
        if count < buffer.len() {
            return Ok((hasher.finish(), file));
        }
    }
}
