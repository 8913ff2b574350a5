//! The client of registries as the engine sees it. Unaware of what is asked for.

use std::path::Path;

use kiln_oci::registry::{Client, Error};
use kiln_oci::{Descriptor, Digest, Reference};

use super::registry::{FetchedManifest, OpenBlob, Registry, RegistryError};

impl From<Error> for RegistryError {
    fn from(error: Error) -> Self {
        Self {
            is_not_found: error.is_not_found(),
            hint: error.hint(),
            source: error.into(),
        }
    }
}

impl Registry for Client {
    fn manifest(&self, reference: &Reference) -> Result<FetchedManifest, RegistryError> {
        let fetched = Client::manifest(self, reference)?;
        Ok(FetchedManifest {
            digest: fetched.digest,
            media_type: fetched.media_type,
            bytes: fetched.bytes,
        })
    }

    fn manifest_digest(&self, reference: &Reference) -> Result<Option<Digest>, RegistryError> {
        match Client::manifest_digest(self, reference) {
            Ok(digest) => Ok(Some(digest)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn document(&self, of: &Reference, blob: &Descriptor) -> Result<Vec<u8>, RegistryError> {
        Ok(Client::document(self, of, blob)?)
    }

    fn tags(&self, of: &Reference) -> Result<Vec<String>, RegistryError> {
        Ok(Client::tags(self, of)?)
    }

    fn download(
        &self,
        of: &Reference,
        blob: &Descriptor,
        part: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError> {
        Ok(Client::download(self, of, blob, part, progress)?)
    }

    fn has_blob(&self, of: &Reference, blob: &Descriptor) -> Result<bool, RegistryError> {
        Ok(Client::has_blob(self, of, blob.digest)?)
    }

    fn mount_blob(
        &self,
        to: &Reference,
        from: &Reference,
        blob: &Digest,
    ) -> Result<bool, RegistryError> {
        Ok(Client::mount_blob(self, to, from, *blob)?)
    }

    fn push_blob(
        &self,
        to: &Reference,
        blob: &Descriptor,
        open: OpenBlob<'_>,
    ) -> Result<(), RegistryError> {
        Ok(Client::push_blob(self, to, blob, open)?)
    }

    fn push_manifest(
        &self,
        to: &Reference,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest, RegistryError> {
        Ok(Client::push_manifest(self, to, media_type, bytes)?)
    }
}
