//! Sends blobs and manifests: several blobs at once, and none that the other side has or can mount.

use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kiln_cache::{StoredImage, on_threads};
use kiln_oci::{Descriptor, Digest, Reference};

use super::Push;
use super::derive::{Derived, derive, manifest, wanted};
use crate::event::Direction;
use crate::transfer::remote::RemoteError;
use crate::transfer::remote::fetch::Transfer;

/// Layers that are compressed and sent at once.
const AT_ONCE: usize = 4;

impl Push<'_> {
    /// Sends layers and config of an image; the manifest that names them.
    pub(super) fn send_image(&self, image: &StoredImage) -> Result<Derived, RemoteError> {
        let manifest = manifest(image)?;
        let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
        let sent: Vec<Mutex<Option<Descriptor>>> =
            manifest.layers.iter().map(|_| Mutex::default()).collect();
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let (Some(layer), Some(diff_id)) =
                    (manifest.layers.get(number), image.diff_ids.get(number))
                else {
                    return;
                };
                match self.send_layer(layer, diff_id) {
                    Ok(layer) => *lock(&sent[number]) = Some(layer),
                    Err(error) => {
                        lock(&failure).get_or_insert(error);
                        next.store(manifest.layers.len(), Ordering::Relaxed);
                    }
                }
            }
        };
        on_threads(manifest.layers.len().min(AT_ONCE), work);
        if let Some(error) = lock(&failure).take() {
            return Err(error);
        }
        self.send_blob(&manifest.config)?;
        let layers = sent.iter().filter_map(|layer| lock(layer).take()).collect();
        Ok(derive(self.form, image, &manifest, layers))
    }

    /// Compresses a layer if it has to be, and sends it.
    fn send_layer(&self, layer: &Descriptor, diff_id: &Digest) -> Result<Descriptor, RemoteError> {
        if self.remote.cancel.requested() {
            return Err(RemoteError::Cancelled);
        }
        let blob = match wanted(layer, self.form) {
            None => layer.clone(),
            Some(compression) => match self.store.forms().known(diff_id, compression)? {
                // what the other side has is neither made nor brought here
                Some(known) if self.has_or_takes(&known)? => {
                    self.store.origins().add(&self.to.name(), &[known.digest])?;
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
        Ok(self.registry.has_blob(&self.to, blob)? || self.mount(blob)?)
    }

    /// Sends a blob, unless the repository has it or may take it from another one.
    fn send_blob(&self, blob: &Descriptor) -> Result<(), RemoteError> {
        if !self.has_or_takes(blob)? {
            // an error of the store is told as such, not as one of a reader
            drop(self.store.blobs().open(&blob.digest)?);
            let events = &self.remote.events;
            let transfer = Arc::new(Transfer::start(events, Direction::Upload, &self.to, blob));
            self.registry
                .push_blob(&self.to, blob, &|| self.open(&blob.digest, &transfer))?;
            transfer.end();
        }
        self.store.origins().add(&self.to.name(), &[blob.digest])?;
        Ok(())
    }

    fn open(&self, blob: &Digest, transfer: &Arc<Transfer>) -> io::Result<Box<dyn Read + Send>> {
        let file = self
            .store
            .blobs()
            .open(blob)
            .map_err(|error| io::Error::other(crate::chain_of_causes(&error)))?;
        Ok(Box::new(Counted {
            file,
            read: 0,
            transfer: transfer.clone(),
        }))
    }

    /// Asks the registry to take the blob from another of its repositories.
    fn mount(&self, blob: &Descriptor) -> Result<bool, RemoteError> {
        let here = self.to.name();
        for (repository, there) in self.store.origins().of(&blob.digest)? {
            // a shared cache may be in no registry
            let Ok(from) = Reference::parse(&repository) else {
                continue;
            };
            let may =
                there == blob.digest && repository != here && from.registry == self.to.registry;
            if may && self.registry.mount_blob(&self.to, &from, &blob.digest)? {
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
        if self.remote.cancel.requested() {
            return Err(RemoteError::Cancelled);
        }
        let expected = derived.descriptor.digest;
        let media_type = &derived.descriptor.media_type;
        let found = self
            .registry
            .push_manifest(to, media_type, &derived.bytes)?;
        if found != expected {
            return Err(RemoteError::OtherDigest { expected, found });
        }
        let names = [(*here, expected)];
        self.store.origins().add_all(&self.to.name(), &names)?;
        Ok(())
    }
}

/// A blob that tells how far it was read.
struct Counted {
    file: File,
    read: u64,
    transfer: Arc<Transfer>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        self.transfer.at(self.read);
        Ok(count)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
