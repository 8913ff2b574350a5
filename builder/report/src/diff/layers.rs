//! The layers that only one of two images has, with what of the difference each is to blame for. Unaware of instructions.

use std::collections::BTreeSet;

use kiln_oci::Digest;

use super::files::{Change, FileChanges, Side};
use crate::image::Image;

/// A layer that the other image does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnLayer {
    /// Its position in its image.
    pub layer: usize,
    /// Bytes of its tar.
    pub bytes: u64,
    /// Paths that differ and show from it.
    pub paths: usize,
    /// Bytes of their content.
    pub content: u64,
}

/// The layers of two images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerChanges {
    /// How many both have.
    pub shared: usize,
    /// Bytes of their tars.
    pub shared_bytes: u64,
    /// Those of the first image alone.
    pub old: Vec<OwnLayer>,
    /// Those of the second image alone.
    pub new: Vec<OwnLayer>,
}

/// Compares the layers of two images.
#[must_use]
pub fn layers(old: &Image, new: &Image, files: &FileChanges) -> LayerChanges {
    let digests = |image: &Image| -> BTreeSet<Digest> {
        let layers = image.layers.iter();
        layers.map(|layer| layer.index.diff_id).collect()
    };
    let (in_old, in_new) = (digests(old), digests(new));
    let shared = new.layers.iter();
    let shared: Vec<u64> = shared
        .filter(|layer| in_old.contains(&layer.index.diff_id))
        .map(|layer| layer.index.tar_size)
        .collect();
    LayerChanges {
        shared: shared.len(),
        shared_bytes: shared.iter().sum(),
        old: own(old, &in_new, files, |change| change.old),
        new: own(new, &in_old, files, |change| change.new),
    }
}

fn own(
    image: &Image,
    other: &BTreeSet<Digest>,
    files: &FileChanges,
    side: impl Fn(&Change) -> Option<Side>,
) -> Vec<OwnLayer> {
    let mut sums = vec![(0, 0); image.layers.len()];
    for side in files.changes.iter().filter_map(side) {
        if let Some(sum) = side.layer.and_then(|layer| sums.get_mut(layer)) {
            *sum = (sum.0 + 1, sum.1 + side.bytes);
        }
    }
    let layers = image.layers.iter().zip(sums).enumerate();
    let own = layers.filter(|(_, (layer, _))| !other.contains(&layer.index.diff_id));
    own.map(|(at, (layer, (paths, content)))| OwnLayer {
        layer: at,
        bytes: layer.index.tar_size,
        paths,
        content,
    })
    .collect()
}
