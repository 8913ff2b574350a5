//! Takes the images of an archive into the store. Unaware of archive formats.
//!
//! Layers go straight into the store, one after another; a layer that it holds is not read again, so an interrupted load continues
//! where it was when it is repeated. Images become visible when all layers are there. When the archive is refused, the layers
//! that it brought are removed again.

use super::{ArchiveError, Taken};
use kiln_cache::{ForeignLayer, ImageError, Layer, Store, StoreError};
use kiln_oci::archive::{
    self, Announcement, Contents, Incoming, Input, LoadError, LoadedImage, LoadedIndex, Received,
    Receiver, Selection,
};
use kiln_oci::tarfile::TarError;
use kiln_oci::{Descriptor, Digest, Encoding, Platform, Reference};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

/// What to take of an archive.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Only images for this platform.
    pub platform: Option<Platform>,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadSummary {
    /// How many images.
    pub images: usize,
    /// Layers with a name that has `..` in it and stays inside: docker takes them, not everybody does.
    pub climbing: Vec<(Digest, String)>,
}

/// Takes in all images of an archive; `each` is told of every one as soon as it is there.
///
/// # Errors
/// When the archive is malformed, something is not what its digest says, or the store fails.
pub fn load(
    store: &Store,
    input: Input<'_>,
    options: &LoadOptions,
    mut each: impl FnMut(&Taken),
) -> Result<LoadSummary, ArchiveError> {
    let selection = Selection::Whole {
        host: Platform::host(),
        only: options.platform.clone(),
    };
    let mut intake = Intake {
        store,
        fresh: Vec::new(),
        companions: Vec::new(),
        climbing: Vec::new(),
    };
    let outcome = archive::receive(input, &selection, &mut intake)
        .and_then(|contents| intake.publish(&contents, &mut each));
    match outcome {
        Ok(images) => {
            let used = used(&images);
            intake.fresh.retain(|layer| !used.contains(layer));
            intake.withdraw()?;
            Ok(LoadSummary {
                images: images.len(),
                climbing: intake.climbing,
            })
        }
        Err(error) => {
            if is_refusal(&error) {
                // The refusal is what counts; what stays is nothing but space.
                intake.fresh.append(&mut intake.companions);
                let _ = intake.withdraw();
            }
            Err(error)
        }
    }
}

/// Whether the archive is to blame, and would be next time. What was read before the disk became full or the archive ended too
/// early is wanted again when the load is repeated.
fn is_refusal(error: &ArchiveError) -> bool {
    match error {
        ArchiveError::Load(LoadError::Decompress { source, .. }) => {
            source.kind() != io::ErrorKind::UnexpectedEof
        }
        ArchiveError::Load(error) => !matches!(
            error,
            LoadError::Open { .. }
                | LoadError::Read(_)
                | LoadError::CutOff(_)
                | LoadError::Tar(TarError::Io(_) | TarError::Truncated { .. })
        ),
        ArchiveError::Image(ImageError::Store(error)) | ArchiveError::Store(error) => matches!(
            error,
            StoreError::Layer(_)
                | StoreError::DigestMismatch { .. }
                | StoreError::SizeMismatch { .. }
                | StoreError::Missing { .. }
        ),
        _ => true,
    }
}

fn used(images: &[LoadedImage]) -> BTreeSet<Digest> {
    let layers = images.iter().flat_map(|image| &image.layers);
    layers.map(|layer| layer.diff_id).collect()
}

/// Puts layers into the store.
struct Intake<'a> {
    store: &'a Store,
    /// Layers that were not there before.
    fresh: Vec<Digest>,
    /// Blobs of indexes that were not there before.
    companions: Vec<Digest>,
    /// Layers with a name that has `..` in it.
    climbing: Vec<(Digest, String)>,
}

