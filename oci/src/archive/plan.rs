//! Decides what stands in an archive, and in which order, before its first byte is written. Unaware
//! of tar.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use super::save::{BlobSource, SaveImage, SaveIndex, Saving};
use super::{
    DOCKER_FILE, Format, IMAGE_NAME, INDEX_FILE, LAYOUT, LAYOUT_FILE, RECEIPT_FILE, REF_NAME,
    REPOSITORIES_FILE, SaveError, blob_path,
};
use crate::compression::{self, Encoding};
use crate::config::ImageConfig;
use crate::descriptor::Descriptor;
use crate::digest::{Digest, HashingReader};
use crate::document;
use crate::manifest::{Index, Manifest};
use crate::media_type;
use crate::platform::Platform;
use crate::reference::Reference;

/// One entry of the archive.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) content: Planned,
}

/// What an entry holds.
#[derive(Debug)]
pub(super) enum Planned {
    Directory,
    Bytes(Vec<u8>),
    /// A blob as its source has it.
    Blob {
        digest: Digest,
        size: u64,
    },
    /// A blob decompressed, with the digest and size that it then has.
    Decompressed {
        blob: Digest,
        encoding: Encoding,
        diff_id: Digest,
        size: u64,
    },
}

/// An image with its documents parsed and the references of its duplicates.
struct Image<'a> {
    digest: Digest,
    source: &'a SaveImage,
    references: Vec<Reference>,
    manifest: Manifest,
    diff_ids: Vec<Digest>,
    /// What its config says that it is for; none where it does not say.
    platform: Option<Platform>,
    /// The index that it is part of has its names.
    is_in_index: bool,
    /// It stands for that index in `manifest.json`, under these names.
    preferred_for: Vec<Reference>,
}

impl Image<'_> {
    fn is_named_by_docker(&self) -> bool {
        !self.is_in_index || !self.preferred_for.is_empty()
    }
}

/// One element of `manifest.json`. Docker writes `null` for no tags, as Go does.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// All entries, in order.
pub(super) fn plan(saving: &Saving, blobs: &dyn BlobSource) -> Result<Vec<Item>, SaveError> {
    let (images, format) = (merge(saving)?, saving.format);
    let mut items = Vec::new();
    if format != Format::DockerArchive {
        items.push(bytes(LAYOUT_FILE, LAYOUT.to_vec()));
        items.push(bytes(INDEX_FILE, index(&images, saving).to_bytes()));
    }
    if !format.is_oci_only() {
        let named = || images.iter().filter(|image| image.is_named_by_docker());
        let docker = |image| docker_entry(image, format);
        let entries: Vec<_> = named().map(docker).collect();
        items.push(bytes(DOCKER_FILE, document::write(&entries)));
        let repositories = repositories(named(), format);
        if !repositories.is_empty() {
            items.push(bytes(REPOSITORIES_FILE, document::write(&repositories)));
        }
    }
    if let Some(receipt) = &saving.receipt {
        items.push(bytes(RECEIPT_FILE, receipt.to_bytes()));
    }
    match format {
        Format::DockerArchive => items.extend(docker_files(&images, saving, blobs)?),
        _ => items.extend(oci_blobs(&images, saving, blobs)?),
    }
    Ok(items)
}

fn bytes(name: &str, content: Vec<u8>) -> Item {
    Item {
        name: name.into(),
        content: Planned::Bytes(content),
    }
}

/// Parses all images; one that is given twice becomes one with the references of both.
fn merge(saving: &Saving) -> Result<Vec<Image<'_>>, SaveError> {
    let mut merged: Vec<Image<'_>> = Vec::new();
    let mut holders: BTreeMap<&Reference, Digest> = BTreeMap::new();
    for source in &saving.images {
        let digest = Digest::of(&source.manifest);
        let at = match merged.iter().position(|image| image.digest == digest) {
            Some(at) => at,
            None => {
                merged.push(parse(source, digest)?);
                merged.len() - 1
            }
        };
        for reference in &source.references {
            claim(&mut holders, reference, digest)?;
            if !merged[at].references.contains(reference) {
                merged[at].references.push(reference.clone());
            }
        }
    }
    for index in &saving.indexes {
        let digest = Digest::of(&index.bytes);
        for reference in &index.references {
            claim(&mut holders, reference, digest)?;
        }
        for image in &mut merged {
            image.is_in_index |= index.manifests.contains(&image.digest);
            if image.digest == index.preferred {
                image.preferred_for.extend(index.references.iter().cloned());
            }
        }
    }
    Ok(merged)
}

