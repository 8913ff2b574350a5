//! What the store holds: the files that are there, and what the database says about them.
//!
//! Read by prune, df and fsck. Judges nothing.

mod files;

use std::collections::{BTreeMap, BTreeSet};

use kiln_oci::Digest;
use rusqlite::Connection;

use crate::store::database::{digest, optional_digest, rows, unsigned};

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
    /// How many processes have used it.
    pub(crate) uses: u32,
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
        let held = held(connection)?;
        let mut pinned = BTreeSet::new();
        for lease in living {
            let pins = "SELECT digest FROM pins WHERE lease = ?1";
            pinned.append(&mut rows(connection, pins, [lease], |row| digest(row, 0))?);
        }
        // what is bound to images can be fetched as a tar
        let fetchable = "SELECT digest FROM origins WHERE digest = there UNION \
                         SELECT diff_id FROM offered WHERE cache = ''";
        Ok(Self {
            layers: layers(connection)?,
            views: views(connection)?,
            images: images(connection, &held)?,
            fetchable: rows(connection, fetchable, [], |row| digest(row, 0))?,
            indexes: indexes(connection, &held)?,
            pinned,
        })
    }
}

fn layers(connection: &Connection) -> rusqlite::Result<BTreeMap<Digest, LayerRow>> {
    let query = "SELECT diff_id, compressed, cost_ms, used FROM layers";
    let mut layers: BTreeMap<_, _> = rows(connection, query, [], |row| {
        let layer = LayerRow {
            compressed: optional_digest(row, 1)?,
            forms: Vec::new(),
            cost_ms: unsigned(row.get(2)?),
            used: row.get(3)?,
        };
        Ok((digest(row, 0)?, layer))
    })?;
    for (diff_id, form) in pairs(connection, "SELECT diff_id, digest FROM forms")? {
        let layer = layers.get_mut(&diff_id);
        // a layer that came compressed may be remembered under that compression too
        if let Some(layer) = layer.filter(|layer| layer.compressed != Some(form)) {
            layer.forms.push(form);
        }
    }
    Ok(layers)
}

fn views(connection: &Connection) -> rusqlite::Result<BTreeMap<(String, Digest), ViewRow>> {
    let query = "SELECT id_map, diff_id, size, boot, used, uses FROM views";
    rows(connection, query, [], |row| {
        let view = ViewRow {
            size: unsigned(row.get(2)?),
            boot: row.get(3)?,
            used: row.get(4)?,
            uses: row.get(5)?,
        };
        Ok(((row.get(0)?, digest(row, 1)?), view))
    })
}

/// What names point to, directly or through indexes.
fn held(connection: &Connection) -> rusqlite::Result<BTreeSet<Digest>> {
    let query = "WITH RECURSIVE held (digest) AS (SELECT manifest FROM tags UNION \
                 SELECT child FROM index_children JOIN held ON index_children.digest = held.digest) SELECT digest FROM held";
    rows(connection, query, [], |row| digest(row, 0))
}

fn indexes(
    connection: &Connection,
    held: &BTreeSet<Digest>,
) -> rusqlite::Result<BTreeMap<Digest, IndexRow>> {
    let mut indexes: BTreeMap<Digest, IndexRow> =
        rows(connection, "SELECT digest FROM indexes", [], |row| {
            let index = digest(row, 0)?;
            let is_tagged = held.contains(&index);
            Ok((
                index,
                IndexRow {
                    is_tagged,
                    ..IndexRow::default()
                },
            ))
        })?;
    let children = "SELECT digest, child FROM index_children ORDER BY digest, position";
    for (index, child) in pairs(connection, children)? {
        indexes.entry(index).or_default().children.push(child);
    }
    let blobs = "SELECT digest, blob FROM index_blobs ORDER BY digest, blob";
    for (index, blob) in pairs(connection, blobs)? {
        if let Some(row) = indexes.get_mut(&index) {
            row.blobs.push(blob);
        }
    }
    Ok(indexes)
}

fn images(
    connection: &Connection,
    held: &BTreeSet<Digest>,
) -> rusqlite::Result<BTreeMap<Digest, ImageRow>> {
    let query = "SELECT manifest, config FROM images";
    let mut images: BTreeMap<Digest, ImageRow> = rows(connection, query, [], |row| {
        let manifest = digest(row, 0)?;
        let image = ImageRow {
            config: digest(row, 1)?,
            is_tagged: held.contains(&manifest),
            layers: Vec::new(),
        };
        Ok((manifest, image))
    })?;
    let query = "SELECT manifest, diff_id, blob FROM image_layers ORDER BY manifest, position";
    let layers: Vec<(Digest, (Digest, Digest))> = rows(connection, query, [], |row| {
        Ok((digest(row, 0)?, (digest(row, 1)?, digest(row, 2)?)))
    })?;
    for (manifest, layer) in layers {
        if let Some(image) = images.get_mut(&manifest) {
            image.layers.push(layer);
        }
    }
    Ok(images)
}

fn pairs(connection: &Connection, query: &str) -> rusqlite::Result<Vec<(Digest, Digest)>> {
    rows(connection, query, [], |row| {
        Ok((digest(row, 0)?, digest(row, 1)?))
    })
}
