//! What the store holds: the files that are there, and what the database says about them.
//!
//! Read by prune, df and fsck. Judges nothing.

mod files;

use std::collections::{BTreeMap, BTreeSet};

use kiln_oci::Digest;
use rusqlite::Connection;

use crate::store::database::{digest, optional_digest, unsigned};

pub(crate) use files::{Files, list};

/// A row of the table `layers`.
#[derive(Clone, Debug)]
pub(crate) struct LayerRow {
    /// The compressed form that it came in.
    pub(crate) compressed: Option<Digest>,
    /// Compressed forms that kiln made.
    pub(crate) forms: Vec<Digest>,
    pub(crate) cost_ms: u64,
    pub(crate) used: i64,
}

/// A row of the table `views`.
#[derive(Clone, Debug)]
pub(crate) struct ViewRow {
    pub(crate) size: u64,
    /// The boot that made it.
    pub(crate) boot: String,
    pub(crate) used: i64,
}

/// An image with its layers.
#[derive(Clone, Debug)]
pub(crate) struct ImageRow {
    pub(crate) config: Digest,
    /// It has a name, or an index that lists it has one.
    pub(crate) is_tagged: bool,
    /// Diff IDs, and blobs as the manifest names them.
    pub(crate) layers: Vec<(Digest, Digest)>,
}

/// An index.
#[derive(Clone, Debug, Default)]
pub(crate) struct IndexRow {
    pub(crate) is_tagged: bool,
    /// Images and indexes that it lists, here or not.
    pub(crate) children: Vec<Digest>,
    /// What it needs beside images.
    pub(crate) blobs: Vec<Digest>,
}

/// What the database says.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) layers: BTreeMap<Digest, LayerRow>,
    pub(crate) views: BTreeMap<(String, Digest), ViewRow>,
    pub(crate) images: BTreeMap<Digest, ImageRow>,
    /// Blobs that a repository holds, and tars that can be made from them.
    pub(crate) fetchable: BTreeSet<Digest>,
    pub(crate) indexes: BTreeMap<Digest, IndexRow>,
    /// What living processes hold.
    pub(crate) pinned: BTreeSet<Digest>,
}

impl ImageRow {
    /// Manifest, config, layers and their tars.
    pub(crate) fn blobs(&self, manifest: Digest) -> impl Iterator<Item = Digest> {
        [manifest, self.config].into_iter().chain(
            self.layers
                .iter()
                .flat_map(|&(diff_id, blob)| [diff_id, blob]),
        )
    }
}

impl ImageRow {
    /// Whether the blob of every layer, from which its tar can be made, is here or can be fetched.
    pub(crate) fn has_layers(&self, has: impl Fn(&Digest) -> bool, rows: &Rows) -> bool {
        let mut blobs = self.layers.iter().map(|(_, blob)| blob);
        blobs.all(|blob| has(blob) || rows.fetchable.contains(blob))
    }
}

impl LayerRow {
    /// All compressed forms.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = Digest> {
        self.compressed
            .into_iter()
            .chain(self.forms.iter().copied())
    }
}

impl Rows {
    fn read_forms(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut forms = connection.prepare("SELECT diff_id, digest FROM forms")?;
        for form in forms.query_map([], |row| Ok((digest(row, 0)?, digest(row, 1)?)))? {
            let (diff_id, blob) = form?;
            let layer = self.layers.get_mut(&diff_id);
            // a layer that came compressed may be remembered under that compression too
            if let Some(layer) = layer.filter(|layer| layer.compressed != Some(blob)) {
                layer.forms.push(blob);
            }
        }
        Ok(())
    }

    /// Images that a prune leaves alone: they have a name, or a living process uses them.
    pub(crate) fn kept_images(&self) -> impl Iterator<Item = (&Digest, &ImageRow)> {
        self.images
            .iter()
            .filter(|(manifest, image)| image.is_tagged || self.pinned.contains(manifest))
    }

    /// Every blob that a prune leaves alone.
    pub(crate) fn kept(&self) -> BTreeSet<Digest> {
        let of_images = self
            .kept_images()
            .flat_map(|(manifest, image)| image.blobs(*manifest));
        let of_indexes = self.kept_indexes().flat_map(|index| self.of_index(index));
        let of_images = of_images.chain(of_indexes);
        of_images.chain(self.pinned.iter().copied()).collect()
    }

    /// An index and what it needs beside images.
    fn of_index(&self, index: &Digest) -> impl Iterator<Item = Digest> {
        let blobs = self.indexes.get(index).into_iter();
        std::iter::once(*index).chain(blobs.flat_map(|row| row.blobs.iter().copied()))
    }

    /// Indexes that a prune leaves alone.
    pub(crate) fn kept_indexes(&self) -> impl Iterator<Item = &Digest> {
        let is_kept =
            |(digest, row): &(&Digest, &IndexRow)| row.is_tagged || self.pinned.contains(digest);
        self.indexes
            .iter()
            .filter(is_kept)
            .map(|(digest, _)| digest)
    }

