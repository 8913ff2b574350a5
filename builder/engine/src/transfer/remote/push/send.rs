//! Sends blobs and manifests: several blobs at once, and none that the other side has or can mount.

use std::io::{self, Read};
use std::sync::Arc;

use kiln_cache::{BlobReader, CacheOrigin, Meter, StoredImage, try_parallel};
use kiln_oci::{Descriptor, Digest, Reference};

use super::Push;
use super::derive::{Derived, derive, manifest, wanted};
use crate::event::Direction;
use crate::failure::RemoteError;
use crate::transfer::remote::fetch::transfer;

/// Layers that are compressed and sent at once.
const AT_ONCE: usize = 4;

impl Push<'_> {
    /// Sends layers and config of an image; the manifest that names them.
    pub(super) fn send_image(&self, image: &StoredImage) -> Result<Derived, RemoteError> {
        let manifest = manifest(image)?;
        let layers: Vec<_> = manifest.layers.iter().zip(&image.diff_ids).collect();
        let sent = try_parallel(&layers, AT_ONCE, |(layer, diff_id)| {
            self.send_layer(layer, diff_id)
        })?;
        self.send_blob(&manifest.config)?;
        Ok(derive(self.form, image, &manifest, sent))
    }

    /// Compresses a layer if it has to be, and sends it.
    fn send_layer(&self, layer: &Descriptor, diff_id: &Digest) -> Result<Descriptor, RemoteError> {
        self.remote.check_cancelled()?;
        let blob = match wanted(layer, self.form) {
            None => layer.clone(),
            Some(compression) => match self.store.forms().known(diff_id, compression)? {
                // what the other side has is neither made nor fetched here
                Some(known) if self.has_or_takes(&known)? => {
                    self.store.origins().add(&self.there, &[known.digest])?;
                    return Ok(known);
                }
                _ => self.store.forms().compressed(diff_id, compression)?,
            },
        };
        self.send_blob(&blob)?;
        Ok(blob)
    }

    /// Whether the repository has the blob, or may take it from another one.
    fn has_or_takes(&self, blob: &Descriptor) -> Result<bool, RemoteError> {
        Ok(self.registry.has_blob(&self.to, blob.digest)? || self.mount(blob)?)
    }

    /// Sends a blob, unless the repository has it or may take it from another one.
    fn send_blob(&self, blob: &Descriptor) -> Result<(), RemoteError> {
        if !self.has_or_takes(blob)? {
            // an error of the store is reported as such, not as one of a reader
            drop(self.store.blobs().open(&blob.digest)?);
            let events = &self.remote.events;
            let transfer = Arc::new(transfer(events, Direction::Upload, &self.to, blob));
            self.registry
                .push_blob(&self.to, blob, &|| self.open(&blob.digest, &transfer))?;
            transfer.end();
        }
        self.store.origins().add(&self.there, &[blob.digest])?;
        Ok(())
    }

    fn open(&self, blob: &Digest, transfer: &Arc<Meter>) -> io::Result<Box<dyn Read + Send>> {
        let file = self
            .store
            .blobs()
            .reader(blob)
            .map_err(|error| io::Error::other(crate::failure::chain_of_causes(&error)))?;
        Ok(Box::new(Counted {
            file,
            read: 0,
            transfer: transfer.clone(),
        }))
    }

    /// Asks the registry to take the blob from another of its repositories.
    fn mount(&self, blob: &Descriptor) -> Result<bool, RemoteError> {
        let origins = self.store.origins().same(&blob.digest)?;
        let others = origins.iter().filter(|origin| **origin != self.there);
        for from in others.filter_map(CacheOrigin::as_registry) {
            let may = from.registry == self.to.registry;
            if may && self.registry.mount_blob(&self.to, from, blob.digest)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sends the document that stands for `here`, and remembers what it is called there.
    pub(super) fn send_manifest(
        &self,
        to: &Reference,
        here: &Digest,
        derived: &Derived,
    ) -> Result<(), RemoteError> {
        self.remote.check_cancelled()?;
        let expected = derived.descriptor.digest;
        let media_type = &derived.descriptor.media_type;
        let found = self
            .registry
            .push_manifest(to, media_type, &derived.bytes)?;
        if found != expected {
            return Err(RemoteError::OtherDigest { expected, found });
        }
        let names = [(*here, expected)];
        self.store.origins().add_all(&self.there, &names)?;
        Ok(())
    }
}

/// A blob that tells how far it was read.
struct Counted {
    file: BlobReader,
    read: u64,
    transfer: Arc<Meter>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        self.transfer.at(self.read);
        Ok(count)
    }
}
