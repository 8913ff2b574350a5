//! What an index names and the store lacks (images of other platforms, attestations) goes from the registry that the index came from
//! to the one that it goes to, verbatim. Nothing of it stays in the store.

use std::fs::File;
use std::path::Path;

use kiln_cache::CacheOrigin;
use kiln_oci::registry::Fetched;
use kiln_oci::{Descriptor, Digest, Manifest, Reference};

use super::{Push, by_digest};
use crate::event::Direction;
use crate::failure::RemoteError;
use crate::transfer::remote::fetch::transfer;
use crate::transfer::remote::if_found;

impl Push<'_> {
    /// Passes on an image of `index`; false when no registry is known that has it.
    pub(super) fn pass_on(&self, index: &Digest, child: &Descriptor) -> Result<bool, RemoteError> {
        let origins = self.store.origins().same(index)?;
        let repositories = origins.iter().filter_map(CacheOrigin::as_registry);
        for from in repositories.filter(|from| from.name() != self.to.name()) {
            let found = self.registry.manifest(&by_digest(from, child.digest));
            if let Some(found) = if_found(found)? {
                return self.pass_manifest(from, &found).map(|()| true);
            }
        }
        Ok(false)
    }

    fn pass_manifest(&self, from: &Reference, found: &Fetched) -> Result<(), RemoteError> {
        let wrong = |source| RemoteError::Document {
            digest: found.digest,
            source,
        };
        let manifest = Manifest::parse(&found.bytes).map_err(wrong)?;
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            self.remote.check_cancelled()?;
            self.pass_blob(from, blob)?;
        }
        let to = by_digest(&self.to, found.digest);
        self.registry
            .push_manifest(&to, &found.media_type, &found.bytes)?;
        Ok(())
    }

    fn pass_blob(&self, from: &Reference, blob: &Descriptor) -> Result<(), RemoteError> {
        let is_same = from.registry == self.to.registry;
        if self.registry.has_blob(&self.to, blob.digest)?
            || (is_same && self.registry.mount_blob(&self.to, from, blob.digest)?)
        {
            return Ok(());
        }
        let scratch = self.store.scratch().dir("pass-on")?;
        let passed = self.through(from, blob, &scratch.join("blob"));
        self.store.scratch().discard(&scratch)?;
        passed
    }

    /// By way of a file: a download or an upload that breaks off is continued on its own.
    fn through(&self, from: &Reference, blob: &Descriptor, file: &Path) -> Result<(), RemoteError> {
        let start = |direction, of| transfer(&self.remote.events, direction, of, blob);
        let transfer = start(Direction::Download, from);
        self.registry
            .download(from, blob, file, &|bytes| transfer.at(bytes))?;
        transfer.end();
        let transfer = start(Direction::Upload, &self.to);
        self.registry
            .push_blob(&self.to, blob, &|| Ok(Box::new(File::open(file)?)))?;
        transfer.end();
        Ok(())
    }
}
