//! The manifest that goes out: the image's own, with the layers as they are sent. Unaware of registries.

use kiln_cache::StoredImage;
use kiln_oci::{Compression, Descriptor, Digest, LayerCompression, Manifest, media_type};

use super::{Form, MediaTypes, Push};
use crate::failure::RemoteError;

/// A manifest or index as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Derived {
    pub(crate) bytes: Vec<u8>,
    pub(crate) descriptor: Descriptor,
}

impl Derived {
    /// Takes the place of what an index named.
    pub(crate) fn replace(&self, child: &mut Descriptor) {
        child.media_type.clone_from(&self.descriptor.media_type);
        child.digest = self.descriptor.digest;
        child.size = self.descriptor.size;
    }
}

/// The image's manifest, read.
pub(crate) fn manifest(image: &StoredImage) -> Result<Manifest, RemoteError> {
    Manifest::parse(&image.manifest).map_err(|source| RemoteError::Document {
        digest: image.manifest_digest,
        source,
    })
}

/// The manifest that goes out, if all that its layers become is known without any work.
pub(crate) fn remembered(
    push: &Push<'_>,
    image: &StoredImage,
) -> Result<Option<Derived>, RemoteError> {
    let manifest = manifest(image)?;
    let mut layers = Vec::new();
    for (layer, diff_id) in manifest.layers.iter().zip(&image.diff_ids) {
        let form = match wanted(layer, push.form) {
            None => Some(layer.clone()),
            Some(LayerCompression::None) => Some(plain(push, layer, diff_id)?),
            Some(compression) => push.store.forms().known(diff_id, compression)?,
        };
        let Some(form) = form else { return Ok(None) };
        layers.push(form);
    }
    Ok(Some(derive(push.form, image, &manifest, layers)))
}

/// The tar itself; its size is known where the layer is here.
fn plain(push: &Push<'_>, layer: &Descriptor, diff_id: &Digest) -> Result<Descriptor, RemoteError> {
    let size = if layer.digest == *diff_id {
        layer.size
    } else {
        push.store.layers().get(diff_id)?.index.tar_size
    };
    Ok(Descriptor::new(media_type::OCI_LAYER, *diff_id, size))
}

/// What the layer is to become; `None` when it goes out as it is.
pub(crate) fn wanted(layer: &Descriptor, form: Form) -> Option<LayerCompression> {
    // a layer that is not a tar goes out as it is
    let is = Compression::of_layer(&layer.media_type)?;
    let changes = is != form.compression.algorithm() && (form.force || is == Compression::None);
    changes.then_some(form.compression)
}

/// The manifest with these layers; verbatim when nothing changes.
pub(crate) fn derive(
    form: Form,
    image: &StoredImage,
    before: &Manifest,
    layers: Vec<Descriptor>,
) -> Derived {
    let mut after = before.clone();
    after.layers = layers
        .into_iter()
        .zip(&before.layers)
        .map(|(layer, original)| replaced(original, layer))
        .collect();
    let is_docker = before.media_type.as_deref() == Some(media_type::DOCKER_MANIFEST);
    let to_docker = match form.media_types {
        MediaTypes::Kept => is_docker && form.compression.algorithm() != Compression::Zstd,
        MediaTypes::Oci => false,
        MediaTypes::Docker => true,
    };
    // a manifest without a type of its own is OCI's; it is left alone unless something else changes
    if after != *before || to_docker != is_docker {
        rename(&mut after, to_docker);
    }
    let bytes = match after == *before {
        true => image.manifest.clone(),
        false => after.to_bytes(),
    };
    let media_type = after.media_type.as_deref();
    let descriptor = Descriptor::of(media_type.unwrap_or(media_type::OCI_MANIFEST), &bytes);
    Derived { bytes, descriptor }
}

/// The entry of a layer as it is sent; where nothing changed, it keeps its media type.
fn replaced(original: &Descriptor, layer: Descriptor) -> Descriptor {
    let media_type = match layer.digest == original.digest {
        true => original.media_type.clone(),
        false => layer.media_type,
    };
    Descriptor {
        media_type,
        annotations: original.annotations.clone(),
        ..layer
    }
}

