//! Finds the images of a docker archive (moby `image/spec/v1.2.md`, "Combined Image JSON +
//! Filesystem Changeset Format"): `manifest.json`, which names a config and layer tars, wherever
//! they are. Unaware of OCI layouts. A docker archive has no manifests, so one is made.

use std::io::{self, Read};

use serde::Deserialize;

use super::documents::{Documents, same_count, same_layer, verify};
use super::find::{Found, StoredLayer};
use super::members::Blob;
use super::{DOCKER_FILE, LoadError, MAX_IMAGES};
use crate::compression::{self, Encoding, SNIFF};
use crate::config::ImageConfig;
use crate::descriptor::Descriptor;
use crate::digest::{Digest, HashingReader};
use crate::document::{self, null_is_default};
use crate::manifest::Manifest;
use crate::media_type::{OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD};

/// An image of `manifest.json` with its config.
pub(super) struct DockerImage {
    /// `RepoTags`, as written.
    pub(super) tags: Vec<String>,
    /// The image ID.
    pub(super) config_digest: Digest,
    /// The config, verbatim.
    pub(super) config: Vec<u8>,
    /// The files of its layers, the lowest first.
    pub(super) layers: Vec<String>,
}

/// One element of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestEntry {
    config: String,
    #[serde(default, deserialize_with = "null_is_default")]
    repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    layers: Vec<String>,
}

/// What docker writes for an image without a name.
const NO_TAG: &str = "<none>:<none>";

/// The images of `manifest.json`, their configs read and verified.
pub(super) fn entries(documents: &mut Documents<'_>) -> Result<Vec<DockerImage>, LoadError> {
    let bytes = documents.read(DOCKER_FILE, "manifest.json")?;
    let entries: Vec<ManifestEntry> =
        document::parse(&bytes, "manifest.json").map_err(LoadError::document(DOCKER_FILE))?;
    if entries.len() > MAX_IMAGES {
        return Err(LoadError::too_large("images", MAX_IMAGES));
    }
    entries
        .into_iter()
        .map(|entry| read(entry, documents))
        .collect()
}

fn read(entry: ManifestEntry, documents: &mut Documents<'_>) -> Result<DockerImage, LoadError> {
    let config = documents.read(&entry.config, "image config")?;
    // The file is named by its digest, in one of several ways; a name of another kind promises
    // nothing.
    let base = entry.config.rsplit('/').next().unwrap_or_default();
    let hex = base.strip_suffix(".json").unwrap_or(base);
    if let Ok(expected) = Digest::from_hex(hex.strip_prefix("sha256:").unwrap_or(hex)) {
        verify(entry.config, &config, expected)?;
    }
    let tags = entry
        .repo_tags
        .into_iter()
        .filter(|tag| tag != NO_TAG)
        .collect();
    Ok(DockerImage {
        tags,
        config_digest: Digest::of(&config),
        config,
        layers: entry.layers,
    })
}

/// The image with a manifest made for it.
pub(super) fn image(
    entry: &DockerImage,
    documents: &mut Documents<'_>,
) -> Result<Found, LoadError> {
    let malformed = LoadError::document(entry.config_digest.to_string());
    let parsed = ImageConfig::parse(&entry.config).map_err(malformed)?;
    let diff_ids = &parsed.rootfs.diff_ids;
    same_count(entry.config_digest, entry.layers.len(), diff_ids.len())?;
    let mut layers = Vec::new();
    for (name, diff_id) in entry.layers.iter().zip(diff_ids) {
        let blob = documents.members.find(name)?;
        let blob = blob.filter(|blob| blob.size > 0 || *diff_id == Digest::of(b""));
        layers.push(match blob {
            Some(blob) => {
                let (descriptor, is_described) = describe(name, &blob, *diff_id, documents)?;
                (descriptor, Some(StoredLayer { blob, is_described }))
            }
            None => (absent(name, *diff_id, documents)?, None),
        });
    }
    let config = Descriptor::of(OCI_CONFIG, &entry.config);
    let descriptors = layers.iter().map(|(descriptor, _)| descriptor.clone());
    let manifest = Manifest::for_layers(config, descriptors.collect()).to_bytes();
    Ok(Found::new(manifest, entry.config.clone(), parsed, layers))
}

/// Describes a layer of which the archive has no file, or an empty one in its place: docker reads none of a layer that it has, and so
/// pack writes none. Before the receiver was asked for it, its digest is only its diff ID.
fn absent(
    name: &str,
    diff_id: Digest,
    documents: &mut Documents<'_>,
) -> Result<Descriptor, LoadError> {
    documents.absent.insert(diff_id);
    match documents.members.held(&diff_id) {
        None => Ok(Descriptor::new(OCI_LAYER, diff_id, 0)),
        Some(held) => {
            let media_type = media_type(name, held.encoding)?;
            Ok(Descriptor::new(media_type, held.digest, held.size))
        }
    }
}

/// Describes the file of a layer, and says whether its digest is known. That of a plain one is its
/// diff ID.
fn describe(
    name: &str,
    blob: &Blob,
    diff_id: Digest,
    documents: &mut Documents<'_>,
) -> Result<(Descriptor, bool), LoadError> {
    if let Some(received) = documents.members.received(blob) {
        same_layer(name, received, received.digest, diff_id)?;
        let media_type = media_type(name, received.encoding)?;
        let descriptor = Descriptor::new(media_type, received.digest, received.size);
        return Ok((descriptor, true));
    }
    if let Some(descriptor) = documents.described.get(blob.name()) {
        return Ok((descriptor.clone(), true));
    }
    let (mut start, reader) = (Vec::new(), documents.members.open(blob)?);
    reader.take(SNIFF as u64).read_to_end(&mut start)?;
    let encoding = compression::sniff(&start);
    if encoding == Encoding::Plain || !documents.hashes_layers {
        let descriptor = Descriptor::new(OCI_LAYER, diff_id, blob.size);
        return Ok((descriptor, encoding == Encoding::Plain));
    }
    let descriptor = hashed(media_type(name, encoding)?, blob, documents)?;
    let described = &mut documents.described;
    described.insert(blob.name().into(), descriptor.clone());
    Ok((descriptor, true))
}

fn media_type(name: &str, encoding: Encoding) -> Result<&'static str, LoadError> {
    match encoding {
        Encoding::Plain => Ok(OCI_LAYER),
        Encoding::Gzip => Ok(OCI_LAYER_GZIP),
        Encoding::Zstd => Ok(OCI_LAYER_ZSTD),
        encoding => Err(LoadError::LayerEncoding {
            name: name.into(),
            encoding,
        }),
    }
}

/// Reads a compressed layer, because only that gives its digest.
fn hashed(
    media_type: &str,
    blob: &Blob,
    documents: &Documents<'_>,
) -> Result<Descriptor, LoadError> {
    let mut reader = HashingReader::new(documents.members.open(blob)?);
    io::copy(&mut reader, &mut io::sink())?;
    let (_, digest, size) = reader.finish();
    Ok(Descriptor::new(media_type, digest, size))
}
