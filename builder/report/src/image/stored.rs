//! An image of the store, from the indexes of its layers: nothing is fetched or unpacked.

use kiln_cache::{Store, StoredImage};
use kiln_oci::{Compression, Descriptor, Digest, ImageConfig, Manifest};

use super::{Blob, Image, ImageError, ImageLayer};

/// An image of the store. Its base is not looked for.
///
/// # Errors
/// [`kiln_cache::StoreError::Missing`] names a layer that has never been here.
pub fn stored(store: &Store, image: &StoredImage) -> Result<Image, ImageError> {
    let manifest = Manifest::parse(&image.manifest)?;
    let mut described = manifest.layers.iter();
    let layers = image.diff_ids.iter().map(|diff_id| {
        let blob = described.next().and_then(|layer| blob(layer, diff_id));
        let index = store.layers().index(diff_id)?;
        Ok(ImageLayer { index, blob })
    });
    Ok(Image {
        id: image.config_digest,
        config: ImageConfig::parse(&image.config)?,
        layers: layers.collect::<Result<_, ImageError>>()?,
        base: 0,
    })
}

/// The compressed form that a manifest names; it gives no size to what was not compressed yet.
fn blob(layer: &Descriptor, diff_id: &Digest) -> Option<Blob> {
    let compression = Compression::of_layer(&layer.media_type)?;
    let size = layer.size;
    let is_known = compression != Compression::None && layer.digest != *diff_id && size > 0;
    is_known.then_some(Blob { compression, size })
}
