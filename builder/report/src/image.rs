//! An image as what its layers hold: for each, bottom first, the index of its tar. Everything that tells sizes or differences of images
//! reads this. Unaware of where the layers come from; `image/` has one file for each kind of place.

mod archive;
mod blob;
mod compressed;
mod programs;
mod stored;
mod streamed;

use std::sync::Arc;

use kiln_cache::{BuildRecord, Entry, Kept, LayerError, LayerIndex, LayerSize, StoreError};
use kiln_oci::archive::LoadError;
use kiln_oci::{Compression, Descriptor, Digest, DocumentError, History, ImageConfig, Reference};
use thiserror::Error;

use crate::compressed::Compressed;
use crate::history::{Step, paired, steps_of};

pub use archive::{ArchivedImage, read_archive};
pub use blob::read_layer;
pub use compressed::compressed;
pub use programs::{Programs, find_programs};
pub use stored::{base, stored};
pub use streamed::streamed;

/// An image and what its layers hold.
#[derive(Debug, Clone)]
pub struct Image {
    /// The digest of its config.
    pub id: Digest,
    /// Its config, with the history.
    pub config: ImageConfig,
    /// Its layers, the lowest first.
    pub layers: Vec<ImageLayer>,
    /// How many of them, from the lowest, belong to the image that this one is built on; 0 where that is not known.
    pub base: usize,
}

/// A layer of an image.
#[derive(Debug, Clone)]
pub struct ImageLayer {
    /// Diff ID, length of the tar, and the entries in it.
    pub index: Arc<LayerIndex>,
    /// Its compressed form, where it came in one.
    pub blob: Option<Blob>,
    /// The databases of package managers in it, where its tar is not in the store.
    pub kept: Kept,
    /// Its programs; of a layer in the store only [`find_programs`] knows them.
    pub programs: Programs,
    /// What was measured while its tar passed by.
    pub measured: Option<Compressed>,
}

/// The compressed form of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// How it is compressed.
    pub compression: Compression,
    /// Bytes.
    pub size: u64,
}

impl Blob {
    /// The compressed form that a manifest names, if it does; it gives no size to what was not compressed yet.
    #[must_use]
    pub fn described(layer: &Descriptor, diff_id: &Digest) -> Option<Self> {
        let compression = Compression::of_layer(&layer.media_type)?;
        let size = layer.size;
        let is_known = compression != Compression::None && layer.digest != *diff_id && size > 0;
        is_known.then_some(Self { compression, size })
    }
}

/// Why the layers of an image cannot be read.
#[derive(Debug, Error)]
pub enum ImageError {
    /// The config is malformed.
    #[error(transparent)]
    Config(#[from] DocumentError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive cannot be read.
    #[error(transparent)]
    Archive(#[from] LoadError),
    /// A layer cannot be read.
    #[error("the layer {name} cannot be read")]
    Layer {
        /// Its file or digest.
        name: String,
        /// Why not.
        source: LayerError,
    },
    /// A layer is not what its description says.
    #[error("the {what} of the layer {name} is {actual} instead of {expected}")]
    Mismatch {
        /// Which digest.
        what: &'static str,
        /// The file of the layer.
        name: String,
        /// What was announced.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// An archive that holds only what another image lacks.
    #[error("the archive leaves out the layer {0}")]
    LeftOut(Digest),
    /// No image of the archive has this name.
    #[error("the archive has no image {wanted}; it has {}", names(.found))]
    NoSuchImage {
        /// The name.
        wanted: String,
        /// The names that there are.
        found: Vec<Reference>,
    },
    /// Which of several images is meant is not known.
    #[error("the archive has several images: {}", names(.0))]
    Several(Vec<Reference>),
}

fn names(references: &[Reference]) -> String {
    let names: Vec<String> = references.iter().map(Reference::familiar).collect();
    match names.is_empty() {
        true => "none with a name".to_owned(),
        false => names.join(", "),
    }
}

impl Image {
    /// The entries of its history, the oldest first, each with the position of its layer: see [`paired`].
    pub fn steps(&self) -> impl Iterator<Item = (Option<&History>, Option<usize>)> {
        paired(&self.config.history, self.layers.len())
    }

    /// The steps that made it, with what is known of how it was built.
    #[must_use]
    pub fn history(&self, record: &BuildRecord) -> Vec<Step> {
        let sizes = self.layers.iter().map(|layer| LayerSize {
            diff_id: layer.index.diff_id,
            bytes: layer.index.tar_size,
            compressed: layer.blob.map(|blob| blob.size),
        });
        let sizes: Vec<LayerSize> = sizes.collect();
        steps_of(&self.config, &sizes, record)
    }

    /// Bytes of all its uncompressed tars.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.index.tar_size).sum()
    }

    /// Whether a layer, by its position, belongs to the image that this one is built on.
    #[must_use]
    pub const fn is_of_base(&self, layer: usize) -> bool {
        layer < self.base
    }
}

impl ImageLayer {
    /// A layer of which only the tar is known.
    #[must_use]
    pub fn plain(index: impl Into<Arc<LayerIndex>>) -> Self {
        let index = index.into();
        Self {
            index,
            blob: None,
            kept: Kept::new(),
            programs: Programs::new(),
            measured: None,
        }
    }

    /// Its entries, sorted by path.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        self.index.tree.entries()
    }
}
