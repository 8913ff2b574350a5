//! Reads image archives: finds the images in whatever layout, verifies manifests and configs, and
//! hands out readers of the layers. Unaware of where layers go; whoever takes them verifies them
//! against the descriptor and the diff ID while they stream by.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use super::docker::{self, DockerImage};
use super::input::{self, Input};
use super::layout::{self, Candidate};
use super::members::{Blob, Members};
use super::{
    DOCKER_FILE, INDEX_FILE, LoadError, MAX_DOCUMENTS, MAX_IMAGES, REPOSITORIES_FILE, blob_path,
};
use crate::config::ImageConfig;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::document::{DocumentError, MAX_DOCUMENT};
use crate::platform::Platform;
use crate::reference::Reference;

/// An archive that was opened: its images, and access to their layers as long as this lives.
#[derive(Debug)]
pub struct Loaded {
    /// The images, in the archive's order, at least one.
    pub images: Vec<LoadedImage>,
    members: Members,
    /// Where each image's layers are; `None` for those that the archive leaves out.
    layers: Vec<Vec<Option<Blob>>>,
}

/// One image of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedImage {
    /// Its names, in the archive's order, without duplicates.
    pub references: Vec<Reference>,
    /// Names in the archive that are no references, as written.
    pub unreadable_references: Vec<String>,
    /// The manifest: verbatim, or made for a docker archive, which has none.
    pub manifest: Vec<u8>,
    /// The digest of `manifest`.
    pub manifest_digest: Digest,
    /// The config, verbatim. Its digest is the image ID.
    pub config: Vec<u8>,
    /// The config, parsed.
    pub config_parsed: ImageConfig,
    /// The layers, the lowest first.
    pub layers: Vec<LoadedLayer>,
}

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedLayer {
    /// Digest and size that the blob should have, and its media type. In a docker archive the
    /// digest of a plain layer is only its diff ID, as claimed by the config.
    pub descriptor: Descriptor,
    /// The digest that the uncompressed tar should have.
    pub diff_id: Digest,
    /// Whether the archive has the blob. Archives made on top of another image may leave out its
    /// layers.
    pub present: bool,
}

/// An image as `layout` and `docker` find it.
pub(super) struct Found {
    pub(super) image: LoadedImage,
    pub(super) layers: Vec<Option<Blob>>,
}

/// Opens an archive, preferring this machine's platform where an image has several. `scratch` is
/// where streams and compressed archives are spooled, in a file without a name.
///
/// # Errors
/// [`LoadError`], always naming the entry or document that is at fault.
pub fn load(input: Input<'_>, scratch: &Path) -> Result<Loaded, LoadError> {
    load_for(input, scratch, &Platform::host())
}

/// As [`load`], preferring `platform`.
///
/// # Errors
/// As for [`load`].
pub fn load_for(
    input: Input<'_>,
    scratch: &Path,
    platform: &Platform,
) -> Result<Loaded, LoadError> {
    let members = Members::index(input::open(input, scratch)?)?;
    let mut documents = Documents {
        members: &members,
        budget: MAX_DOCUMENTS,
        described: BTreeMap::new(),
    };
    let found = find(&mut documents, platform)?;
    if found.len() > MAX_IMAGES {
        return Err(LoadError::TooLarge {
            what: "images",
            limit: MAX_IMAGES as u64,
        });
    }
    let (images, layers) = found
        .into_iter()
        .map(|found| (found.image, found.layers))
        .unzip();
    Ok(Loaded {
        images,
        layers,
        members,
    })
}

impl Loaded {
    /// Reads a layer's blob exactly as it is stored: neither decompressed nor verified.
    ///
    /// # Errors
    /// [`LoadError::NoSuchLayer`], [`LoadError::Missing`] for a layer that is not
    /// [`LoadedLayer::present`], [`LoadError::Open`].
    pub fn open_layer(
        &self,
        image: usize,
        layer: usize,
    ) -> Result<Box<dyn Read + Send + '_>, LoadError> {
        let described = self
            .images
            .get(image)
            .and_then(|image| image.layers.get(layer));
        let stored = self.layers.get(image).and_then(|layers| layers.get(layer));
        match described.zip(stored.map(Option::as_ref)) {
            None => Err(LoadError::NoSuchLayer { image, layer }),
            Some((described, None)) => {
                Err(LoadError::Missing(blob_path(&described.descriptor.digest)))
            }
            Some((_, Some(blob))) => self.members.open(blob),
        }
    }
}

