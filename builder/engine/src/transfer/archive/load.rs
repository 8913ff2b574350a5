//! Takes the images of an archive into the store. Unaware of archive formats.
//!
//! Layers go straight into the store, one after another. A layer that the store holds is not read again, so a load that was
//! interrupted continues where it stopped when it is repeated. Images become visible when all layers are there. When the
//! archive is refused, the layers that it brought are removed again.

use super::{Taken, whole};
use crate::failure::ArchiveError;
use kiln_cache::{ForeignLayer, ImageError, Layer, Meter, Store, StoreError, Work};
use kiln_oci::archive::{
    self, Announcement, Contents, Incoming, Input, LoadError, LoadedImage, LoadedIndex,
    LoadedLayer, Receipt, Received, Receiver,
};
use kiln_oci::tarfile::TarError;
use kiln_oci::{Descriptor, Digest, Encoding, Platform, Reference, compression};
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
    /// Layers with a name that has `..` in it and stays inside. docker takes them, other tools do not.
    pub climbing: Vec<(Digest, String)>,
}

/// Takes in all images of an archive, and hands each to `each` as soon as it is there.
///
/// # Errors
/// When the archive is malformed, something is not what its digest says, or the store fails.
pub fn load(
    store: &Store,
    input: Input<'_>,
    options: &LoadOptions,
    mut each: impl FnMut(&Taken),
) -> Result<LoadSummary, ArchiveError> {
    let mut intake = Intake::new(store);
    let received = archive::receive(input, &whole(options.platform.clone()), &mut intake);
    let published = received.and_then(|contents| {
        intake.publish(&contents, &mut each)?;
        Ok(contents.images)
    });
    if published.as_ref().is_err_and(is_refusal) {
        // A failure to clean up does not hide the refusal: what stays only takes space.
        intake.fresh.append(&mut intake.companions);
        let _ = intake.withdraw();
    }
    let images = published?;
    intake.fresh.retain(|layer| !is_used(&images, layer));
    intake.withdraw()?;
    Ok(LoadSummary {
        images: images.len(),
        climbing: intake.climbing,
    })
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

fn is_used(images: &[LoadedImage], diff_id: &Digest) -> bool {
    let mut layers = images.iter().flat_map(|image| &image.layers);
    layers.any(|layer| layer.diff_id == *diff_id)
}

/// Puts layers into the store.
struct Intake<'a> {
    store: &'a Store,
    /// How far it is, once it is known what comes.
    meter: Option<Meter>,
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
        self.check_held(&announcement.absent, announcement.receipt.as_ref())?;
        self.check_space(&announcement.incoming)?;
        let bytes = announcement.incoming.iter().map(|layer| layer.size).sum();
        let what = format!("{} layers", announcement.incoming.len());
        self.meter = Some(self.store.meter(Work::Load, what, bytes));
        Ok(())
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
        let mut content = Noting::new(content, self.meter.as_ref());
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
        let mut content = Noting::new(content, None);
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
    meter: Option<&'a Meter>,
    failure: Option<io::Error>,
}

