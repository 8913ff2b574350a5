//! What a backend of cache exchange does. Unaware of what caches hold.

use super::prune::Shrunk;
use crate::failure::BackendError;
use kiln_cache::CacheOrigin;
use kiln_oci::Descriptor;
use std::fmt::Debug;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// Opens a blob that is to be sent, from its start.
pub type OpenBlob<'a> = &'a (dyn Fn() -> io::Result<Box<dyn Read + Send>> + Sync);

/// What the name of a cache's mounts ends with.
pub(super) const MOUNTS: &str = "-mounts";

/// The right to write: a locked file.
pub type Turn = std::fs::File;

/// Keeps one cache under one name. It is opened with its way to the network, and only used when a build needs it.
pub trait Backend: Debug + Send + Sync {
    /// What people call it.
    fn name(&self) -> String;

    /// Where its blobs are.
    fn origin(&self) -> CacheOrigin;

    /// What the store calls the cache, to tell what it said from what others did: no two caches have the same.
    fn identity(&self) -> String;

    /// The same place under the name that the cache mounts of this cache have; `None` where it has no name.
    fn beside(&self) -> Option<Arc<dyn Backend>>;

    /// Waits until nobody else writes there, where writers could hinder each other. The turn ends with the value.
    ///
    /// # Errors
    /// It cannot be written at all.
    fn turn(&self) -> Result<Option<Turn>, BackendError> {
        Ok(None)
    }

    /// What is there under the name: a manifest or index; `None` for nothing.
    ///
    /// # Errors
    /// It does not answer.
    fn manifest(&self) -> Result<Option<Vec<u8>>, BackendError>;

    /// A small blob, checked.
    ///
    /// # Errors
    /// It is not there, or is another.
    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, BackendError>;

    /// Whether it has a blob, or can take it from one of these origins by itself.
    ///
    /// # Errors
    /// It does not answer.
    fn has(&self, blob: &Descriptor, origins: &[CacheOrigin]) -> Result<bool, BackendError>;

    /// Writes a blob to the file `part`, and reports how many bytes are there.
    ///
    /// # Errors
    /// It is not there, or does not come.
    fn fetch(
        &self,
        blob: &Descriptor,
        part: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), BackendError>;

    /// Takes a blob.
    ///
    /// # Errors
    /// It cannot be written.
    fn send(&self, blob: &Descriptor, open: OpenBlob<'_>) -> Result<(), BackendError>;

    /// Removes the caches of this place, whatever their names, that were written longest ago, until the rest has at most so many bytes.
    ///
    /// # Errors
    /// It cannot be read or written, or does not tell how old its caches are.
    fn shrink(&self, most: u64) -> Result<Shrunk, BackendError>;

    /// Gives the name to a manifest whose blobs were sent.
    ///
    /// # Errors
    /// It cannot be written.
    fn publish(&self, manifest: &[u8]) -> Result<(), BackendError>;
}