impl Receiver for Intake<'_> {
    type Error = ArchiveError;

    fn announce(&mut self, announcement: &Announcement) -> Result<(), ArchiveError> {
        let mut missing = Vec::new();
        for layer in &announcement.absent {
            if !self.has_left_out(layer)? {
                missing.push(layer.descriptor.digest);
            }
        }
        if !missing.is_empty() {
            let receipt = announcement.receipt.as_ref();
            return Err(ArchiveError::MissingBase {
                missing,
                bases: receipt.map_or_else(Vec::new, |receipt| receipt.bases.clone()),
            });
        }
        self.check_space(&announcement.incoming)
    }

    fn layer(
        &mut self,
        incoming: &Incoming,
        content: &mut dyn Read,
    ) -> Result<Received, ArchiveError> {
        let known = ForeignLayer {
            digest: incoming.digest,
            size: incoming.size,
            diff_id: incoming.diff_id,
        };
        let mut content = Noting {
            reader: content,
            failure: None,
        };
        let taken = self.store.layers().take(&mut content, &known);
        let (layer, is_new) = content.explain(&incoming.name, taken)?;
        if is_new {
            self.fresh.push(layer.diff_id());
        }
        if let Some(name) = layer.index.tree.climbing() {
            self.climbing.push((layer.diff_id(), name.to_owned()));
        }
        received(self.store, &layer, incoming.digest)
    }

    fn held(&mut self, diff_id: &Digest) -> Result<Option<Received>, ArchiveError> {
        match self.left_out(diff_id)? {
            Some(layer) => received(self.store, &layer, None).map(Some),
            None => Ok(None),
        }
    }

    fn companion(&mut self, blob: &Descriptor, content: &mut dyn Read) -> Result<(), ArchiveError> {
        self.store.leases().pin(&[blob.digest])?;
        if self.store.blobs().has(&blob.digest)? {
            return Ok(());
        }
        let mut content = Noting {
            reader: content,
            failure: None,
        };
        let expected = Some((blob.digest, blob.size));
        let taken = self.store.blobs().put(&mut content, expected);
        let digest = content.explain(&blob.digest.to_string(), taken)?;
        self.companions.push(digest);
        Ok(())
    }
}

/// Remembers that the archive could not be read: the store only sees a layer that ends too early.
struct Noting<'a> {
    reader: &'a mut dyn Read,
    failure: Option<io::Error>,
}

impl Noting<'_> {
    /// What was taken; a failure of the archive explains that of the store.
    fn explain<T>(self, name: &str, taken: Result<T, StoreError>) -> Result<T, ArchiveError> {
        match (taken, self.failure) {
            (Err(_), Some(failure)) => Err(ArchiveError::Load(archive_ended(name, failure))),
            (taken, _) => Ok(taken?),
        }
    }
}

impl Read for Noting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer).map_err(|error| {
            let kind = error.kind();
            self.failure = Some(error);
            kind.into()
        })
    }
}

fn archive_ended(name: &str, failure: io::Error) -> LoadError {
    match failure.kind() {
        io::ErrorKind::UnexpectedEof => LoadError::CutOff(name.to_owned()),
        io::ErrorKind::FileTooLarge => LoadError::Expands,
        _ if failure.raw_os_error().is_some() => LoadError::Read(failure),
        _ => LoadError::Damaged {
            name: name.to_owned(),
            source: failure,
        },
    }
}

/// What a manifest may name: the blob as it came, else the tar.
fn received(
    store: &Store,
    layer: &Layer,
    expected: Option<Digest>,
) -> Result<Received, ArchiveError> {
    let diff_id = layer.diff_id();
    let plain = Received {
        digest: diff_id,
        size: layer.index.tar_size,
        diff_id,
        encoding: Encoding::Plain,
    };
    let Some(blob) = layer
        .compressed
        .filter(|_| expected.is_none_or(|digest| digest != diff_id))
    else {
        return Ok(plain);
    };
    let mut start = Vec::new();
    let file = store.blobs().open(&blob.digest)?;
    let read = file
        .take(kiln_oci::compression::SNIFF as u64)
        .read_to_end(&mut start);
    read.map_err(|source| ArchiveError::Read {
        path: store.blobs().path(&blob.digest),
        source,
    })?;
    Ok(Received {
        digest: blob.digest,
        size: blob.size,
        diff_id,
        encoding: kiln_oci::compression::sniff(&start),
    })
}

