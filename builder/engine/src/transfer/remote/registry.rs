//! What the engine needs of registries. Unaware of HTTP: [`kiln_oci::registry::Client`] is one, tests have others.

use std::fmt::Debug;
use std::io::{self, Read};
use std::path::Path;

use kiln_oci::{Descriptor, Digest, Reference};

/// A manifest or index as a registry gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedManifest {
    /// Digest of the bytes.
    pub digest: Digest,
    /// What the registry says that it is.
    pub media_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Why a registry did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct RegistryError {
    /// The reason.
    pub source: Box<dyn std::error::Error + Send + Sync>,
    /// There is no such thing in the registry.
    pub is_not_found: bool,
    /// What a person can do about it.
    pub hint: Option<String>,
}

/// Opens a blob that is to be pushed, from its start.
pub type OpenBlob<'a> = &'a (dyn Fn() -> io::Result<Box<dyn Read + Send>> + Sync);

/// Registries; all calls block. Of a reference, repository and registry count, and for manifests tag or digest.
pub trait Registry: Debug + Send + Sync {
    /// A manifest or index.
    ///
    /// # Errors
    /// It is not there, or does not come.
    fn manifest(&self, reference: &Reference) -> Result<FetchedManifest, RegistryError>;

    /// The digest of a manifest or index; `None` when there is none.
    ///
    /// # Errors
    /// The registry does not answer.
    fn manifest_digest(&self, reference: &Reference) -> Result<Option<Digest>, RegistryError>;

    /// A blob of at most a few MiB, checked.
    ///
    /// # Errors
    /// It is not there, or does not come.
    fn document(&self, of: &Reference, blob: &Descriptor) -> Result<Vec<u8>, RegistryError>;

    /// All tags of a repository.
    ///
    /// # Errors
    /// There is no such repository, or the registry does not answer.
    fn tags(&self, of: &Reference) -> Result<Vec<String>, RegistryError>;

    /// Writes a blob to a file, which may hold its beginning; `progress` is told how far it is, in bytes.
    ///
    /// # Errors
    /// It does not come as a whole; what came stays in the file.
    fn download(
        &self,
        of: &Reference,
        blob: &Descriptor,
        part: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError>;

    /// Whether a repository has a blob.
    ///
    /// # Errors
    /// The registry does not answer.
    fn has_blob(&self, of: &Reference, blob: &Descriptor) -> Result<bool, RegistryError>;

    /// Lets a repository have a blob of another one on the same registry; `false` when the registry would not.
    ///
    /// # Errors
    /// The registry does not answer.
    fn mount_blob(
        &self,
        to: &Reference,
        from: &Reference,
        blob: &Digest,
    ) -> Result<bool, RegistryError>;

    /// Sends a blob.
    ///
    /// # Errors
    /// The registry refuses it, or it cannot be read.
    fn push_blob(
        &self,
        to: &Reference,
        blob: &Descriptor,
        open: OpenBlob<'_>,
    ) -> Result<(), RegistryError>;

    /// Sends a manifest or index under the reference's tag or digest; the digest that the registry gives it.
    ///
    /// # Errors
    /// The registry refuses it.
    fn push_manifest(
        &self,
        to: &Reference,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest, RegistryError>;
}
