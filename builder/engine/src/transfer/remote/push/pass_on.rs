//! What an index names and the store lacks (images of other platforms, attestations) goes from the registry that the index came from
//! to the one that it goes to, verbatim. Nothing of it stays in the store.

use std::fs::File;
use std::path::Path;

use kiln_oci::{Descriptor, Digest, Manifest, Reference};

use super::{Push, by_digest};
use crate::event::Direction;
use crate::transfer::remote::RemoteError;
use crate::transfer::remote::fetch::Transfer;
use crate::transfer::remote::registry::FetchedManifest;

impl Push<'_> {
    /// Passes on an image of `index`; false when no registry is known that has it.
    pub(super) fn pass_on(&self, index: &Digest, child: &Descriptor) -> Result<bool, RemoteError> {
        let here = self.to.name();
        for (repository, there) in self.store.origins().of(index)? {
            if there != *index || repository == here {
                continue;
            }
            let from = Reference::parse(&repository)?;
            match self.registry.manifest(&by_digest(&from, child.digest)) {
                Ok(found) => return self.pass_manifest(&from, &found).map(|()| true),
                Err(error) if error.is_not_found => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    fn pass_manifest(&self, from: &Reference, found: &FetchedManifest) -> Result<(), RemoteError> {
        let wrong = |source| RemoteError::Document {
            digest: found.digest,
            source,
        };
        let manifest = Manifest::parse(&found.bytes).map_err(wrong)?;
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            if self.remote.cancel.requested() {
                return Err(RemoteError::Cancelled);
            }
            self.pass_blob(from, blob)?;
        }
        let to = by_digest(&self.to, found.digest);
        self.registry
            .push_manifest(&to, &found.media_type, &found.bytes)?;
        Ok(())
    }

    fn pass_blob(&self, from: &Reference, blob: &Descriptor) -> Result<(), RemoteError> {
        let is_same = from.registry == self.to.registry;
        if self.registry.has_blob(&self.to, blob)?
            || (is_same && self.registry.mount_blob(&self.to, from, &blob.digest)?)
        {
            return Ok(());
        }
        let scratch = self.store.scratch().dir("pass-on")?;
        let passed = self.through(from, blob, &scratch.join("blob"));
        self.store.scratch().discard(&scratch)?;
        passed
    }

    /// By way of a file: a download and an upload that break off are gone on with on their own.
    fn through(&self, from: &Reference, blob: &Descriptor, file: &Path) -> Result<(), RemoteError> {
        let start = |direction, of| Transfer::start(&self.remote.events, direction, of, blob);
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
