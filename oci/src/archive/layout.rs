//! Finds the images of an OCI layout (OCI image specification, "Image Layout"): from `index.json`,
//! through nested indexes, to one manifest per image. Unaware of docker's `manifest.json`.

use std::collections::BTreeSet;

use super::companions;
use super::documents::{Documents, same_count, same_layer};
use super::find::{Found, StoredLayer};
use super::load::{LoadedImage, LoadedIndex, LoadedLayer};
use super::{
    IMAGE_NAME, INDEX_FILE, LoadError, MAX_IMAGES, MAX_INDEX_DEPTH, REF_NAME, Selection, blob_path,
};
use crate::config::ImageConfig;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Index, Manifest};
use crate::media_type::{OCI_EMPTY, is_config, is_index, is_manifest};
use crate::platform::Platform;

/// A manifest that was chosen, with its documents.
pub(super) struct Candidate {
    /// The names that `index.json` gives it, as written.
    pub(super) names: Vec<String>,
    /// Whether an index that is kept has it, and its names.
    pub(super) is_in_index: bool,
    bytes: Vec<u8>,
    manifest: Manifest,
    config: Vec<u8>,
    config_parsed: ImageConfig,
}

/// What a layout holds.
#[derive(Default)]
pub(super) struct Candidates {
    pub(super) images: Vec<Candidate>,
    pub(super) indexes: Vec<LoadedIndex>,
    /// Media types of what is no image.
    pub(super) others: BTreeSet<String>,
}

/// One manifest of the layout before it is chosen.
struct Choice {
    names: Vec<String>,
    is_in_index: bool,
    descriptor: Descriptor,
    /// What it is, when that had to be seen before.
    candidate: Option<Box<Candidate>>,
}

impl Choice {
    fn alone(names: Vec<String>, descriptor: Descriptor) -> Self {
        Self {
            names,
            is_in_index: false,
            descriptor,
            candidate: None,
        }
    }
}

/// The images of the layout, in the order of `index.json`. Where one name has several platforms
/// and only one is wanted, it is the one that fits.
pub(super) fn candidates(
    documents: &mut Documents<'_>,
    selection: &Selection,
) -> Result<Candidates, LoadError> {
    let bytes = documents.read(INDEX_FILE, "index")?;
    let index = parse_index(INDEX_FILE.into(), &bytes)?;
    let mut choices: Vec<Choice> = Vec::new();
    let (mut indexes, mut others) = (Vec::new(), BTreeSet::new());
    for descriptor in index.manifests {
        if !is_manifest(&descriptor.media_type) && !is_index(&descriptor.media_type) {
            others.insert(descriptor.media_type);
            continue;
        }
        let names = names(&descriptor);
        match selection {
            Selection::Whole { .. } if is_index(&descriptor.media_type) => {
                let found = expand(documents, &descriptor, &names, MAX_INDEX_DEPTH)?;
                choices.extend(found.images);
                indexes.extend(found.indexes);
            }
            _ => {
                let chosen = descend(documents, descriptor, selection.preferred())?;
                choices.extend(chosen.map(|descriptor| Choice::alone(names, descriptor)));
            }
        }
        if choices.len() > MAX_IMAGES {
            return Err(LoadError::TooLarge {
                what: "images",
                limit: MAX_IMAGES as u64,
            });
        }
    }
    let mut images: Vec<Candidate> = Vec::new();
    for choice in one_platform_per_name(choices, selection.preferred()) {
        let content = match choice.candidate {
            Some(candidate) => Content::Image(candidate),
            None => read(documents, &choice.descriptor)?,
        };
        match content {
            Content::Image(image) => images.push(Candidate {
                names: choice.names,
                is_in_index: choice.is_in_index,
                ..*image
            }),
            Content::Artifact(kind) => drop(others.insert(kind)),
        }
    }
    Ok(Candidates {
        images,
        indexes,
        others,
    })
}

/// What is below an index.
#[derive(Default)]
struct Expanded {
    images: Vec<Choice>,
    /// The index itself comes last.
    indexes: Vec<LoadedIndex>,
}

