//! From the results of steps to an image: config, history, manifest. Unaware of how steps were executed and of names.
//!
//! Nothing here reads the clock: every time is that of a step's first execution, so a cached rebuild repeats the image ID. An
//! image without any step that makes a layer takes its base's time, else the time of the build that its memo remembers.

use crate::host::clock::rfc3339;
use crate::plan::Plan;
use crate::plan::output::Done;
use kiln_cache::{Store, StoreError};
use kiln_oci::media_type::{OCI_CONFIG, OCI_LAYER};
use kiln_oci::{Descriptor, Digest, History, ImageConfig, Manifest};
use kiln_parser::graph::{HistoryStep, Stage};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An image whose layers are in the store.
#[derive(Debug, Clone)]
pub struct Image {
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The config's bytes.
    pub config: Vec<u8>,
    /// Diff IDs, bottom first.
    pub layers: Vec<Digest>,
}

/// Assembles the image of a stage. `now` is used only where no step and no base gives a time.
///
/// # Errors
/// When a layer is no longer in the store.
pub(crate) fn assemble(
    store: &Store,
    plan: &Plan,
    position: usize,
    results: &BTreeMap<usize, Arc<Done>>,
    now: i64,
) -> Result<Image, StoreError> {
    let stage = &plan.graph.stages[position];
    let done = results.get(&stage.output.0);
    let layers = done.map_or_else(Vec::new, |done| done.stack.layers.clone());
    let base = stage.base_image.clone();
    let mut config = base.unwrap_or_else(|| ImageConfig::new(&stage.platform));
    let epoch = plan.graph.source_date_epoch;
    let (history, last) = history(stage, &config, results, layers.len(), now, epoch);
    config.set_platform(&stage.image_platform);
    config.created = Some(last);
    config.author.clone_from(&stage.author);
    config.config = stage.config.clone();
    config.rootfs.diff_ids.clone_from(&layers);
    config.history = history;
    let config = config.to_bytes();
    let blobs = layers.iter().map(|layer| blob(store, plan, layer));
    let blobs = blobs.collect::<Result<_, _>>()?;
    let manifest = Manifest::for_layers(Descriptor::of(OCI_CONFIG, &config), blobs).to_bytes();
    Ok(Image {
        manifest,
        config,
        layers,
    })
}

/// The blob that holds a layer: that of a base image, else its tar.
fn blob(store: &Store, plan: &Plan, layer: &Digest) -> Result<Descriptor, StoreError> {
    if let Some(described) = plan.described.get(layer) {
        return Ok(described.clone());
    }
    let missing = || StoreError::Missing { digest: *layer };
    let size = store.exchange().layer_size(layer)?;
    Ok(Descriptor::new(
        OCI_LAYER,
        *layer,
        size.ok_or_else(missing)?,
    ))
}

/// The same image, which does not say how it was made (`--omit-history`); that of its base goes too.
///
/// # Errors
/// When it is no image.
pub fn without_history(image: Image) -> Result<Image, StoreError> {
    with_config(image, |config| config.history.clear())
}

/// The same image with another config.
///
/// # Errors
/// When it is no image.
pub fn with_config(
    image: Image,
    change: impl FnOnce(&mut ImageConfig),
) -> Result<Image, StoreError> {
    let malformed = |problem: String| StoreError::Damaged { what: problem };
    let mut config =
        ImageConfig::parse(&image.config).map_err(|error| malformed(error.to_string()))?;
    let mut manifest =
        Manifest::parse(&image.manifest).map_err(|error| malformed(error.to_string()))?;
    change(&mut config);
    let config = config.to_bytes();
    manifest.config = Descriptor::of(manifest.config.media_type, &config);
    Ok(Image {
        manifest: manifest.to_bytes(),
        config,
        ..image
    })
}

/// The base's history and an entry for each instruction; with it the time of the image.
fn history(
    stage: &Stage,
    base: &ImageConfig,
    results: &BTreeMap<usize, Arc<Done>>,
    layers: usize,
    now: i64,
    epoch: Option<i64>,
) -> (Vec<History>, String) {
    let mut last = base.created.clone().filter(|_| epoch.is_none());
    let mut added = Vec::new();
    for step in &stage.history {
        let result = step
            .node
            .and_then(|node| results.get(&node.0)?.step.clone());
        if let Some(result) = &result {
            last = Some(rfc3339(epoch.unwrap_or(result.created)));
        }
        let has_layer = result.is_some_and(|result| result.diff_id.is_some());
        added.push(entry(step, !has_layer, last.clone()));
    }
    // Until a step gives a time, entries have that of the first one that does.
    let first = added.iter().find_map(|entry| entry.created.clone());
    let first = first.unwrap_or_else(|| rfc3339(epoch.unwrap_or(now)));
    for entry in &mut added {
        entry.created.get_or_insert_with(|| first.clone());
    }
    let mut history = base.history.clone();
    let entries = history.iter().chain(&added);
    let counted = entries.filter(|entry| !entry.empty_layer).count();
    history.extend((counted..layers).map(|_| without_step(stage, &first)));
    history.extend(added);
    (history, last.unwrap_or(first))
}

fn entry(step: &HistoryStep, empty_layer: bool, created: Option<String>) -> History {
    History {
        created,
        created_by: Some(step.created_by.clone()),
        comment: Some(step.comment.to_owned()).filter(|comment| !comment.is_empty()),
        empty_layer,
        ..History::default()
    }
}

/// docker refuses an image whose history does not account for each layer. Old bases have no history, and a stage that starts from
/// a folder has a layer that no instruction made.
fn without_step(stage: &Stage, created: &str) -> History {
    let from = stage.name.as_deref().unwrap_or("context");
    History {
        created: Some(created.to_owned()),
        created_by: Some(format!("FROM {from}")),
        ..History::default()
    }
}
