//! Layers that the store only knows by description: their bytes are fetched when something needs them.
//!
//! An image from a registry is here as soon as its manifest and config are. Of each layer the store then knows diff ID, digest and
//! size of the blob (table `image_layers`), and repositories that hold the blob (table `origins`). [`crate::Layers::get`],
//! [`crate::Layers::chain`], [`crate::Views::get`], [`crate::Blobs::open`] and [`crate::Forms::compressed`] fetch what they need; everything else,
//! [`crate::Layers::index`] above all, reports only what is there. A layer whose tar is lost comes back from its compressed blob, else
//! from an origin.
//!
//! Unaware of networks: the store is opened with a [`Fetcher`]. One thread of one process fetches a blob, others wait.

pub(crate) mod fetch;
mod growing;
mod origins;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use kiln_oci::Digest;

use crate::{CacheOrigin, Store};

/// A blob that is somewhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteBlob {
    /// Its sha256.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Where it is, sorted.
    pub origins: Vec<CacheOrigin>,
}

/// Why a blob could not be fetched.
pub type FetchFailure = Box<dyn std::error::Error + Send + Sync>;

/// Fetches blobs from where they are.
pub trait Fetcher: Debug + Send + Sync {
    /// Writes the blob to the file `part`, which may hold its beginning from an attempt before, and calls `grown` whenever the file
    /// has changed. The file stays when this fails, so that the next attempt can continue it.
    ///
    /// # Errors
    /// No origin could be reached, or the blob is not there.
    fn fetch(
        &self,
        blob: &RemoteBlob,
        part: &Path,
        grown: &(dyn Fn() + Sync),
    ) -> Result<(), FetchFailure>;

    /// Whether what is at an origin can be fetched now.
    fn reaches(&self, _origin: &CacheOrigin) -> bool {
        true
    }

    /// Whether to stop waiting for others.
    fn is_cancelled(&self) -> bool;
}

impl Store {
    /// The same store, which fetches what it lacks.
    #[must_use]
    pub fn with_fetcher(&self, fetcher: Arc<dyn Fetcher>) -> Self {
        Self {
            fetcher: Some(fetcher),
            ..self.clone()
        }
    }

    /// The same store, which has what it has, after the work.
    #[must_use]
    pub fn without_fetcher(&self) -> Self {
        self.waiter().release();
        Self {
            fetcher: None,
            ..self.clone()
        }
    }

    /// Whether the user has stopped what the store fetches for.
    fn is_stopped(&self) -> bool {
        let fetcher = self.fetcher.as_ref();
        self.waiter().is_stopped() || fetcher.is_some_and(|fetcher| fetcher.is_cancelled())
    }
}