/// All images below an index that are there, and what it has beside images.
fn expand(
    documents: &mut Documents<'_>,
    descriptor: &Descriptor,
    names: &[String],
    depth: usize,
) -> Result<Expanded, LoadError> {
    let below = depth.checked_sub(1).ok_or(LoadError::TooLarge {
        what: "indexes inside one another",
        limit: MAX_INDEX_DEPTH as u64,
    })?;
    let bytes = documents.read_blob(descriptor, "index")?;
    let index = parse_index(blob_path(&descriptor.digest), &bytes)?;
    let mut found = Expanded::default();
    let mut loaded = LoadedIndex::new(bytes, names);
    let mut absent = None;
    for child in index.manifests {
        let name = blob_path(&child.digest);
        if !is_image(&child) {
            loaded
                .companions
                .push(companions::blobs(documents, &child)?);
        } else if documents.members.find(&name)?.is_none() {
            absent.get_or_insert(name);
        } else if is_index(&child.media_type) {
            let more = expand(documents, &child, &[], below)?;
            loaded
                .manifests
                .extend(more.indexes.iter().flat_map(|index| &index.manifests));
            found.images.extend(more.images);
            found.indexes.extend(more.indexes);
        } else if let Content::Image(candidate) = read(documents, &child)? {
            loaded.manifests.push(child.digest);
            found.images.push(Choice {
                is_in_index: true,
                candidate: Some(candidate),
                ..Choice::alone(Vec::new(), child)
            });
        } else {
            loaded
                .companions
                .push(companions::blobs(documents, &child)?);
        }
    }
    match absent.filter(|_| loaded.manifests.is_empty()) {
        Some(absent) => Err(LoadError::Missing(absent)),
        None => {
            found.indexes.push(loaded);
            Ok(found)
        }
    }
}

fn parse_index(name: String, bytes: &[u8]) -> Result<Index, LoadError> {
    Index::parse(bytes).map_err(|source| LoadError::Document { name, source })
}

/// The names in a descriptor's annotations. containerd and docker write the full name; podman and
/// skopeo write whatever the user said into `ref.name`, which elsewhere is the tag alone: only what
/// has a separator can be a name.
fn names(descriptor: &Descriptor) -> Vec<String> {
    let full = descriptor.annotation(IMAGE_NAME);
    let named = descriptor
        .annotation(REF_NAME)
        .filter(|name| name.contains(['/', ':', '@']));
    full.or(named).map(Into::into).into_iter().collect()
}

/// From a descriptor to that of an image's manifest; `None` for what is no image.
fn descend(
    documents: &mut Documents<'_>,
    mut descriptor: Descriptor,
    platform: &Platform,
) -> Result<Option<Descriptor>, LoadError> {
    for _ in 0..MAX_INDEX_DEPTH {
        if !is_index(&descriptor.media_type) {
            return Ok(Some(descriptor).filter(is_image));
        }
        let bytes = documents.read_blob(&descriptor, "index")?;
        let index = parse_index(blob_path(&descriptor.digest), &bytes)?;
        match choose(documents, index.manifests, platform)? {
            Some(chosen) => descriptor = chosen,
            None => return Ok(None),
        }
    }
    Err(LoadError::TooLarge {
        what: "indexes inside one another",
        limit: MAX_INDEX_DEPTH as u64,
    })
}

/// Attestations have the platform `unknown/unknown`; artifacts have other types.
fn is_image(descriptor: &Descriptor) -> bool {
    let is_typed = is_manifest(&descriptor.media_type) || is_index(&descriptor.media_type);
    let is_unknown = descriptor
        .platform
        .as_ref()
        .is_some_and(|p| p.os == "unknown" && p.architecture == "unknown");
    let is_attestation = descriptor.annotation("vnd.docker.reference.type").is_some();
    is_typed && !is_unknown && !is_attestation
}

/// One of several platforms: the one that fits, or the only one there. Archives of one platform
/// keep the index of all, so what is absent does not count.
fn choose(
    documents: &Documents<'_>,
    manifests: Vec<Descriptor>,
    platform: &Platform,
) -> Result<Option<Descriptor>, LoadError> {
    let images: Vec<Descriptor> = manifests.into_iter().filter(is_image).collect();
    let mut present = Vec::new();
    for descriptor in &images {
        if documents
            .members
            .find(&blob_path(&descriptor.digest))?
            .is_some()
        {
            present.push(descriptor);
        }
    }
    let fits = |descriptor: &&&Descriptor| {
        descriptor
            .platform
            .as_ref()
            .is_some_and(|p| p.matches(platform))
    };
    match (present.iter().find(fits), &present[..]) {
        (Some(descriptor), _) | (None, [descriptor]) => Ok(Some((*descriptor).clone())),
        (None, []) => match images.first() {
            None => Ok(None),
            Some(absent) => Err(LoadError::Missing(blob_path(&absent.digest))),
        },
        (None, several) => Err(no_platform(platform, several)),
    }
}

