//! An image whose layers come one by one from somewhere, such as a registry. Unaware of the network.

use kiln_oci::{Descriptor, Digest, DocumentError, ImageConfig, Manifest};

use super::{Image, ImageError, ImageLayer};

/// Puts an image together; `layer` is asked for each layer by its descriptor and its diff ID, the lowest first.
///
/// # Errors
/// A document is malformed, or a layer does not come.
pub fn streamed<E: From<ImageError>>(
    manifest: &[u8],
    config: &[u8],
    mut layer: impl FnMut(&Descriptor, &Digest) -> Result<ImageLayer, E>,
) -> Result<Image, E> {
    let malformed = |error: DocumentError| E::from(error.into());
    let manifest = Manifest::parse(manifest).map_err(malformed)?;
    let id = Digest::of(config);
    let config = ImageConfig::parse(config).map_err(malformed)?;
    let layers = manifest.layers.iter().zip(&config.rootfs.diff_ids);
    let layers = layers.map(|(blob, diff_id)| layer(blob, diff_id));
    Ok(Image {
        id,
        layers: layers.collect::<Result<_, E>>()?,
        config,
        base: 0,
    })
}
