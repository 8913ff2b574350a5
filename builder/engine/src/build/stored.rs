//! What was built, as it is in the store: read once, for all that tell it or take it away. Unaware of builds.

use kiln_cache::{ImageError, Store, StoredImage};
use kiln_oci::media_type::{OCI_INDEX, OCI_MANIFEST};
use kiln_oci::{Descriptor, Digest, ImageConfig, Platform};
use std::collections::BTreeSet;

/// An image, or an index with its images.
#[derive(Debug)]
pub(super) struct Stored {
    /// What points to it.
    pub(super) descriptor: Descriptor,
    /// The bytes of the index.
    pub(super) index: Option<Vec<u8>>,
    /// The images with their platforms.
    pub(super) images: Vec<(Platform, StoredImage)>,
}

impl Stored {
    /// What a digest means.
    pub(super) fn read(store: &Store, named: &Digest) -> Result<Self, ImageError> {
        match store.indexes().get(named)? {
            Some(index) => Self::index(store, named, index),
            None => store.images().get(named).map(Self::image),
        }
    }

    fn image(image: StoredImage) -> Self {
        let config = ImageConfig::parse(&image.config).unwrap_or_default();
        let platform = config.platform();
        Self {
            descriptor: Descriptor {
                platform: Some(platform.clone()),
                ..Descriptor::of(OCI_MANIFEST, &image.manifest)
            },
            index: None,
            images: vec![(platform, image)],
        }
    }

    fn index(store: &Store, named: &Digest, index: Vec<u8>) -> Result<Self, ImageError> {
        let images = store.indexes().images_of(named)?.into_iter();
        let images = images.map(|(platform, image)| Ok((platform, store.images().get(&image)?)));
        Ok(Self {
            descriptor: Descriptor::of(OCI_INDEX, &index),
            images: images.collect::<Result<_, ImageError>>()?,
            index: Some(index),
        })
    }

    /// The layers of all images.
    pub(super) fn layers(&self) -> BTreeSet<Digest> {
        let images = self.images.iter();
        let layers = images.flat_map(|(_, image)| &image.diff_ids);
        layers.copied().collect()
    }
}
