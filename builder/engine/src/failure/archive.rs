//! Why an image cannot be moved into an archive or out of one.

use kiln_cache::{ImageError, LayerError, StoreError};
use kiln_oci::Digest;
use kiln_oci::archive::{LoadError, SaveError};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why an image cannot be moved in or out.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The archive is malformed or hostile.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The archive cannot be written.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// An image is not there or cannot be kept.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive leaves out layers that the store does not hold.
    #[error(
        "the archive leaves out {} that this store does not hold",
        layers(missing)
    )]
    MissingBase {
        /// Their blobs.
        missing: Vec<Digest>,
        /// What the archive was made against, as far as it says.
        bases: Vec<String>,
    },
    /// Layers are known by description only, and do not come.
    #[error("the store lacks {}, and nothing was written", layers(missing))]
    Unfetched {
        /// Their blobs.
        missing: Vec<Digest>,
        /// Why the first of them did not come.
        source: StoreError,
    },
    /// An image is for another platform than the one asked for.
    #[error("{name} is an image for {actual}, not for {wanted}")]
    Platform {
        /// The image.
        name: String,
        /// What was asked for.
        wanted: String,
        /// What it is for.
        actual: String,
    },
    /// A change to an imported image cannot be made.
    #[error("--change {change}: {problem}")]
    Change {
        /// The change, as written.
        change: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A list of digests has a line that is none.
    #[error("cannot read the list of digests {path}")]
    List {
        /// The list.
        path: PathBuf,
        /// What is wrong.
        source: kiln_oci::DigestError,
    },
    /// There is less space than the archive needs for sure.
    #[error("the layers need at least {needed} bytes in {path}, which has {free}")]
    Space {
        /// The store.
        path: PathBuf,
        /// Bytes that are needed at least.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// A root file system cannot be made a layer.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A file of a root file system cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ArchiveError {
    /// For `map_err` of what reads a file.
    pub(crate) fn read(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}

/// A list of layers for a message, the first few by name.
fn layers(digests: &[Digest]) -> String {
    let named: Vec<String> = digests.iter().take(5).map(Digest::to_string).collect();
    let more = digests.len().saturating_sub(named.len());
    let rest = match more {
        0 => String::new(),
        _ => format!(" and {more} more"),
    };
    let plural = if digests.len() == 1 { "" } else { "s" };
    format!(
        "{} layer{plural} ({}{rest})",
        digests.len(),
        named.join(", ")
    )
}
