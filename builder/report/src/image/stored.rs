//! An image of the store, from the indexes of its layers: nothing is fetched or unpacked.

use kiln_cache::{Store, StoreError, StoredImage};
use kiln_oci::{Digest, ImageConfig, Manifest};

use super::{Blob, Image, ImageError, ImageLayer};

/// An image of the store. Its base is not looked for.
///
/// # Errors
/// [`kiln_cache::StoreError::Missing`] names a layer that has never been here.
pub fn stored(store: &Store, image: &StoredImage) -> Result<Image, ImageError> {
    let manifest = Manifest::parse(&image.manifest)?;
    let mut described = manifest.layers.iter();
    let layers = image.diff_ids.iter().map(|diff_id| {
        let blob = described
            .next()
            .and_then(|layer| Blob::described(layer, diff_id));
        let index = store.layers().index(diff_id)?;
        Ok(ImageLayer {
            blob,
            ..ImageLayer::plain(index)
        })
    });
    Ok(Image {
        id: image.config_digest,
        config: ImageConfig::parse(&image.config)?,
        layers: layers.collect::<Result<_, ImageError>>()?,
        base: 0,
    })
}

/// How many layers of an image belong to the one that it is built on: the image of the store that has the most of its lowest layers, but
/// not all.
///
/// # Errors
/// The store fails.
pub fn base(store: &Store, layers: &[Digest]) -> Result<usize, StoreError> {
    let images = store.images().list()?.into_iter();
    let named = images.filter(|image| !image.references.is_empty());
    let below = named
        .filter(|image| image.diff_ids.len() < layers.len() && layers.starts_with(&image.diff_ids));
    Ok(below.map(|image| image.diff_ids.len()).max().unwrap_or(0))
}
