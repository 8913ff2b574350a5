//! Images of archives and OCI layouts, whatever [`kiln_oci::archive`] reads: each layer is read once and nothing of it is kept but its
//! index.

use std::collections::BTreeMap;
use std::io::Read;

use kiln_oci::archive::{
    self, Announcement, Incoming, Input, LoadedImage, Received, Receiver, Selection,
};
use kiln_oci::{Descriptor, Digest, Platform, Reference};

use super::{Image, ImageError, ImageLayer, read_layer};
use crate::compressed::Effort;

/// An image of an archive.
#[derive(Debug, Clone)]
pub struct ArchivedImage {
    /// Its names, in full.
    pub references: Vec<Reference>,
    /// What it holds.
    pub image: Image,
}

/// Reads the image called `name`, or the only one there is; of several platforms the one for `platform`.
///
/// # Errors
/// The archive cannot be read, lacks the image or one of its layers, or has several and none is named.
pub fn read_archive(
    input: Input<'_>,
    name: Option<&Reference>,
    platform: &Platform,
    effort: Effort,
) -> Result<ArchivedImage, ImageError> {
    let layers = BTreeMap::new();
    let mut indexer = Indexer { layers, effort };
    let selection = Selection::Best(platform.clone());
    let contents = archive::receive(input, &selection, &mut indexer)?;
    let chosen = choose(contents.images, name)?;
    let layers = chosen.layers.iter().map(|layer| {
        let read = indexer.layers.get(&layer.diff_id);
        read.cloned().ok_or(ImageError::LeftOut(layer.diff_id))
    });
    Ok(ArchivedImage {
        image: Image {
            id: Digest::of(&chosen.config),
            layers: layers.collect::<Result<_, _>>()?,
            config: chosen.config_parsed,
            base: 0,
        },
        references: chosen.references,
    })
}

fn choose(
    mut images: Vec<LoadedImage>,
    name: Option<&Reference>,
) -> Result<LoadedImage, ImageError> {
    let all: Vec<Reference> = images
        .iter()
        .flat_map(|image| image.references.iter().cloned())
        .collect();
    if let Some(wanted) = name {
        images.retain(|image| image.references.contains(wanted));
    }
    let only = images.pop().filter(|_| images.is_empty());
    only.ok_or_else(|| match name {
        Some(wanted) => ImageError::NoSuchImage {
            wanted: wanted.familiar(),
            found: all,
        },
        None => ImageError::Several(all),
    })
}

/// Keeps the index of each layer.
struct Indexer {
    layers: BTreeMap<Digest, ImageLayer>,
    effort: Effort,
}

impl Receiver for Indexer {
    type Error = ImageError;

    fn announce(&mut self, _: &Announcement) -> Result<(), ImageError> {
        Ok(())
    }

    fn layer(
        &mut self,
        incoming: &Incoming,
        content: &mut dyn Read,
    ) -> Result<Received, ImageError> {
        let (layer, received) = read_layer(incoming, content, self.effort)?;
        self.layers.insert(received.diff_id, layer);
        Ok(received)
    }

    fn companion(&mut self, _: &Descriptor, _: &mut dyn Read) -> Result<(), ImageError> {
        Ok(())
    }
}