/// The manifest with docker's media types. What is not a manifest stays as it is.
pub fn with_docker_types(bytes: Vec<u8>) -> Vec<u8> {
    match Manifest::parse(&bytes) {
        Ok(mut manifest) => {
            rename(&mut manifest, true);
            manifest.to_bytes()
        }
        Err(_) => bytes,
    }
}

/// Gives a manifest the media types of one family.
fn rename(manifest: &mut Manifest, docker: bool) {
    let (own, config) = if docker {
        (media_type::DOCKER_MANIFEST, media_type::DOCKER_CONFIG)
    } else {
        (media_type::OCI_MANIFEST, media_type::OCI_CONFIG)
    };
    manifest.media_type = Some(own.to_owned());
    if media_type::is_config(&manifest.config.media_type) {
        manifest.config.media_type = config.to_owned();
    }
    for layer in &mut manifest.layers {
        if let Some(compression) = Compression::of_layer(&layer.media_type) {
            let renamed = if docker {
                compression.docker_layer()
            } else {
                compression.oci_layer()
            };
            layer.media_type = renamed.to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_oci::{ImageConfig, Platform};

    fn image(media_type: &str, layers: Vec<Descriptor>) -> (StoredImage, Manifest) {
        let config = ImageConfig::new(&Platform::host()).to_bytes();
        let mut manifest =
            Manifest::for_layers(Descriptor::of(media_type::OCI_CONFIG, &config), layers);
        manifest.media_type = Some(media_type.to_owned());
        if media_type == media_type::DOCKER_MANIFEST {
            rename(&mut manifest, true);
        }
        let bytes = manifest.to_bytes();
        let stored = StoredImage {
            manifest_digest: Digest::of(&bytes),
            manifest: bytes,
            config_digest: manifest.config.digest,
            config,
            diff_ids: Vec::new(),
            index: None,
        };
        (stored, manifest)
    }

    fn layer(compression: Compression) -> Descriptor {
        Descriptor::of(compression.oci_layer(), b"layer")
    }

    #[test]
    fn plain_layers_are_compressed_and_others_only_by_force() {
        let gzip = Form::default();
        let zstd = Form {
            compression: LayerCompression::zstd(),
            ..gzip
        };
        let forced = Form {
            force: true,
            ..zstd
        };
        assert_eq!(
            wanted(&layer(Compression::None), gzip),
            Some(LayerCompression::gzip())
        );
        assert_eq!(wanted(&layer(Compression::Zstd), gzip), None);
        assert_eq!(wanted(&layer(Compression::Gzip), zstd), None);
        assert_eq!(
            wanted(&layer(Compression::Gzip), forced),
            Some(LayerCompression::zstd())
        );
        assert_eq!(wanted(&layer(Compression::Zstd), forced), None);
    }

    #[test]
    fn unchanged_manifests_are_verbatim_and_changed_ones_have_one_family_of_types() {
        for family in [media_type::OCI_MANIFEST, media_type::DOCKER_MANIFEST] {
            let (mut image, manifest) = image(family, vec![layer(Compression::Gzip)]);
            // spaces that no serialiser of ours writes
            image.manifest = [b" ", &image.manifest[..]].concat();
            let same = derive(Form::default(), &image, &manifest, manifest.layers.clone());
            assert_eq!(same.bytes, image.manifest);
            assert_eq!(same.descriptor.media_type, family);
        }
        let (image, manifest) = image(media_type::DOCKER_MANIFEST, vec![layer(Compression::None)]);
        let compressed = vec![Descriptor::of(media_type::OCI_LAYER_GZIP, b"compressed")];
        let changed = derive(Form::default(), &image, &manifest, compressed);
        let changed = Manifest::parse(&changed.bytes).unwrap();
        assert_eq!(changed.layers[0].media_type, media_type::DOCKER_LAYER_GZIP);
        assert_eq!(changed.config.media_type, media_type::DOCKER_CONFIG);
        let oci = Form {
            media_types: MediaTypes::Oci,
            ..Form::default()
        };
        let turned = derive(oci, &image, &manifest, manifest.layers.clone());
        let turned = Manifest::parse(&turned.bytes).unwrap();
        assert_eq!(turned.media_type.as_deref(), Some(media_type::OCI_MANIFEST));
        assert_eq!(turned.layers[0].media_type, media_type::OCI_LAYER);
    }
}
