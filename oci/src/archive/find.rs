//! Finds the images of an archive, in whatever layout it is. Unaware of how layers are read.

use super::docker::{self, DockerImage};
use super::documents::Documents;
use super::layout::{self, Candidate, Candidates};
use super::load::{LoadedImage, LoadedIndex};
use super::members::Blob;
use super::{DOCKER_FILE, INDEX_FILE, LoadError, MAX_IMAGES, Selection, v1};

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

/// All images. An OCI layout is read first, because its manifests are the original ones; a docker
/// manifest beside it adds names, and the layers that an OCI manifest lost.
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
    let candidates = if is_oci {
        layout::candidates(documents, selection)?
    } else {
        Candidates::default()
    };
    let findings = match (candidates.images.is_empty(), entries.is_empty()) {
        (true, true) if is_oci || is_docker => {
            return Err(LoadError::Empty {
                others: candidates.others.into_iter().collect(),
            });
        }
        (true, true) => return Err(LoadError::NoImageArchive),
        (true, false) => Findings {
            images: docker_images(documents, &entries)?,
            indexes: Vec::new(),
        },
        (false, _) => Findings {
            images: oci_images(documents, &candidates.images, &entries)?,
            indexes: candidates.indexes,
        },
    };
    only_platform(findings, selection)
}

/// Drops the images of other platforms than the one asked for.
fn only_platform(mut findings: Findings, selection: &Selection) -> Result<Findings, LoadError> {
    let Selection::Whole {
        only: Some(wanted), ..
    } = selection
    else {
        return Ok(findings);
    };
    let platforms: Vec<String> = findings
        .images
        .iter()
        .map(|found| found.image.platform().to_string())
        .collect();
    findings
        .images
        .retain(|found| found.image.platform().matches(wanted));
    if findings.images.is_empty() {
        return Err(LoadError::Platform {
            wanted: wanted.to_string(),
            available: platforms.join(", "),
        });
    }
    let kept: Vec<_> = findings
        .images
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
        let mut same = entries
            .iter()
            .filter(|entry| entry.config_digest == candidate.config())
            .peekable();
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
        return Err(LoadError::TooLarge {
            what: "images",
            limit: MAX_IMAGES as u64,
        });
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
