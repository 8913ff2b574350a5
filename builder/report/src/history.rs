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
    let accounted = config
        .history
        .iter()
        .filter(|entry| !entry.empty_layer)
        .count();
    let layers = store.images().layer_sizes(&image.manifest_digest)?;
    let missing = layers.len().saturating_sub(accounted);
    let mut layers = layers.into_iter();
    let unknown = History::default();
    let entries = std::iter::repeat_n(&unknown, missing).chain(&config.history);
    let pairs = entries.map(|entry| {
        let layer = if entry.empty_layer {
            None
        } else {
            layers.next()
        };
        step(entry, layer)
    });
    Ok(pairs.collect())
}

fn step(entry: &History, layer: Option<LayerSize>) -> Step {
    Step {
        created: entry.created.clone(),
        created_by: entry.created_by.clone().unwrap_or_default(),
        comment: entry.comment.clone().unwrap_or_default(),
        layer: layer.map(|layer| layer.diff_id),
        bytes: layer.map_or(0, |layer| layer.bytes),
    }
}
