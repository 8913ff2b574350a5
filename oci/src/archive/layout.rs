//! Finds the images of an OCI layout (OCI image specification, "Image Layout"): from `index.json`,
//! through nested indexes, to one manifest per image. Unaware of docker's `manifest.json`.

use std::collections::BTreeSet;

use super::companions;
use super::documents::{Documents, same_count, same_layer};
use super::find::{Found, StoredLayer};
use super::load::LoadedIndex;
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

    /// What it is, under the names that it has here.
    fn read(self, documents: &mut Documents<'_>) -> Result<ManifestOf, LoadError> {
        let read = match self.candidate {
            Some(candidate) => ManifestOf::Image(candidate),
            None => read(documents, &self.descriptor)?,
        };
        let (names, is_in_index) = (self.names, self.is_in_index);
        Ok(match read {
            ManifestOf::Image(image) => ManifestOf::Image(Box::new(Candidate {
                names,
                is_in_index,
                ..*image
            })),
            artifact => artifact,
        })
    }
}

/// The images of the layout, in the order of `index.json`. Where one name has several platforms
/// and only one is wanted, it is the one that fits.
pub(super) fn candidates(
    documents: &mut Documents<'_>,
    selection: &Selection,
) -> Result<Candidates, LoadError> {
    let index = parse_index(INDEX_FILE.into(), &documents.read(INDEX_FILE, "index")?)?;
    let (mut below, mut found) = (Below::default(), Candidates::default());
    for descriptor in index.manifests {
        if is_manifest(&descriptor.media_type) || is_index(&descriptor.media_type) {
            below.add(documents, descriptor, selection)?;
        } else {
            found.others.insert(descriptor.media_type);
        }
        if below.images.len() > MAX_IMAGES {
            return Err(LoadError::too_large("images", MAX_IMAGES));
        }
    }
    for choice in one_platform_per_name(below.images, selection.preferred()) {
        match choice.read(documents)? {
            ManifestOf::Image(image) => found.images.push(*image),
            ManifestOf::Artifact(kind) => drop(found.others.insert(kind)),
        }
    }
    found.indexes = below.indexes;
    Ok(found)
}

/// What is below an index.
#[derive(Default)]
struct Below {
    images: Vec<Choice>,
    /// The index itself comes last.
    indexes: Vec<LoadedIndex>,
}

impl Below {
    fn extend(&mut self, more: Self) {
        self.images.extend(more.images);
        self.indexes.extend(more.indexes);
    }

    /// Adds what `index.json` names: all of an index that is kept whole, else one image.
    fn add(
        &mut self,
        documents: &mut Documents<'_>,
        descriptor: Descriptor,
        selection: &Selection,
    ) -> Result<(), LoadError> {
        let names = names(&descriptor);
        if matches!(selection, Selection::Whole { .. }) && is_index(&descriptor.media_type) {
            self.extend(expand(documents, &descriptor, &names, MAX_INDEX_DEPTH)?);
        } else {
            let chosen = descend(documents, descriptor, selection.preferred())?;
            let choice = chosen.map(|descriptor| Choice::alone(names, descriptor));
            self.images.extend(choice);
        }
        Ok(())
    }

    /// Adds what the index `loaded` names, and to that index what it has of it.
    fn add_child(
        &mut self,
        documents: &mut Documents<'_>,
        child: Descriptor,
        loaded: &mut LoadedIndex,
        depth: usize,
    ) -> Result<(), LoadError> {
        if is_image(&child) && is_index(&child.media_type) {
            let more = expand(documents, &child, &[], depth)?;
            let manifests = more.indexes.iter().flat_map(|index| &index.manifests);
            loaded.manifests.extend(manifests);
            self.extend(more);
        } else if is_image(&child)
            && let ManifestOf::Image(candidate) = read(documents, &child)?
        {
            loaded.manifests.push(child.digest);
            self.images.push(Choice {
                is_in_index: true,
                candidate: Some(candidate),
                ..Choice::alone(Vec::new(), child)
            });
        } else {
            let blobs = companions::blobs(documents, &child)?;
            loaded.companions.push(blobs);
        }
        Ok(())
    }
}