fn no_platform(wanted: &Platform, descriptors: &[&Descriptor]) -> LoadError {
    let platforms = descriptors.iter().map(|d| {
        d.platform
            .as_ref()
            .map_or("unknown".into(), ToString::to_string)
    });
    LoadError::Platform {
        wanted: wanted.to_string(),
        available: platforms.collect::<Vec<_>>().join(", "),
    }
}

/// Some tools list the platforms of an image in `index.json` itself: of those with equal names that
/// all have a platform, one that fits makes the others drop out.
fn one_platform_per_name(choices: Vec<Choice>, platform: &Platform) -> Vec<Choice> {
    let fits = |choice: &Choice| {
        choice
            .descriptor
            .platform
            .as_ref()
            .is_some_and(|p| p.matches(platform))
    };
    let is_other = |choice: &Choice| choice.descriptor.platform.is_some() && !fits(choice);
    let fitting: Vec<_> = choices
        .iter()
        .filter(|c| fits(c))
        .map(|c| c.names.clone())
        .collect();
    choices
        .into_iter()
        .filter(|choice| {
            choice.is_in_index || !(is_other(choice) && fitting.contains(&choice.names))
        })
        .collect()
}

/// What a manifest is of.
enum Content {
    Image(Box<Candidate>),
    /// Something else, of this type.
    Artifact(String),
}

/// Reads manifest and config. An artifact says so, or has a config that is that of no image: the
/// specification leaves its type to whoever made it.
fn read(documents: &mut Documents<'_>, descriptor: &Descriptor) -> Result<Content, LoadError> {
    let bytes = documents.read_blob(descriptor, "manifest")?;
    let name = blob_path(&descriptor.digest);
    let manifest =
        Manifest::parse(&bytes).map_err(|source| LoadError::Document { name, source })?;
    let config_type = &manifest.config.media_type;
    if config_type == OCI_EMPTY || (manifest.artifact_type.is_some() && !is_config(config_type)) {
        let kind = manifest.artifact_type.unwrap_or(OCI_EMPTY.into());
        return Ok(Content::Artifact(kind));
    }
    let config = documents.read_blob(&manifest.config, "image config")?;
    let name = blob_path(&manifest.config.digest);
    let parsed = ImageConfig::parse(&config);
    let is_image = |parsed: &ImageConfig| !parsed.rootfs.diff_ids.is_empty();
    if !is_config(config_type) && !parsed.as_ref().is_ok_and(is_image) {
        return Ok(Content::Artifact(config_type.clone()));
    }
    let config_parsed = parsed.map_err(|source| LoadError::Document { name, source })?;
    Ok(Content::Image(Box::new(Candidate {
        names: Vec::new(),
        is_in_index: false,
        bytes,
        manifest,
        config,
        config_parsed,
    })))
}

impl Candidate {
    /// The image ID.
    pub(super) fn config(&self) -> Digest {
        self.manifest.config.digest
    }

    /// Docker 25.0.0 wrote OCI manifests without layers; its `manifest.json` has them.
    pub(super) fn lost_its_layers(&self) -> bool {
        self.manifest.layers.is_empty() && !self.config_parsed.rootfs.diff_ids.is_empty()
    }

    /// The image, its layers found.
    pub(super) fn image(&self, documents: &Documents<'_>) -> Result<Found, LoadError> {
        let diff_ids = &self.config_parsed.rootfs.diff_ids;
        same_count(self.config(), self.manifest.layers.len(), diff_ids.len())?;
        let (mut layers, mut blobs) = (Vec::new(), Vec::new());
        for (descriptor, diff_id) in self.manifest.layers.iter().zip(diff_ids) {
            let blob = documents.layer(descriptor)?;
            if let Some(received) = blob
                .as_ref()
                .and_then(|blob| documents.members.received(blob))
            {
                let name = blob_path(&descriptor.digest);
                same_layer(&name, received, descriptor.digest, *diff_id)?;
            }
            let (descriptor, present) = (descriptor.clone(), blob.is_some());
            layers.push(LoadedLayer {
                descriptor,
                diff_id: *diff_id,
                present,
            });
            blobs.push(blob.map(|blob| StoredLayer {
                blob,
                is_described: true,
            }));
        }
        let (manifest, config) = (self.bytes.clone(), self.config.clone());
        let image = LoadedImage::new(manifest, config, self.config_parsed.clone(), layers);
        Ok(Found {
            image,
            layers: blobs,
        })
    }
}
