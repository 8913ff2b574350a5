//! What looks wrong at first sight: in a snapshot of the database and the files that were there after it. Reports nothing.

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
use crate::store::database::{digest, rows, unsigned};
use crate::store::sink::read_full;
use crate::{LayerIndex, Store, StoreError, index_tar};

/// The id map of views whose owners are those of the layer.
const SAME_IDS: &str = "root";

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
    pub(super) fn read(store: &Store, connection: &Connection) -> rusqlite::Result<Self> {
        let query = "SELECT digest, size, boot = ?1, synced FROM blobs";
        let boot = [&store.inner.options.boot_id];
        let blobs = rows(connection, query, boot, |row| {
            let blob = BlobRow {
                size: unsigned(row.get(1)?),
                is_of_this_boot: row.get(2)?,
                synced: row.get(3)?,
            };
            Ok((digest(row, 0)?, blob))
        })?;
        let query = "SELECT reference, manifest FROM tags";
        let tags = rows(connection, query, [], |row| {
            Ok((row.get(0)?, digest(row, 1)?))
        })?;
        let rows = Rows::read(connection, &[])?;
        Ok(Self { rows, blobs, tags })
    }

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

/// Everything that looks wrong; blobs come before the images that need them.
pub(super) fn suspects(store: &Store) -> Result<Vec<Suspect>, StoreError> {
    let snapshot = store
        .db()
        .snapshot(|connection| Snapshot::read(store, connection))?;
    let files = Files::read(store.root())?;
    let search = Search {
        store,
        snapshot,
        files,
    };
    let mut suspects = Vec::new();
    suspects.extend(search.files.unknown.iter().cloned().map(Suspect::Unknown));
    suspects.extend(
        search
            .files
            .wrong_type
            .iter()
            .cloned()
            .map(Suspect::WrongType),
    );
    let mut whole: BTreeSet<Digest> = search.files.blobs.keys().copied().collect();
    for (digest, file) in search.corrupt_blobs()? {
        whole.remove(&digest);
        suspects.push(Suspect::Blob(digest, file));
    }
    suspects.extend(search.lost());
    suspects.extend(search.layers(&whole));
    suspects.extend(search.broken(&whole));
    let dangling = search.snapshot.dangling_tags();
    suspects.extend(dangling.cloned().map(Suspect::Tag));
    Ok(suspects)
}

struct Search<'a> {
    store: &'a Store,
    snapshot: Snapshot,
    files: Files,
}

impl Search<'_> {
    fn corrupt_blobs(&self) -> Result<Vec<(Digest, File)>, StoreError> {
        let checked = self.files.blobs.par_iter().map(|(digest, _)| {
            let path = self.store.blobs().path(digest);
            match File::open(&path).and_then(digested) {
                Ok((found, file)) => Ok((found != *digest).then_some((*digest, file))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(StoreError::io("read", &path, source)),
            }
        });
        let checked = checked.collect::<Result<Vec<_>, _>>()?;
        Ok(checked.into_iter().flatten().collect())
    }

    /// Durable blobs without a file.
    fn lost(&self) -> impl Iterator<Item = Suspect> {
        let durable = self.snapshot.blobs.iter().filter(|(_, row)| row.synced);
        let lost = durable.filter(|(digest, _)| !self.files.blobs.contains_key(digest));
        lost.map(|(digest, _)| Suspect::Lost(*digest))
    }

    /// Images and indexes that lack something.
    fn broken(&self, whole: &BTreeSet<Digest>) -> impl Iterator<Item = Suspect> {
        let rows = &self.snapshot.rows;
        let named = rows.images.keys().chain(rows.indexes.keys());
        let has = |digest: &Digest| whole.contains(digest);
        let broken = named.filter(move |named| self.snapshot.is_broken(named, has));
        broken.copied().map(Suspect::Image)
    }

    /// Makes every index anew, and compares with it the one on disk and all views that this boot made.
    fn layers(&self, whole: &BTreeSet<Digest>) -> Vec<Suspect> {
        let layers = self
            .snapshot
            .rows
            .layers
            .keys()
            .chain(self.files.indexes.keys());
        let layers: BTreeSet<&Digest> = layers.filter(|layer| whole.contains(layer)).collect();
        let layers = layers.into_par_iter();
        layers
            .flat_map_iter(|diff_id| self.layer(diff_id))
            .collect()
    }

    fn layer(&self, diff_id: &Digest) -> Vec<Suspect> {
        let Ok(tar) = File::open(self.store.blobs().path(diff_id)) else {
            return Vec::new();
        };
        let Ok(index) = index_tar(tar) else {
            // a blob that is no layer needs no index
            return vec![Suspect::Unknown(self.store.layers().index_path(diff_id))];
        };
        let mut suspects = self.views(&index);
        if self.store.layers().read_index(diff_id).as_ref() != Some(&index) {
            suspects.push(Suspect::Index(index));
        }
        suspects
    }

    fn views(&self, index: &LayerIndex) -> Vec<Suspect> {
        let is_of_this_boot = |boot: &str| boot == self.store.inner.options.boot_id;
        let views = self.snapshot.rows.views.iter();
        let views = views
            .filter(|((_, diff_id), row)| *diff_id == index.diff_id && is_of_this_boot(&row.boot));
        let suspects = views.filter_map(|(key, _)| {
            let path = self
                .store
                .root()
                .join("views")
                .join(&key.0)
                .join(key.1.hex());
            // one that is not there is made when it is needed
            let mut view = UpperDir::open(&path).ok()?;
            let is_like = views::is_like(&mut view, &index.tree, key.0 == SAME_IDS);
            (!is_like).then(|| Suspect::View(key.clone(), view))
        });
        suspects.collect()
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
