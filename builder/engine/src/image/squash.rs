//! `--squash`: the layers that a build adds become one, computed from indexes; nothing is mounted. The layers of the base stay, so
//! that they are still shared. History stays too: its entries no longer stand for layers, and one at the end stands for all. Unaware
//! of how the image was built.

use crate::failure::BuildError;
use crate::image::assemble::Image;
use kiln_cache::{Chain, Found, LayerError, Store, StoreError};
use kiln_oci::media_type::OCI_LAYER;
use kiln_oci::{Descriptor, Digest, History, ImageConfig, Manifest};
use std::collections::{BTreeMap, HashMap};

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
    let mut config =
        ImageConfig::parse(&image.config).map_err(|error| malformed(error.to_string()))?;
    let mut manifest =
        Manifest::parse(&image.manifest).map_err(|error| malformed(error.to_string()))?;
    let layer = layer(store, &image.layers, base)?;
    let mut layers = image.layers[..base].to_vec();
    manifest.layers.truncate(base);
    empty(&mut config, base);
    if let Some((diff_id, size)) = layer {
        layers.push(diff_id);
        manifest
            .layers
            .push(Descriptor::new(OCI_LAYER, diff_id, size));
        config.history.push(History {
            created: config.created.clone(),
            comment: Some(format!("{} layers squashed", image.layers.len() - base)),
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

/// Entries of layers above the base stand for none any more.
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
    let (below, all) = (
        store.layers().chain(&layers[..base])?,
        store.layers().chain(layers)?,
    );
    let mut writer = store.layers().writer(&below)?;
    let mut first_names: HashMap<(usize, u32), Vec<u8>> = HashMap::new();
    let written = |error: LayerError| BuildError::Store(error.into());
    for (path, change) in changes(&below, &all, base) {
        let Change::Is(found) = change else {
            writer.whiteout(&path).map_err(written)?;
            continue;
        };
        match found
            .link_group()
            .map(|group| (group, first_names.get(&group)))
        {
            Some((_, Some(first))) => writer.hardlink(&path, first).map_err(written)?,
            Some((group, None)) => {
                first_names.insert(group, path.clone());
                writer
                    .copy(&path, &found.entry.meta(), &all, &found)
                    .map_err(written)?;
            }
            None => writer
                .copy(&path, &found.entry.meta(), &all, &found)
                .map_err(written)?,
        }
    }
    let layer = writer.finish()?;
    Ok(layer.map(|layer| (layer.diff_id(), layer.index.tar_size)))
}

/// What differs, in the order of layers.
fn changes<'a>(below: &Chain, all: &'a Chain, base: usize) -> BTreeMap<Vec<u8>, Change<'a>> {
    let mut changes = BTreeMap::new();
    let mut directories = std::collections::HashSet::new();
    let mut shown = std::collections::HashSet::new();
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
        let parent = path
            .iter()
            .rposition(|byte| *byte == b'/')
            .map_or(&b""[..], |at| &path[..at]);
        // what is below something that is gone is gone with it
        if !shown.contains(path) && directories.contains(parent) {
            changes.insert(path.to_vec(), Change::Gone);
        }
    }
    changes
}