impl<'a> Noting<'a> {
    fn new(reader: &'a mut dyn Read, meter: Option<&'a Meter>) -> Self {
        Noting {
            reader,
            meter,
            failure: None,
        }
    }

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
        let read = self.reader.read(buffer).map_err(|error| {
            let kind = error.kind();
            self.failure = Some(error);
            io::Error::from(kind)
        });
        read.inspect(|bytes| {
            self.meter.inspect(|meter| meter.add(*bytes as u64));
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
    let mut received = Received {
        digest: diff_id,
        size: layer.index.tar_size,
        diff_id,
        encoding: Encoding::Plain,
    };
    if let Some(blob) = layer.compressed.filter(|_| expected != Some(diff_id)) {
        let mut start = Vec::new();
        let file = store.blobs().open(&blob.digest)?;
        let read = file.take(compression::SNIFF as u64).read_to_end(&mut start);
        read.map_err(ArchiveError::read(&store.blobs().path(&blob.digest)))?;
        (received.digest, received.size) = (blob.digest, blob.size);
        received.encoding = compression::sniff(&start);
    }
    Ok(received)
}

impl<'a> Intake<'a> {
    fn new(store: &'a Store) -> Self {
        Intake {
            store,
            meter: None,
            fresh: Vec::new(),
            companions: Vec::new(),
            climbing: Vec::new(),
        }
    }

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
    fn has_left_out(&self, layer: &LoadedLayer) -> Result<bool, StoreError> {
        match layer.descriptor.digest == layer.diff_id {
            true => Ok(self.left_out(&layer.diff_id)?.is_some()),
            false => self.has(&layer.descriptor.digest, &layer.diff_id),
        }
    }

    /// Whether the store has all that the archive leaves out; a stream says only at its end what that is.
    fn check_held<'l>(
        &self,
        absent: impl IntoIterator<Item = &'l LoadedLayer>,
        receipt: Option<&Receipt>,
    ) -> Result<(), ArchiveError> {
        let mut missing = Vec::new();
        for layer in absent {
            let digest = layer.descriptor.digest;
            if !missing.contains(&digest) && !self.has_left_out(layer)? {
                missing.push(digest);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let bases = receipt.map_or_else(Vec::new, |receipt| receipt.bases.clone());
        Err(ArchiveError::MissingBase { missing, bases })
    }

    fn check_space(&self, incoming: &[Incoming]) -> Result<(), ArchiveError> {
        let needed = self.needed(incoming)?;
        let path = self.store.root();
        let read = ArchiveError::read(path);
        let stat = rustix::fs::statvfs(path).map_err(|errno| read(errno.into()))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if needed <= free {
            return Ok(());
        }
        Err(ArchiveError::Space {
            path: path.to_owned(),
            needed,
            free,
        })
    }

    /// A compressed layer takes its own size and, for its tar, at least as much again.
    fn needed(&self, incoming: &[Incoming]) -> Result<u64, StoreError> {
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
        Ok(needed)
    }

    /// Makes the images visible.
    fn publish(
        &self,
        contents: &Contents,
        each: &mut impl FnMut(&Taken),
    ) -> Result<(), ArchiveError> {
        self.meter.iter().for_each(Meter::end);
        let layers = contents.images.iter().flat_map(|image| &image.layers);
        let absent = layers.filter(|layer| !layer.present);
        self.check_held(absent, contents.receipt.as_ref())?;
        for image in &contents.images {
            self.store.images().put(&image.manifest, &image.config)?;
        }
        for image in &contents.images {
            let manifest = image.manifest_digest;
            let is_in = |index: &LoadedIndex| index.manifests.contains(&manifest);
            if image.references.is_empty() && contents.indexes.iter().any(is_in) {
                continue;
            }
            let taken = Taken::new(Digest::of(&image.config), manifest, &image.references);
            each(&self.name(taken, &image.unreadable_references)?);
        }
        for index in &contents.indexes {
            self.publish_index(index, &contents.images, each)?;
        }
        Ok(())
    }

    /// The ID of an index is that of its image for this machine, else of its first one.
    fn publish_index(
        &self,
        index: &LoadedIndex,
        images: &[LoadedImage],
        each: &mut impl FnMut(&Taken),
    ) -> Result<(), ArchiveError> {
        let digest = self.store.indexes().put(&index.bytes)?;
        let companions = index.companions.iter().flatten().map(|blob| blob.digest);
        self.store
            .indexes()
            .attach(&digest, &companions.collect::<Vec<_>>())?;
        let is_listed = |image: &&LoadedImage| index.manifests.contains(&image.manifest_digest);
        let is_for_host = |image: &&LoadedImage| image.platform().matches(&Platform::host());
        let is_first =
            |image: &&LoadedImage| index.manifests.first() == Some(&image.manifest_digest);
        let best = images.iter().filter(is_listed).find(is_for_host);
        if let Some(image) = best.or_else(|| images.iter().find(is_first)) {
            let taken = Taken::new(Digest::of(&image.config), digest, &index.references);
            each(&self.name(taken, &index.unreadable_references)?);
        }
        Ok(())
    }

    /// Gives an image or index its names, without those that have the digest of something else.
    fn name(&self, mut taken: Taken, unreadable: &[String]) -> Result<Taken, ArchiveError> {
        taken.unreadable = unreadable.to_vec();
        let is_its = |name: &Reference| name.digest.is_none_or(|digest| digest == taken.manifest);
        let (names, others): (Vec<_>, Vec<_>) = taken.references.into_iter().partition(is_its);
        taken.references = names;
        taken
            .unreadable
            .extend(others.iter().map(ToString::to_string));
        for reference in &taken.references {
            self.store.images().tag(reference, &taken.manifest)?;
        }
        Ok(taken)
    }

    fn withdraw(&self) -> Result<(), StoreError> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        self.store.garbage().withdraw(&self.fresh)
    }
}
