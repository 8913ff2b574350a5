//! Writes images of the store as archives. Unaware of files: it writes to what it is given.

use super::delta::{Base, receipt};
use super::fetch;
use super::platforms::several;
use crate::failure::{ArchiveError, chain_of_causes};
use kiln_cache::{Meter, Store, StoredImage, Work};
use kiln_oci::archive::{
    self, BlobSource, Format, SaveError, SaveImage, SaveIndex, Saving, Target,
};
use kiln_oci::{Compression, Digest, ImageConfig, LayerCompression, Manifest};
use kiln_oci::{Platform, Reference, media_type};
use std::collections::BTreeMap;
use std::io::{self, Read};

/// How images are saved.
#[derive(Debug, Clone, Default)]
pub struct SaveOptions {
    /// The layout.
    pub format: Format,
    /// How layers are compressed; without it they stay as they came or were made.
    pub compression: Option<LayerCompression>,
    /// The platform that the images must have.
    pub platform: Option<Platform>,
    /// What the other side has: names of images, archives, or lists of digests.
    pub bases: Vec<String>,
}

/// What was left out of an archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Saved {
    /// Layers.
    pub layers: usize,
    /// Bytes of their blobs.
    pub bytes: u64,
    /// An index lists less than the one in the store, because the store does not hold all of it.
    pub is_reduced: bool,
}

/// The blobs of a store as archives want them; their bytes count.
struct Blobs<'a> {
    store: &'a Store,
    meter: Meter,
}

impl BlobSource for Blobs<'_> {
    fn open(&self, digest: &Digest) -> io::Result<(u64, Box<dyn Read + '_>)> {
        let opened = self.store.blobs().open(digest);
        let file = opened.map_err(|error| io::Error::other(chain_of_causes(&error)))?;
        let size = file.metadata()?.len();
        Ok((size, Box::new(self.meter.of(file))))
    }
}

/// Writes the named images as one archive. An image named by its id is saved without a name; one named twice is saved once. Manifests
/// go out as they are, unless layers are to be compressed otherwise.
///
/// # Errors
/// When an image is not there, or `target` fails.
pub fn save(
    store: &Store,
    names: &[String],
    target: Target<'_>,
    options: &SaveOptions,
) -> Result<Saved, ArchiveError> {
    let (mut saving, mut saved) = (Saving::default(), Saved::default());
    saving.format = options.format;
    for name in names {
        saved.is_reduced |= add(store, name, options, &mut saving)?;
    }
    if !options.bases.is_empty() {
        let find = |name: &String| Base::find(store, name, options.compression);
        let bases: Vec<Base> = options.bases.iter().map(find).collect::<Result<_, _>>()?;
        let receipt = receipt(&saving.images, &bases)?;
        saved.layers = receipt.layers.len();
        saved.bytes = receipt.layers.iter().map(|layer| layer.size).sum();
        saving.receipt = Some(receipt);
    }
    fetch::layers(store, &saving)?;
    write(target, &saving, store)?;
    Ok(saved)
}

/// Writes an archive of what the store holds. A blob that turns out to be damaged is dropped.
///
/// # Errors
/// As [`archive::write`].
pub(crate) fn write(target: Target<'_>, saving: &Saving, store: &Store) -> Result<(), SaveError> {
    let meter = store.meter(Work::Save, names(saving), bytes(saving));
    let blobs = Blobs { store, meter };
    let written = archive::write(target, saving, &blobs, &|_| ());
    written
        .inspect(|()| blobs.meter.end())
        .inspect_err(|error| {
            if let SaveError::BlobDigest { expected, .. } = error {
                store.blobs().suspect(expected);
            }
        })
}

/// What is saved, for people.
fn names(saving: &Saving) -> String {
    let references = saving.images.iter().flat_map(|image| &image.references);
    let names: Vec<String> = references.map(Reference::familiar).collect();
    match names.is_empty() {
        true => "an image".to_owned(),
        false => names.join(", "),
    }
}

