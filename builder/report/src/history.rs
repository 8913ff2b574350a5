//! The steps of an image with the layers that they made. Pairs the config's history with its diff IDs, as docker does: each
//! entry that is not marked as empty takes the next layer.

use kiln_cache::{LayerSize, Store, StoreError, StoredImage};
use kiln_oci::{Digest, DocumentError, History, ImageConfig};
use thiserror::Error;

/// One entry of an image's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// RFC 3339, as the image says.
    pub created: Option<String>,
    /// The instruction.
    pub created_by: String,
    /// Who made it, such as a builder's name.
    pub comment: String,
    /// The layer's diff ID, if the step made one.
    pub layer: Option<Digest>,
    /// Bytes of the layer's uncompressed tar, or of its blob while the tar has never been here; 0 without a layer.
    pub bytes: u64,
}

/// Why an image's history cannot be told.
#[derive(Debug, Error)]
pub enum HistoryError {
    /// The config is malformed.
    #[error(transparent)]
    Config(#[from] DocumentError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All steps, the oldest first. Layers that the history does not account for come first, without an instruction.
///
/// # Errors
/// When the config is malformed or the store fails.
pub fn steps(store: &Store, image: &StoredImage) -> Result<Vec<Step>, HistoryError> {
    let config = ImageConfig::parse(&image.config)?;
    let layers = store.images().layer_sizes(&image.manifest_digest)?;
    let unknown = History::default();
    let steps = paired(&config.history, layers.len()).map(|(entry, layer)| {
        let layer = layer.and_then(|at| layers.get(at));
        step(entry.unwrap_or(&unknown), layer)
    });
    Ok(steps.collect())
}

/// Each entry of a history with the position of the layer that it made, if it made one. Layers that the history does not account for
/// come first, without an entry; entries that claim more layers than there are have none.
pub fn paired(
    history: &[History],
    layers: usize,
) -> impl Iterator<Item = (Option<&History>, Option<usize>)> {
    let accounted = history.iter().filter(|entry| !entry.empty_layer).count();
    let missing = layers.saturating_sub(accounted);
    let mut positions = 0..layers;
    let entries = std::iter::repeat_n(None, missing).chain(history.iter().map(Some));
    entries.map(move |entry| {
        let has_layer = entry.is_none_or(|entry| !entry.empty_layer);
        let layer = has_layer.then(|| positions.next()).flatten();
        (entry, layer)
    })
}

fn step(entry: &History, layer: Option<&LayerSize>) -> Step {
    Step {
        created: entry.created.clone(),
        created_by: entry.created_by.clone().unwrap_or_default(),
        comment: entry.comment.clone().unwrap_or_default(),
        layer: layer.map(|layer| layer.diff_id),
        bytes: layer.map_or(0, |layer| layer.bytes),
    }
}