    /// Every blob that a layer or an image has, or a living process holds.
    pub(crate) fn known(&self) -> BTreeSet<Digest> {
        let of_layers = self
            .layers
            .iter()
            .flat_map(|(diff_id, row)| std::iter::once(*diff_id).chain(row.blobs()));
        let of_images = self
            .images
            .iter()
            .flat_map(|(manifest, image)| image.blobs(*manifest));
        let of_indexes = self.indexes.keys().flat_map(|index| self.of_index(index));
        let of_images = of_images.chain(of_indexes);
        let known = of_layers.chain(of_images);
        known.chain(self.pinned.iter().copied()).collect()
    }

    /// Reads all rows; `living` are the leases whose pins count.
    pub(crate) fn read(connection: &Connection, living: &[String]) -> rusqlite::Result<Self> {
        let mut rows = Self::default();
        let mut layers =
            connection.prepare("SELECT diff_id, compressed, cost_ms, used FROM layers")?;
        let found = layers.query_map([], |row| {
            let layer = LayerRow {
                compressed: optional_digest(row, 1)?,
                forms: Vec::new(),
                cost_ms: unsigned(row.get(2)?),
                used: row.get(3)?,
            };
            Ok((digest(row, 0)?, layer))
        })?;
        rows.layers = found.collect::<rusqlite::Result<_>>()?;
        rows.read_forms(connection)?;
        let mut views =
            connection.prepare("SELECT id_map, diff_id, size, boot, used FROM views")?;
        let found = views.query_map([], |row| {
            Ok((
                (row.get(0)?, digest(row, 1)?),
                ViewRow {
                    size: unsigned(row.get(2)?),
                    boot: row.get(3)?,
                    used: row.get(4)?,
                },
            ))
        })?;
        rows.views = found.collect::<rusqlite::Result<_>>()?;
        let held = read_held(connection)?;
        rows.images = read_images(connection, &held)?;
        rows.indexes = read_indexes(connection, &held)?;
        // what is bound to images can be had as a tar
        let mut origins = connection.prepare(
            "SELECT digest FROM origins WHERE digest = there UNION \
             SELECT diff_id FROM offered WHERE cache = ''",
        )?;
        rows.fetchable = origins
            .query_map([], |row| digest(row, 0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut pins = connection.prepare("SELECT digest FROM pins WHERE lease = ?1")?;
        for lease in living {
            for pinned in pins.query_map([lease], |row| digest(row, 0))? {
                rows.pinned.insert(pinned?);
            }
        }
        Ok(rows)
    }
}

/// What names point to, directly or through indexes.
fn read_held(connection: &Connection) -> rusqlite::Result<BTreeSet<Digest>> {
    let query = "WITH RECURSIVE held (digest) AS (SELECT manifest FROM tags UNION \
                 SELECT child FROM index_children JOIN held ON index_children.digest = held.digest) SELECT digest FROM held";
    let mut held = connection.prepare(query)?;
    held.query_map([], |row| digest(row, 0))?.collect()
}

fn read_indexes(
    connection: &Connection,
    held: &BTreeSet<Digest>,
) -> rusqlite::Result<BTreeMap<Digest, IndexRow>> {
    let mut indexes = BTreeMap::new();
    let mut rows = connection.prepare("SELECT digest FROM indexes")?;
    for found in rows.query_map([], |row| digest(row, 0))? {
        let found = found?;
        let row = IndexRow {
            is_tagged: held.contains(&found),
            ..IndexRow::default()
        };
        indexes.insert(found, row);
    }
    let mut children =
        connection.prepare("SELECT digest, child FROM index_children ORDER BY digest, position")?;
    for child in children.query_map([], |row| Ok((digest(row, 0)?, digest(row, 1)?)))? {
        let (parent, child) = child?;
        indexes
            .entry(parent)
            .or_insert_with(IndexRow::default)
            .children
            .push(child);
    }
    let mut blobs =
        connection.prepare("SELECT digest, blob FROM index_blobs ORDER BY digest, blob")?;
    for blob in blobs.query_map([], |row| Ok((digest(row, 0)?, digest(row, 1)?)))? {
        let (index, blob) = blob?;
        if let Some(row) = indexes.get_mut(&index) {
            row.blobs.push(blob);
        }
    }
    Ok(indexes)
}

fn read_images(
    connection: &Connection,
    held: &BTreeSet<Digest>,
) -> rusqlite::Result<BTreeMap<Digest, ImageRow>> {
    let mut images = connection.prepare("SELECT manifest, config FROM images")?;
    let found = images.query_map([], |row| {
        let manifest = digest(row, 0)?;
        Ok((
            manifest,
            ImageRow {
                config: digest(row, 1)?,
                is_tagged: held.contains(&manifest),
                layers: Vec::new(),
            },
        ))
    })?;
    let mut images: BTreeMap<Digest, ImageRow> = found.collect::<rusqlite::Result<_>>()?;
    let mut layers = connection
        .prepare("SELECT manifest, diff_id, blob FROM image_layers ORDER BY manifest, position")?;
    for layer in layers.query_map([], |row| {
        Ok((digest(row, 0)?, digest(row, 1)?, digest(row, 2)?))
    })? {
        let (manifest, diff_id, blob) = layer?;
        if let Some(image) = images.get_mut(&manifest) {
            image.layers.push((diff_id, blob));
        }
    }
    Ok(images)
}