/// All images. An OCI layout is read first, because its manifests are the original ones; a docker
/// manifest beside it adds names, and the layers that an OCI manifest lost.
fn find(documents: &mut Documents<'_>, platform: &Platform) -> Result<Vec<Found>, LoadError> {
    let has = |name| documents.members.find(name).map(|blob| blob.is_some());
    let (is_oci, is_docker, is_old) =
        (has(INDEX_FILE)?, has(DOCKER_FILE)?, has(REPOSITORIES_FILE)?);
    let entries = if is_docker {
        docker::entries(documents)?
    } else {
        Vec::new()
    };
    let candidates = if is_oci {
        layout::candidates(documents, platform)?
    } else {
        Vec::new()
    };
    match (
        is_oci || is_docker,
        candidates.is_empty(),
        entries.is_empty(),
    ) {
        (false, _, _) if is_old => Err(LoadError::TooOld),
        (false, _, _) => Err(LoadError::NoImageArchive),
        (true, true, true) => Err(LoadError::Empty),
        (true, true, false) => docker_images(documents, &entries),
        (true, false, _) => oci_images(documents, &candidates, &entries),
    }
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
        same.for_each(|entry| image.image.add_names(&entry.tags));
        merge(&mut found, image);
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

impl LoadedImage {
    pub(super) fn new(
        manifest: Vec<u8>,
        config: Vec<u8>,
        parsed: ImageConfig,
        layers: Vec<LoadedLayer>,
    ) -> Self {
        Self {
            references: Vec::new(),
            unreadable_references: Vec::new(),
            manifest_digest: Digest::of(&manifest),
            manifest,
            config,
            config_parsed: parsed,
            layers,
        }
    }

    fn add_references(&mut self, references: Vec<Reference>) {
        for reference in references {
            if !self.references.contains(&reference) {
                self.references.push(reference);
            }
        }
    }

    fn add_names(&mut self, names: &[String]) {
        for name in names {
            match Reference::parse(name) {
                Ok(reference) => self.add_references(vec![reference]),
                Err(_) => self.unreadable_references.push(name.clone()),
            }
        }
    }
}

/// Reads the small files of an archive, as many bytes as are allowed.
pub(super) struct Documents<'a> {
    pub(super) members: &'a Members,
    budget: u64,
    /// Compressed layers of docker archives by name: hashed once, however many images share them.
    pub(super) described: BTreeMap<String, Descriptor>,
}

impl Documents<'_> {
    /// Reads the file `name`, at most 4 MiB of it.
    pub(super) fn read(&mut self, name: &str, what: &'static str) -> Result<Vec<u8>, LoadError> {
        let blob = self
            .members
            .find(name)?
            .ok_or_else(|| LoadError::Missing(name.into()))?;
        if blob.size > MAX_DOCUMENT as u64 {
            let source = DocumentError::TooLarge {
                what,
                size: blob.size,
            };
            return Err(LoadError::Document {
                name: name.into(),
                source,
            });
        }
        let over = LoadError::TooLarge {
            what: "bytes of manifests and configs",
            limit: MAX_DOCUMENTS,
        };
        self.budget = self.budget.checked_sub(blob.size).ok_or(over)?;
        let mut bytes = Vec::new();
        self.members.open(&blob)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads the blob that `descriptor` points at and verifies it.
    pub(super) fn read_blob(
        &mut self,
        descriptor: &Descriptor,
        what: &'static str,
    ) -> Result<Vec<u8>, LoadError> {
        let name = blob_path(&descriptor.digest);
        let bytes = self.read(&name, what)?;
        let (expected, actual) = (descriptor.size, bytes.len() as u64);
        if expected != actual {
            return Err(LoadError::Size {
                name,
                expected,
                actual,
            });
        }
        verify(name, &bytes, descriptor.digest)?;
        Ok(bytes)
    }

    /// The layer that `descriptor` points at, when the archive has it, with its size checked.
    pub(super) fn layer(&self, descriptor: &Descriptor) -> Result<Option<Blob>, LoadError> {
        let name = blob_path(&descriptor.digest);
        match self.members.find(&name)? {
            Some(blob) if blob.size != descriptor.size => Err(LoadError::Size {
                name,
                expected: descriptor.size,
                actual: blob.size,
            }),
            blob => Ok(blob),
        }
    }
}

/// Checks that there are as many layers as diff IDs.
pub(super) fn same_count(config: Digest, layers: usize, diff_ids: usize) -> Result<(), LoadError> {
    if layers == diff_ids {
        Ok(())
    } else {
        Err(LoadError::LayerCount {
            config,
            layers,
            diff_ids,
        })
    }
}

/// Checks that `bytes` have the digest `expected`.
pub(super) fn verify(name: String, bytes: &[u8], expected: Digest) -> Result<(), LoadError> {
    let actual = Digest::of(bytes);
    if actual == expected {
        Ok(())
    } else {
        Err(LoadError::Digest {
            name,
            expected,
            actual,
        })
    }
}