impl Intake<'_> {
    fn has(&self, blob: &Digest, diff_id: &Digest) -> Result<bool, StoreError> {
        self.store.leases().pin(&[*blob, *diff_id])?;
        Ok(self.store.blobs().has(blob)? && self.store.blobs().has(diff_id)?)
    }

    /// The layer that the archive leaves out, if the store has it. What it only knows from a registry is brought.
    fn left_out(&self, diff_id: &Digest) -> Result<Option<Layer>, StoreError> {
        match self.store.layers().get(diff_id) {
            Err(StoreError::Missing { .. }) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Whether the store has what the archive leaves out; docker archives know nothing but diff IDs.
    fn has_left_out(&self, layer: &archive::LoadedLayer) -> Result<bool, StoreError> {
        match layer.descriptor.digest == layer.diff_id {
            true => Ok(self.left_out(&layer.diff_id)?.is_some()),
            false => self.has(&layer.descriptor.digest, &layer.diff_id),
        }
    }

    /// A compressed layer takes its own size and, for its tar, at least as much again.
    fn check_space(&self, incoming: &[Incoming]) -> Result<(), ArchiveError> {
        let mut needed: u64 = 0;
        for layer in incoming {
            let is_held = match (&layer.digest, &layer.diff_id) {
                (Some(digest), Some(diff_id)) => self.has(digest, diff_id)?,
                _ => false,
            };
            if !is_held {
                let copies = if layer.digest == layer.diff_id { 1 } else { 2 };
                needed = needed.saturating_add(layer.size.saturating_mul(copies));
            }
        }
        let path = self.store.root();
        let stat = rustix::fs::statvfs(path).map_err(|errno| ArchiveError::Read {
            path: path.to_owned(),
            source: errno.into(),
        })?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if needed > free {
            return Err(ArchiveError::Space {
                path: path.to_owned(),
                needed,
                free,
            });
        }
        Ok(())
    }

    /// Makes the images visible.
    fn publish(
        &self,
        contents: &Contents,
        each: &mut impl FnMut(&Taken),
    ) -> Result<Vec<LoadedImage>, ArchiveError> {
        let absent = contents.images.iter().flat_map(|image| &image.layers);
        self.announce_absent(absent.filter(|layer| !layer.present), contents)?;
        let mut ids = BTreeMap::new();
        for image in &contents.images {
            let (manifest, id) = self.store.images().put(&image.manifest, &image.config)?;
            ids.insert(manifest, id);
        }
        for image in &contents.images {
            let manifest = image.manifest_digest;
            let is_in = |index: &LoadedIndex| index.manifests.contains(&manifest);
            if image.references.is_empty() && contents.indexes.iter().any(is_in) {
                continue;
            }
            let mut taken = self.name(Digest::of(&image.config), manifest, &image.references)?;
            taken.unreadable.clone_from(&image.unreadable_references);
            each(&taken);
        }
        for index in &contents.indexes {
            let digest = self.store.indexes().put(&index.bytes)?;
            let companions = index.companions.iter().flatten();
            let companions: Vec<Digest> = companions.map(|blob| blob.digest).collect();
            self.store.indexes().attach(&digest, &companions)?;
            let host = |image: &&LoadedImage| {
                index.manifests.contains(&image.manifest_digest)
                    && image.platform().matches(&Platform::host())
            };
            let best = contents.images.iter().find(host);
            let best = best.map(|image| image.manifest_digest);
            let best = best.or(index.manifests.first().copied());
            if let Some(id) = best.and_then(|best| ids.get(&best)) {
                let mut taken = self.name(*id, digest, &index.references)?;
                taken.unreadable.clone_from(&index.unreadable_references);
                each(&taken);
            }
        }
        Ok(contents.images.clone())
    }

    /// Gives an image or index its names.
    fn name(
        &self,
        id: Digest,
        manifest: Digest,
        references: &[Reference],
    ) -> Result<Taken, ArchiveError> {
        for reference in references {
            self.store.images().tag(reference, &manifest)?;
        }
        Ok(Taken {
            id,
            manifest,
            references: references.to_vec(),
            unreadable: Vec::new(),
        })
    }

    /// What a stream left out is known only at its end.
    fn announce_absent<'l>(
        &self,
        absent: impl Iterator<Item = &'l archive::LoadedLayer>,
        contents: &Contents,
    ) -> Result<(), ArchiveError> {
        let mut missing = BTreeSet::new();
        for layer in absent {
            if !self.has_left_out(layer)? {
                missing.insert(layer.descriptor.digest);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let receipt = contents.receipt.as_ref();
        Err(ArchiveError::MissingBase {
            missing: missing.into_iter().collect(),
            bases: receipt.map_or_else(Vec::new, |receipt| receipt.bases.clone()),
        })
    }

    fn withdraw(&self) -> Result<(), StoreError> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        self.store.garbage().withdraw(&self.fresh)
    }
}
