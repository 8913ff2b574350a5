//! Finds the images of an archive, in whatever layout it is. Unaware of how layers are read.

use super::docker::{self, DockerImage};
use super::documents::Documents;
use super::layout::{self, Candidate, Candidates};
use super::load::{LoadedImage, LoadedIndex, LoadedLayer};
use super::members::Blob;
use super::{DOCKER_FILE, INDEX_FILE, LoadError, MAX_IMAGES, Selection, v1};
use crate::config::ImageConfig;
use crate::descriptor::Descriptor;

/// What an archive holds.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) images: Vec<Found>,
    pub(super) indexes: Vec<LoadedIndex>,
}

/// An image as `layout` and `docker` find it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) image: LoadedImage,
    /// Where its layers are; `None` for those that the archive leaves out.
    pub(super) layers: Vec<Option<StoredLayer>>,
}

/// The file of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredLayer {
    pub(super) blob: Blob,
    /// Whether the digest in its descriptor is that of the file. That of a compressed layer of a
    /// docker archive is found only by reading it.
    pub(super) is_described: bool,
}

impl Found {
    /// An image of documents and the layers that these name, with where they are.
    pub(super) fn new(
        manifest: Vec<u8>,
        config: Vec<u8>,
        parsed: ImageConfig,
        layers: Vec<(Descriptor, Option<StoredLayer>)>,
    ) -> Self {
        let layers = layers.into_iter().zip(&parsed.rootfs.diff_ids);
        let (described, stored) = layers
            .map(|((descriptor, stored), diff_id)| {
                let layer = LoadedLayer {
                    descriptor,
                    diff_id: *diff_id,
                    present: stored.is_some(),
                };
                (layer, stored)
            })
            .unzip();
        Self {
            image: LoadedImage::new(manifest, config, parsed, described),
            layers: stored,
        }
    }
}

/// All images. An OCI layout is read first, because its manifests are the original ones; a docker manifest beside it adds names, and
/// the layers that an OCI manifest lost.
pub(super) fn find(
    documents: &mut Documents<'_>,
    selection: &Selection,
) -> Result<Findings, LoadError> {
    let has = |name| documents.members.find(name).map(|blob| blob.is_some());
    let (is_oci, is_docker) = (has(INDEX_FILE)?, has(DOCKER_FILE)?);
    let entries = match (is_oci, is_docker) {
        (_, true) => docker::entries(documents)?,
        (true, false) => Vec::new(),
        (false, false) => v1::entries(documents)?,
    };
    let candidates = match is_oci {
        true => layout::candidates(documents, selection)?,
        false => Candidates::default(),
    };
    let images = match (candidates.images.is_empty(), entries.is_empty()) {
        (false, _) => oci_images(documents, &candidates.images, &entries)?,
        (true, false) => docker_images(documents, &entries)?,
        (true, true) if !is_oci && !is_docker => return Err(LoadError::NoImageArchive),
        (true, true) => {
            let others = candidates.others.into_iter().collect();
            return Err(LoadError::Empty { others });
        }
    };
    let mut indexes = candidates.indexes;
    indexes.retain(|_| !candidates.images.is_empty());
    only_platform(Findings { images, indexes }, selection)
}

/// Drops the images of other platforms than the one asked for.
fn only_platform(mut findings: Findings, selection: &Selection) -> Result<Findings, LoadError> {
    let Selection::Whole {
        only: Some(wanted), ..
    } = selection
    else {
        return Ok(findings);
    };
    let images = &mut findings.images;
    let platform = |found: &Found| found.image.platform();
    let available: Vec<String> = images
        .iter()
        .map(|found| platform(found).to_string())
        .collect();
    images.retain(|found| platform(found).matches(wanted));
    if images.is_empty() {
        return Err(LoadError::Platform {
            wanted: wanted.to_string(),
            available: available.join(", "),
        });
    }
    let kept: Vec<_> = images
        .iter()
        .map(|found| found.image.manifest_digest)
        .collect();
    for index in &mut findings.indexes {
        index.companions.clear();
        index.manifests.retain(|manifest| kept.contains(manifest));
    }
    findings.indexes.retain(|index| !index.manifests.is_empty());
    Ok(findings)
}

fn docker_images(
    documents: &mut Documents<'_>,
    entries: &[DockerImage],
) -> Result<Vec<Found>, LoadError> {
    let mut found = Vec::new();
    for entry in entries {
        let mut image = docker::image(entry, documents)?;
        image.image.add_names(&entry.tags);
        merge(&mut found, image);
    }
    Ok(found)
}

fn oci_images(
    documents: &mut Documents<'_>,
    candidates: &[Candidate],
    entries: &[DockerImage],
) -> Result<Vec<Found>, LoadError> {
    let mut found = Vec::new();
    for candidate in candidates {
        let is_same = |entry: &&DockerImage| entry.config_digest == candidate.config();
        let mut same = entries.iter().filter(is_same).peekable();
        let mut image = match same.peek() {
            Some(entry) if candidate.lost_its_layers() => docker::image(entry, documents)?,
            _ => candidate.image(documents)?,
        };
        image.image.add_names(&candidate.names);
        if !candidate.is_in_index {
            same.for_each(|entry| image.image.add_names(&entry.tags));
        }
        merge(&mut found, image);
    }
    if found.len() > MAX_IMAGES {
        return Err(LoadError::too_large("images", MAX_IMAGES));
    }
    Ok(found)
}

/// Adds an image, or its names to the one that is there already.
fn merge(found: &mut Vec<Found>, image: Found) {
    match found
        .iter_mut()
        .find(|other| other.image.manifest_digest == image.image.manifest_digest)
    {
        Some(other) => {
            other.image.add_references(image.image.references);
            other
                .image
                .unreadable_references
                .extend(image.image.unreadable_references);
        }
        None => found.push(image),
    }
}