/// One reference is for one image or index.
fn claim<'r>(
    holders: &mut BTreeMap<&'r Reference, Digest>,
    reference: &'r Reference,
    digest: Digest,
) -> Result<(), SaveError> {
    match *holders.entry(reference).or_insert(digest) == digest {
        true => Ok(()),
        false => Err(SaveError::Reference(reference.to_string())),
    }
}

fn parse(source: &SaveImage, image: Digest) -> Result<Image<'_>, SaveError> {
    let malformed = |source| SaveError::Document { image, source };
    let manifest = Manifest::parse(&source.manifest).map_err(malformed)?;
    if !manifest.config.describes(&source.config) {
        return Err(SaveError::OtherConfig {
            image,
            expected: manifest.config.digest,
            actual: Digest::of(&source.config),
        });
    }
    let config = ImageConfig::parse(&source.config).map_err(malformed)?;
    let platform = Some(config.platform()).filter(|own| !own.architecture.is_empty());
    let diff_ids = config.rootfs.diff_ids;
    if diff_ids.len() != manifest.layers.len() {
        return Err(SaveError::LayerCount {
            image,
            layers: manifest.layers.len(),
            diff_ids: diff_ids.len(),
        });
    }
    Ok(Image {
        digest: image,
        source,
        references: Vec::new(),
        manifest,
        diff_ids,
        platform,
        is_in_index: false,
        preferred_for: Vec::new(),
    })
}

/// One descriptor per reference, or one without annotations.
fn index(images: &[Image<'_>], saving: &Saving) -> Index {
    let alone = |image: &&Image<'_>| !image.is_in_index || !image.references.is_empty();
    let images = images.iter().filter(alone).flat_map(|image| {
        let media_type = image
            .manifest
            .media_type
            .as_deref()
            .unwrap_or(media_type::OCI_MANIFEST);
        let bare = Descriptor {
            platform: image.platform.clone(),
            ..Descriptor::of(media_type, &image.source.manifest)
        };
        named(&bare, &image.references)
    });
    let indexes = saving.indexes.iter().flat_map(|index| {
        let parsed = Index::parse(&index.bytes).ok();
        let media_type = parsed.and_then(|index| index.media_type);
        let media_type = media_type.unwrap_or_else(|| media_type::OCI_INDEX.into());
        named(&Descriptor::of(media_type, &index.bytes), &index.references)
    });
    Index::of(images.chain(indexes).collect())
}

/// A descriptor for each of the names.
fn named(bare: &Descriptor, references: &[Reference]) -> Vec<Descriptor> {
    let named = |reference: &Reference| {
        let mut descriptor = bare.clone();
        descriptor
            .annotations
            .insert(IMAGE_NAME.into(), tagged(reference).to_string());
        if let Some(tag) = tagged(reference).tag {
            descriptor.annotations.insert(REF_NAME.into(), tag);
        }
        descriptor
    };
    if references.is_empty() {
        vec![bare.clone()]
    } else {
        references.iter().map(named).collect()
    }
}

fn tagged(reference: &Reference) -> Reference {
    reference.clone().with_default_tag()
}

/// Repository and tag of each reference that has one: `manifest.json` cannot say digests. Docker's names are short; where nothing
/// else in the archive says what they are short for, podman would read them as `localhost/…`.
fn repository_tags(image: &Image<'_>, format: Format) -> Vec<(String, String)> {
    let name = |reference: &Reference| match format {
        Format::DockerArchive => reference.name(),
        _ => reference.familiar_name(),
    };
    let tags = image
        .references
        .iter()
        .chain(&image.preferred_for)
        .map(tagged);
    tags.filter_map(|reference| Some((name(&reference), reference.tag?)))
        .collect()
}

fn docker_entry(image: &Image<'_>, format: Format) -> DockerEntry {
    let config = image.manifest.config.digest;
    let tags: Vec<_> = repository_tags(image, format)
        .iter()
        .map(|(name, tag)| format!("{name}:{tag}"))
        .collect();
    let layers = image.manifest.layers.iter().map(|layer| layer.digest);
    DockerEntry {
        config: if format == Format::Hybrid {
            blob_path(&config)
        } else {
            format!("{}.json", config.hex())
        },
        repo_tags: Some(tags).filter(|tags| !tags.is_empty()),
        layers: match format {
            Format::Hybrid => layers.map(|digest| blob_path(&digest)).collect(),
            _ => image.diff_ids.iter().map(layer_tar).collect(),
        },
    }
}

fn layer_tar(diff_id: &Digest) -> String {
    format!("{}.tar", diff_id.hex())
}

/// Repository -> tag -> top layer (or config, when there is none), for readers that look for tags here.
fn repositories<'a>(
    images: impl Iterator<Item = &'a Image<'a>>,
    format: Format,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for image in images {
        let top = match format {
            Format::DockerArchive => image.diff_ids.last().copied(),
            _ => image.manifest.layers.last().map(|layer| layer.digest),
        };
        let top = top.unwrap_or(image.manifest.config.digest).hex();
        for (name, tag) in repository_tags(image, format) {
            repositories
                .entry(name)
                .or_default()
                .insert(tag, top.clone());
        }
    }
    repositories
}