/// All images below an index that are there, and what it has beside images.
fn expand(
    documents: &mut Documents<'_>,
    descriptor: &Descriptor,
    names: &[String],
    depth: usize,
) -> Result<Below, LoadError> {
    let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
    let bytes = documents.read_blob(descriptor, "index")?;
    let index = parse_index(blob_path(&descriptor.digest), &bytes)?;
    let (mut below, mut absent) = (Below::default(), None);
    let mut loaded = LoadedIndex::new(bytes, names);
    for child in index.manifests {
        if is_image(&child) && !is_there(documents, &child)? {
            absent.get_or_insert(child.digest);
        } else {
            below.add_child(documents, child, &mut loaded, depth)?;
        }
    }
    if let Some(absent) = absent.filter(|_| loaded.manifests.is_empty()) {
        return Err(LoadError::Missing(blob_path(&absent)));
    }
    below.indexes.push(loaded);
    Ok(below)
}

fn too_deep() -> LoadError {
    LoadError::too_large("indexes inside one another", MAX_INDEX_DEPTH)
}

fn is_there(documents: &Documents<'_>, descriptor: &Descriptor) -> Result<bool, LoadError> {
    let found = documents.members.find(&blob_path(&descriptor.digest))?;
    Ok(found.is_some())
}

fn fits(descriptor: &Descriptor, platform: &Platform) -> bool {
    let own = descriptor.platform.as_ref();
    own.is_some_and(|own| own.matches(platform))
}

fn parse_index(name: String, bytes: &[u8]) -> Result<Index, LoadError> {
    Index::parse(bytes).map_err(LoadError::document(name))
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
    Err(too_deep())
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
        if is_there(documents, descriptor)? {
            present.push(descriptor);
        }
    }
    let fitting = present.iter().find(|image| fits(image, platform));
    match (fitting, &present[..]) {
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
    let fits = |choice: &Choice| fits(&choice.descriptor, platform);
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
enum ManifestOf {
    Image(Box<Candidate>),
    /// Something else, of this type.
    Artifact(String),
}

/// Reads manifest and config. An artifact says so, or has a config that is that of no image: the
/// specification leaves its type to the tool that made it.
fn read(documents: &mut Documents<'_>, descriptor: &Descriptor) -> Result<ManifestOf, LoadError> {
    let bytes = documents.read_blob(descriptor, "manifest")?;
    let malformed = LoadError::document(blob_path(&descriptor.digest));
    let manifest = Manifest::parse(&bytes).map_err(malformed)?;
    let config_type = &manifest.config.media_type;
    if config_type == OCI_EMPTY || (manifest.artifact_type.is_some() && !is_config(config_type)) {
        let kind = manifest.artifact_type.unwrap_or(OCI_EMPTY.into());
        return Ok(ManifestOf::Artifact(kind));
    }
    let config = documents.read_blob(&manifest.config, "image config")?;
    let parsed = ImageConfig::parse(&config);
    let is_image = |parsed: &ImageConfig| !parsed.rootfs.diff_ids.is_empty();
    if !is_config(config_type) && !parsed.as_ref().is_ok_and(is_image) {
        return Ok(ManifestOf::Artifact(config_type.clone()));
    }
    let config_parsed = parsed.map_err(LoadError::document(blob_path(&manifest.config.digest)))?;
    Ok(ManifestOf::Image(Box::new(Candidate {
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
        let mut layers = Vec::new();
        for (descriptor, diff_id) in self.manifest.layers.iter().zip(diff_ids) {
            let blob = documents.layer(descriptor)?;
            let received = |blob| documents.members.received(blob);
            if let Some(received) = blob.as_ref().and_then(received) {
                let name = blob_path(&descriptor.digest);
                same_layer(&name, received, descriptor.digest, *diff_id)?;
            }
            let is_described = true;
            let stored = blob.map(|blob| StoredLayer { blob, is_described });
            layers.push((descriptor.clone(), stored));
        }
        let (manifest, config) = (self.bytes.clone(), self.config.clone());
        let parsed = self.config_parsed.clone();
        Ok(Found::new(manifest, config, parsed, layers))
    }
}
