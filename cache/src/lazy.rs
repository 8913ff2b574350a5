//! Layers that the store only knows by description: their bytes come when something needs them.
//!
//! An image from a registry is here as soon as its manifest and config are. Of each layer the store then knows diff ID, digest and
//! size of the blob (table `image_layers`), and repositories that hold the blob (table `origins`). [`crate::Layers::get`],
//! [`crate::Layers::chain`], [`crate::Views::get`], [`crate::Blobs::open`] and [`crate::Forms::compressed`] bring in what they need; everything else,
//! [`crate::Layers::index`] above all, tells what is there. A layer whose tar is lost comes back from its compressed blob, else from
//! a repository.
//!
//! Unaware of networks: whoever opens the store gives it a [`BlobSource`]. One thread of one process brings a blob in, others wait.

mod bring;
mod growing;
mod origins;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use kiln_oci::Digest;

use crate::Store;

/// A blob that is somewhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteBlob {
    /// Its sha256.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Repositories that hold it, as `registry/path`, sorted.
    pub repositories: Vec<String>,
}

/// Why a blob could not be brought.
pub type BringError = Box<dyn std::error::Error + Send + Sync>;

/// Brings blobs from where they are.
pub trait BlobSource: Debug + Send + Sync {
    /// Writes the blob to the file `part`, which may hold its beginning from an attempt before, and calls `grown` whenever the file
    /// has changed. The file stays when this fails, so that the next attempt can go on.
    ///
    /// # Errors
    /// Nobody could be reached, or the blob is not there.
    fn bring(
        &self,
        blob: &RemoteBlob,
        part: &Path,
        grown: &(dyn Fn() + Sync),
    ) -> Result<(), BringError>;

    /// Whether what a place (one of [`RemoteBlob::repositories`]) offers can be had now.
    fn reaches(&self, _place: &str) -> bool {
        true
    }

    /// Whether to stop waiting for others.
    fn is_cancelled(&self) -> bool;
}

impl Store {
    /// The same store, which brings what it lacks from `source`.
    #[must_use]
    pub fn with_source(&self, source: Arc<dyn BlobSource>) -> Self {
        Self {
            source: Some(source),
            ..self.clone()
        }
    }

    /// The same store, which has what it has.
    #[must_use]
    pub fn without_source(&self) -> Self {
        Self {
            source: None,
            ..self.clone()
        }
    }
}