/// Documents first, so that a reader of a stream knows what each layer should be before it comes; both by digest.
fn oci_blobs(
    images: &[Image<'_>],
    saving: &Saving,
    blobs: &dyn BlobSource,
) -> Result<Vec<Item>, SaveError> {
    let (mut documents, mut layers) = (BTreeMap::new(), BTreeMap::new());
    let kept = |bytes: &[u8]| Planned::Bytes(bytes.to_vec());
    for index in &saving.indexes {
        for (digest, size) in companions(index, blobs)? {
            let place = match size <= document::MAX_DOCUMENT as u64 {
                true => &mut documents,
                false => &mut layers,
            };
            place.insert(digest, Planned::Blob { digest, size });
        }
        documents.insert(Digest::of(&index.bytes), kept(&index.bytes));
    }
    for image in images {
        documents.insert(image.digest, kept(&image.source.manifest));
        documents.insert(image.manifest.config.digest, kept(&image.source.config));
    }
    for layer in images.iter().flat_map(|image| &image.manifest.layers) {
        let (digest, size) = (layer.digest, layer.size);
        if !documents.contains_key(&digest) && !is_left_out(saving, &digest) {
            layers.insert(digest, Planned::Blob { digest, size });
        }
    }
    let blobs = documents.into_iter().chain(layers);
    let blobs = blobs.map(|(digest, content)| (blob_path(&digest), content));
    let folders = ["blobs", "blobs/sha256"].map(|name| (name.to_owned(), Planned::Directory));
    Ok(items(folders.into_iter().chain(blobs)))
}

fn items(named: impl Iterator<Item = (String, Planned)>) -> Vec<Item> {
    named
        .map(|(name, content)| Item { name, content })
        .collect()
}

/// What an index needs beside images, with its sizes.
fn companions(index: &SaveIndex, blobs: &dyn BlobSource) -> Result<Vec<(Digest, u64)>, SaveError> {
    let sized = |digest: &Digest| match blobs.open(digest) {
        Ok((size, _)) => Ok((*digest, size)),
        Err(source) => Err(SaveError::Blob {
            digest: *digest,
            source,
        }),
    };
    index.companions.iter().map(sized).collect()
}

fn is_left_out(saving: &Saving, blob: &Digest) -> bool {
    saving
        .receipt
        .as_ref()
        .is_some_and(|receipt| receipt.leaves_out(blob))
}

/// Configs, then layers, each by digest.
fn docker_files(
    images: &[Image<'_>],
    saving: &Saving,
    blobs: &dyn BlobSource,
) -> Result<Vec<Item>, SaveError> {
    let mut configs = BTreeMap::new();
    let mut layers = BTreeMap::new();
    for image in images.iter().filter(|image| image.is_named_by_docker()) {
        let name = format!("{}.json", image.manifest.config.digest.hex());
        configs.insert(name, Planned::Bytes(image.source.config.clone()));
        for (layer, diff_id) in image.manifest.layers.iter().zip(&image.diff_ids) {
            if !layers.contains_key(diff_id) && !is_left_out(saving, &layer.digest) {
                layers.insert(*diff_id, layer_content(layer, *diff_id, blobs)?);
            }
        }
    }
    let layers = layers.into_iter();
    let layers = layers.map(|(diff_id, content)| (layer_tar(&diff_id), content));
    Ok(items(configs.into_iter().chain(layers)))
}

/// A compressed layer is read once here, because its header needs the uncompressed size.
fn layer_content(
    layer: &Descriptor,
    diff_id: Digest,
    blobs: &dyn BlobSource,
) -> Result<Planned, SaveError> {
    let (digest, size) = (layer.digest, layer.size);
    if digest == diff_id {
        return Ok(Planned::Blob { digest, size });
    }
    let unreadable = |source| SaveError::Blob { digest, source };
    let (_, reader) = blobs.open(&digest).map_err(unreadable)?;
    let (encoding, decoded) = compression::auto(reader).map_err(unreadable)?;
    let mut decoded = HashingReader::new(decoded);
    io::copy(&mut decoded, &mut io::sink()).map_err(unreadable)?;
    let (expected, (_, actual, size)) = (diff_id, decoded.finish());
    if actual != expected {
        return Err(SaveError::BlobDigest { expected, actual });
    }
    Ok(Planned::Decompressed {
        blob: digest,
        encoding,
        diff_id,
        size,
    })
}
