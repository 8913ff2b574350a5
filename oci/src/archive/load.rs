//! Reads image archives: finds the images in whatever layout, verifies manifests and configs, and hands out readers of the layers. Unaware
//! of where layers go; the caller verifies them against the descriptor and the diff ID while it reads them.

use std::io::Read;
use std::path::Path;

use super::documents::Documents;
use super::find::{Findings, StoredLayer, find};
use super::input::{self, Input};
use super::members::Members;
use super::{LoadError, blob_path};
use crate::config::ImageConfig;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::platform::Platform;
use crate::reference::Reference;

/// An archive that was opened: its images, and access to their layers as long as this lives.
#[derive(Debug)]
pub struct Loaded {
    /// The images, in the archive's order, at least one.
    pub images: Vec<LoadedImage>,
    members: Members,
    /// Where each image's layers are; `None` for those that the archive leaves out.
    layers: Vec<Vec<Option<StoredLayer>>>,
}

/// Which images of an archive are wanted, where one name has several platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// One image a name: the one for this platform, or the only one there.
    Best(Platform),
    /// All that are there; what is an index stays one.
    Whole {
        /// Which of several that are no index together gets their common name.
        host: Platform,
        /// Images for other platforms are left out.
        only: Option<Platform>,
    },
}

impl Selection {
    /// The platform that counts where only one can.
    pub(super) fn preferred(&self) -> &Platform {
        match self {
            Self::Best(platform) => platform,
            Self::Whole { host, only } => only.as_ref().unwrap_or(host),
        }
    }
}

/// An image of several platforms, kept as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedIndex {
    /// Its names, in the archive's order, without duplicates.
    pub references: Vec<Reference>,
    /// Names in the archive that are no references, as written.
    pub unreadable_references: Vec<String>,
    /// The index, verbatim.
    pub bytes: Vec<u8>,
    /// The digest of `bytes`.
    pub digest: Digest,
    /// The manifests of those of its images that are there.
    pub manifests: Vec<Digest>,
    /// What it lists beside images and is there: of each the blobs, its manifest first.
    pub companions: Vec<Vec<Descriptor>>,
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

/// Opens an archive, preferring this machine's platform where an image has several. `scratch` is
/// where streams and compressed archives are spooled, in a file without a name.
///
/// # Errors
/// [`LoadError`], always naming the entry or document that is at fault.
pub fn load(input: Input<'_>, scratch: &Path) -> Result<Loaded, LoadError> {
    load_for(input, scratch, Platform::host())
}

pub(super) fn load_for(
    input: Input<'_>,
    scratch: &Path,
    platform: Platform,
) -> Result<Loaded, LoadError> {
    let members = Members::index(input::seekable(input, scratch)?)?;
    let selection = Selection::Best(platform);
    let Findings { images, .. } = find(&mut Documents::new(&members, true), &selection)?;
    let found = images.into_iter();
    let (images, layers) = found.map(|found| (found.image, found.layers)).unzip();
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
            Some((_, Some(stored))) => self.members.open(&stored.blob),
        }
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

    /// The platform that its config names.
    pub fn platform(&self) -> Platform {
        self.config_parsed.platform()
    }

    pub(super) fn add_references(&mut self, references: Vec<Reference>) {
        add_references(&mut self.references, references);
    }

    pub(super) fn add_names(&mut self, names: &[String]) {
        add_names(&mut self.references, &mut self.unreadable_references, names);
    }
}

impl LoadedIndex {
    pub(super) fn new(bytes: Vec<u8>, names: &[String]) -> Self {
        let mut index = Self {
            references: Vec::new(),
            unreadable_references: Vec::new(),
            digest: Digest::of(&bytes),
            bytes,
            manifests: Vec::new(),
            companions: Vec::new(),
        };
        index.add_names(names);
        index
    }

    pub(super) fn add_names(&mut self, names: &[String]) {
        add_names(&mut self.references, &mut self.unreadable_references, names);
    }
}

fn add_references(known: &mut Vec<Reference>, more: Vec<Reference>) {
    for reference in more {
        if !known.contains(&reference) {
            known.push(reference);
        }
    }
}

fn add_names(known: &mut Vec<Reference>, unreadable: &mut Vec<String>, names: &[String]) {
    for name in names {
        match Reference::parse(name) {
            Ok(reference) if !reference.is_like_digest() => add_references(known, vec![reference]),
            _ => unreadable.push(name.clone()),
        }
    }
}
