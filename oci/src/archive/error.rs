//! What can go wrong with archives. Unaware of how they are read and written.

use std::io;
use std::path::PathBuf;

use crate::compression::Encoding;
use crate::digest::Digest;
use crate::document::DocumentError;
use crate::tarfile::TarError;

/// Why an archive was not written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The output failed.
    #[error("cannot write the archive")]
    Write(#[from] io::Error),
    /// A header could not be written.
    #[error("cannot write the archive")]
    Header(#[from] TarError),
    /// The manifest or config of an image is malformed.
    #[error("image {image} is malformed")]
    Document {
        /// The digest of the image's manifest.
        image: Digest,
        /// What is wrong.
        source: DocumentError,
    },
    /// The config given is not the one that the manifest names.
    #[error("the manifest {image} names the config {expected}, not {actual}")]
    OtherConfig {
        /// The digest of the image's manifest.
        image: Digest,
        /// The config that it names.
        expected: Digest,
        /// The config given.
        actual: Digest,
    },
    /// The manifest and the config have different numbers of layers.
    #[error("image {image} has {layers} layers but {diff_ids} diff IDs")]
    LayerCount {
        /// The digest of the image's manifest.
        image: Digest,
        /// Layers in the manifest.
        layers: usize,
        /// Diff IDs in the config.
        diff_ids: usize,
    },
    /// Two different images have the same reference.
    #[error("{0} names two different images")]
    Reference(String),
    /// A blob cannot be opened or read.
    #[error("cannot read the blob {digest}")]
    Blob {
        /// The blob.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// A blob is not as large as its descriptor says.
    #[error("the blob {digest} has {actual} bytes instead of {expected}")]
    BlobSize {
        /// The blob.
        digest: Digest,
        /// What the descriptor says.
        expected: u64,
        /// What the source has.
        actual: u64,
    },
    /// A blob's content is not what its digest says.
    #[error("the blob {expected} is damaged: its content is {actual}")]
    BlobDigest {
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
}

/// Why an archive was not read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be opened.
    #[error("cannot open {path}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The archive cannot be read or decompressed.
    #[error("cannot read the archive")]
    Read(#[from] io::Error),
    /// The archive cannot be decompressed.
    #[error("cannot decompress the archive ({encoding:?})")]
    Decompress {
        /// How it is compressed.
        encoding: Encoding,
        /// What is wrong.
        source: io::Error,
    },
    /// The scratch file for a compressed or streamed archive cannot be written.
    #[error("cannot write a scratch file in {directory}")]
    Spool {
        /// The scratch directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The archive is no tar, or one that is refused.
    #[error("cannot read the archive")]
    Tar(#[from] TarError),
    /// The archive ends inside a file.
    #[error("the archive is cut off inside {0:?}")]
    CutOff(String),
    /// The archive cannot be decompressed where a file is.
    #[error("the archive is damaged inside {name:?}")]
    Damaged {
        /// The file.
        name: String,
        /// What is wrong.
        source: io::Error,
    },
    /// The archive is a bomb, or as good as one.
    #[error("the archive expands to more than any image archive would when it is decompressed")]
    Expands,
    /// A part of a split archive is not there.
    #[error("part {number} of {count} is missing: {path}")]
    PartMissing {
        /// Its path.
        path: PathBuf,
        /// Its number, from 1.
        number: u64,
        /// How many there are, or at least are known.
        count: u64,
    },
    /// A part of a split archive has another size than it was written with.
    #[error("{path} has {actual} bytes instead of {expected}: it is cut off, or another part")]
    PartSize {
        /// Its path.
        path: PathBuf,
        /// Its size when it was written.
        expected: u64,
        /// Its size now.
        actual: u64,
    },
    /// A part of a split archive has another content than it was written with.
    #[error("{path} is damaged, or another part{real}")]
    PartDamaged {
        /// Its path.
        path: PathBuf,
        /// What it is instead, or empty.
        real: String,
    },
    /// The archive is larger than allowed.
    #[error("the archive has more than {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// The archive has an entry that image archives must not have.
    #[error("the archive has an entry {name:?}: {reason}")]
    Entry {
        /// Its name, escaped.
        name: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// Neither an OCI layout nor a docker archive.
    #[error("this is no image archive: it has neither index.json nor manifest.json")]
    NoImageArchive,
    /// There is no image in it.
    #[error("the archive has no image{}", only(others))]
    Empty {
        /// Media types of what there is instead.
        others: Vec<String>,
    },
    /// A file that another one names is missing.
    #[error("{0:?} is missing from the archive")]
    Missing(String),
    /// A file that another one names is in the archive, but is neither a document nor a layer.
    #[error("{0:?} in the archive is not what it is used for")]
    NotKept(String),
    /// A manifest, index or config is malformed.
    #[error("{name:?} in the archive is malformed")]
    Document {
        /// The file.
        name: String,
        /// What is wrong.
        source: DocumentError,
    },
    /// A file is not as large as its descriptor says.
    #[error("{name:?} in the archive has {actual} bytes instead of {expected}")]
    Size {
        /// The file.
        name: String,
        /// What the descriptor says.
        expected: u64,
        /// What the archive has.
        actual: u64,
    },
    /// A file's content is not what its digest says.
    #[error("{name:?} in the archive is corrupt: its digest is {actual} instead of {expected}")]
    Digest {
        /// The file.
        name: String,
        /// The digest that it should have.
        expected: Digest,
        /// The digest that it has.
        actual: Digest,
    },
    /// The manifest and the config have different numbers of layers.
    #[error("image {config} has {layers} layers but {diff_ids} diff IDs")]
    LayerCount {
        /// The digest of the config: the image ID.
        config: Digest,
        /// Layers in the manifest.
        layers: usize,
        /// Diff IDs in the config.
        diff_ids: usize,
    },
    /// None of several platforms fits.
    #[error("the archive has no image for {wanted}, only for {available}")]
    Platform {
        /// The platform asked for.
        wanted: String,
        /// The platforms that are there.
        available: String,
    },
    /// A layer is compressed in a way that no media type names.
    #[error("the layer {name:?} is compressed with {encoding:?}, which images cannot name")]
    LayerEncoding {
        /// The file.
        name: String,
        /// How it is compressed.
        encoding: Encoding,
    },
    /// There is no such image or layer in what was loaded.
    #[error("the archive has no layer {layer} of image {image}")]
    NoSuchLayer {
        /// Index of the image.
        image: usize,
        /// Index of the layer.
        layer: usize,
    },
}

/// What there is instead of images, for a message.
fn only(others: &[String]) -> String {
    let named: Vec<_> = others
        .iter()
        .take(3)
        .map(|kind| format!("{kind:?}"))
        .collect();
    let more = if others.len() > named.len() {
        " and more"
    } else {
        ""
    };
    match named.is_empty() {
        true => String::new(),
        false => format!(", only {}{more}", named.join(", ")),
    }
}

impl LoadError {
    /// More than an archive may have of something.
    pub(super) fn too_large(what: &'static str, limit: impl TryInto<u64>) -> Self {
        let limit = limit.try_into().unwrap_or(u64::MAX);
        Self::TooLarge { what, limit }
    }

    /// A document that is not what it should be, for `map_err`.
    pub(super) fn document(name: impl Into<String>) -> impl FnOnce(DocumentError) -> Self {
        let name = name.into();
        move |source| Self::Document { name, source }
    }
}