/// Bytes of all layers that are written, each once.
fn bytes(saving: &Saving) -> u64 {
    let manifests = saving.images.iter();
    let manifests = manifests.filter_map(|image| Manifest::parse(&image.manifest).ok());
    let layers = manifests.flat_map(|manifest| manifest.layers);
    let mut sizes: BTreeMap<Digest, u64> = layers.map(|layer| (layer.digest, layer.size)).collect();
    let receipt = saving.receipt.as_ref();
    sizes.retain(|blob, _| !receipt.is_some_and(|receipt| receipt.leaves_out(blob)));
    sizes.values().sum()
}

/// Adds what a name means; says whether an index had to be cut down.
fn add(
    store: &Store,
    name: &str,
    options: &SaveOptions,
    saving: &mut Saving,
) -> Result<bool, ArchiveError> {
    if options.platform.is_none()
        && let digest = store.images().find_named(name)?
        && let Some(bytes) = store.indexes().get(&digest)?
        && let reference = named_by(&store.images().names_of(&digest)?, name)
        && let Some((images, index, is_reduced)) =
            several(store, &digest, bytes, reference, options)?
    {
        saving.images.extend(images);
        add_index(saving, index);
        return Ok(is_reduced);
    }
    let image = match &options.platform {
        Some(platform) => image_for(store, name, platform)?,
        None => store.images().find(name)?,
    };
    let names = store.images().names_of(&image.manifest_digest)?;
    saving.images.push(SaveImage {
        references: named_by(&names, name).into_iter().collect(),
        manifest: manifest(store, &image, options.compression)?,
        config: image.config,
    });
    Ok(false)
}

/// One index under two names is one.
fn add_index(saving: &mut Saving, index: SaveIndex) {
    match saving
        .indexes
        .iter_mut()
        .find(|known| known.bytes == index.bytes)
    {
        Some(known) => known.references.extend(index.references),
        None => saving.indexes.push(index),
    }
}

fn image_for(store: &Store, name: &str, wanted: &Platform) -> Result<StoredImage, ArchiveError> {
    let image = store.images().find_for(name, wanted)?;
    let config = ImageConfig::parse(&image.config);
    let config = config.map_err(|source| document(image.config_digest, source))?;
    let actual = config.platform();
    if actual.matches(wanted) {
        return Ok(image);
    }
    Err(ArchiveError::Platform {
        name: name.to_owned(),
        wanted: wanted.to_string(),
        actual: actual.to_string(),
    })
}

pub(super) fn document(image: Digest, source: kiln_oci::DocumentError) -> ArchiveError {
    archive::SaveError::Document { image, source }.into()
}

/// The image's manifest; with another compression one that names the layers so. It is the same image: its config does not change.
pub(crate) fn manifest(
    store: &Store,
    image: &StoredImage,
    compression: Option<LayerCompression>,
) -> Result<Vec<u8>, ArchiveError> {
    let Some(compression) = compression else {
        return Ok(image.manifest.clone());
    };
    let parsed = Manifest::parse(&image.manifest);
    let mut manifest = parsed.map_err(|source| document(image.manifest_digest, source))?;
    let before = manifest.layers.clone();
    let blobs = before.iter().map(|layer| layer.digest);
    fetch::bring(
        store,
        &image
            .diff_ids
            .iter()
            .copied()
            .zip(blobs)
            .collect::<Vec<_>>(),
    )?;
    for (layer, diff_id) in manifest.layers.iter_mut().zip(&image.diff_ids) {
        let wanted = store.forms().compressed(diff_id, compression)?;
        if wanted.digest != layer.digest {
            *layer = wanted;
        }
    }
    if manifest.layers != before {
        set_oci_types(&mut manifest);
        return Ok(manifest.to_bytes());
    }
    Ok(image.manifest.clone())
}

/// The types of new layers are OCI's, so the others must be too.
fn set_oci_types(manifest: &mut Manifest) {
    manifest.media_type = Some(media_type::OCI_MANIFEST.into());
    manifest.config.media_type = media_type::OCI_CONFIG.into();
    for layer in &mut manifest.layers {
        if let Some(compression) = Compression::of_layer(&layer.media_type) {
            layer.media_type = compression.oci_layer().into();
        }
    }
}

/// The one of an image's names that `name` means, unless it is the start of an id.
fn named_by(references: &[Reference], name: &str) -> Option<Reference> {
    let reference = Reference::parse(name).ok()?.with_default_tag();
    references.contains(&reference).then_some(reference)
}
