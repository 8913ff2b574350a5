//! `--squash`: the layers that a build adds become one, computed from indexes; nothing is mounted. The layers of the base stay, so
//! that they are still shared. History stays too: its entries no longer stand for layers, and one at the end stands for all. Unaware
//! of how the image was built.

use crate::failure::BuildError;
use crate::image::assemble::Image;
use kiln_cache::path::parent;
use kiln_cache::{Chain, FirstNames, Found, Store, StoreError};
use kiln_oci::media_type::OCI_LAYER;
use kiln_oci::{Descriptor, Digest, History, ImageConfig, Manifest};
use std::collections::{BTreeMap, HashSet};

/// What the new layer says at a path.
enum Change<'a> {
    /// This is there.
    Is(Found<'a>),
    /// What the base has there is gone.
    Gone,
}

/// The same image with one layer above its first `base` layers; unchanged when there are none or one.
///
/// # Errors
/// When a layer cannot be read, or the new one not written.
pub fn squash(store: &Store, image: Image, base: usize) -> Result<Image, BuildError> {
    if image.layers.len() <= base + 1 {
        return Ok(image);
    }
    let malformed = |problem: String| StoreError::Damaged { what: problem };
    let config = ImageConfig::parse(&image.config);
    let mut config = config.map_err(|error| malformed(error.to_string()))?;
    let manifest = Manifest::parse(&image.manifest);
    let mut manifest = manifest.map_err(|error| malformed(error.to_string()))?;
    let mut layers = image.layers[..base].to_vec();
    manifest.layers.truncate(base);
    empty(&mut config, base);
    if let Some((diff_id, size)) = layer(store, &image.layers, base)? {
        let layer = Descriptor::new(OCI_LAYER, diff_id, size);
        let comment = format!("{} layers squashed", image.layers.len() - base);
        layers.push(diff_id);
        manifest.layers.push(layer);
        config.history.push(History {
            created: config.created.clone(),
            comment: Some(comment),
            ..History::default()
        });
    }
    config.rootfs.diff_ids.clone_from(&layers);
    let config = config.to_bytes();
    manifest.config = Descriptor::of(manifest.config.media_type, &config);
    Ok(Image {
        manifest: manifest.to_bytes(),
        config,
        layers,
    })
}

/// History entries of layers above the base no longer stand for a layer.
fn empty(config: &mut ImageConfig, base: usize) {
    let layers = config.history.iter_mut().filter(|entry| !entry.empty_layer);
    layers.skip(base).for_each(|entry| entry.empty_layer = true);
}

/// Writes the layer; diff ID and size, or `None` when all that was added is gone again.
fn layer(
    store: &Store,
    layers: &[Digest],
    base: usize,
) -> Result<Option<(Digest, u64)>, BuildError> {
    let below = store.layers().chain(&layers[..base])?;
    let all = store.layers().chain(layers)?;
    let mut writer = store.layers().writer(&below)?;
    let mut first_names = FirstNames::default();
    for (path, change) in changes(&below, &all, base) {
        let written = match change {
            Change::Gone => writer.whiteout(&path),
            Change::Is(found) => match first_names.earlier(found.link_group(), &path) {
                Some(first) => writer.hardlink(&path, &first),
                None => writer.copy(&path, &found.entry.meta(), &all, &found),
            },
        };
        written.map_err(StoreError::from)?;
    }
    let layer = writer.finish()?;
    Ok(layer.map(|layer| (layer.diff_id(), layer.index.tar_size)))
}

/// What differs, in the order of layers.
fn changes<'a>(below: &Chain, all: &'a Chain, base: usize) -> BTreeMap<Vec<u8>, Change<'a>> {
    let mut changes = BTreeMap::new();
    let (mut directories, mut shown) = (HashSet::new(), HashSet::new());
    for found in all.walk(b"") {
        let path = &*found.entry.path;
        shown.insert(path);
        if found.entry.is_directory() {
            directories.insert(path);
        }
        if found.layer.is_some_and(|layer| layer >= base) {
            changes.insert(path.to_vec(), Change::Is(found));
        }
    }
    for found in below.walk(b"") {
        let path = &*found.entry.path;
        let parent = parent(path).unwrap_or_default();
        // what is below something that is gone is gone with it
        if !shown.contains(path) && directories.contains(parent) {
            changes.insert(path.to_vec(), Change::Gone);
        }
    }
    changes
}
