//! What images have in common: the bytes that would go with one of them, and those that others need too. A layer counts as
//! shared when images of different IDs have it; layers that only the cache needs are no image's.

use kiln_cache::{LayerSize, Store, StoreError};
use kiln_oci::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// The sizes of an image. Bytes of tars, but for `compressed`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// All of its layers, each once.
    pub total: u64,
    /// Layers that other images have too.
    pub shared: u64,
    /// Layers that no other image has.
    pub unique: u64,
    /// All of its layers as a registry would hold them, if each is known compressed.
    pub compressed: Option<u64>,
}

/// The sizes of every image, by manifest digest.
///
/// # Errors
/// When the store fails.
pub fn sizes(store: &Store) -> Result<BTreeMap<Digest, Sizes>, StoreError> {
    let images = store.images().list()?;
    let mut owners: BTreeMap<Digest, BTreeSet<Digest>> = BTreeMap::new();
    for image in &images {
        for layer in &image.diff_ids {
            owners.entry(*layer).or_default().insert(image.id);
        }
    }
    let is_shared = |layer: &Digest| owners.get(layer).is_some_and(|owners| owners.len() > 1);
    let of_one = |manifest: &Digest| {
        let layers = store.images().layer_sizes(manifest)?;
        Ok((*manifest, sum(layers, is_shared)))
    };
    images.iter().map(|image| of_one(&image.manifest)).collect()
}

/// The sizes of an image; each layer counts once.
fn sum(layers: impl IntoIterator<Item = LayerSize>, is_shared: impl Fn(&Digest) -> bool) -> Sizes {
    let mut sizes = Sizes {
        compressed: Some(0),
        ..Sizes::default()
    };
    let mut seen = BTreeSet::new();
    let layers = layers.into_iter();
    for layer in layers.filter(|layer| seen.insert(layer.diff_id)) {
        sizes.total += layer.bytes;
        match is_shared(&layer.diff_id) {
            true => sizes.shared += layer.bytes,
            false => sizes.unique += layer.bytes,
        }
        let known = sizes.compressed.zip(layer.compressed);
        sizes.compressed = known.map(|(sum, bytes)| sum + bytes);
    }
    sizes
}
