//! The steps of an image with the layers that they made, and the line of the Dockerfile behind each. Pairs the config's history with
//! its diff IDs, as docker does: each entry that is not marked as empty takes the next layer. Lines are known of images that kiln has
//! built here, and of those that carry their build record in a label; of others there is the history's text alone.

use kiln_cache::{BuildRecord, BuiltStep, LayerSize, Store, StoreError, StoredImage};
use kiln_oci::{Digest, DocumentError, History, ImageConfig};
use thiserror::Error;

/// One entry of an image's history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// RFC 3339, as the image says.
    pub created: Option<String>,
    /// The instruction, as the image says.
    pub created_by: String,
    /// Who made it, such as a builder's name.
    pub comment: String,
    /// File, line and text of the instruction, where they are known.
    pub origin: Option<BuiltStep>,
    /// The layer's diff ID, if the step made one.
    pub layer: Option<Digest>,
    /// Its position among the image's layers, the lowest first.
    pub position: Option<usize>,
    /// Bytes of the layer's uncompressed tar, or of its blob while the tar has never been here; 0 without a layer.
    pub bytes: u64,
}

impl Step {
    /// The instruction for people: as it is written in the Dockerfile, else as the history has it. From outside: not printable as it is.
    #[must_use]
    pub fn text(&self) -> &str {
        let written = self.origin.as_ref().map(|origin| origin.text.as_str());
        written.unwrap_or(&self.created_by)
    }

    /// The same on one line, without what builders put around it; empty where nothing is told. From outside: not printable as it is.
    #[must_use]
    pub fn on_one_line(&self) -> String {
        let text = match &self.origin {
            Some(origin) => origin.text.clone(),
            None => readable(&self.created_by),
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ")
    }

    /// The 1-based line of the instruction, where that is known.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        self.origin.as_ref().map(|origin| origin.line)
    }

    /// `Dockerfile:7`, where that is known. From outside: not printable as it is.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        let origin = self.origin.as_ref()?;
        Some(format!("{}:{}", origin.file, origin.line))
    }
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
    let record = record(store, &image.config_digest, &config)?;
    Ok(steps_of(&config, &layers, &record))
}

/// What is known of how the image with this ID was built: here, else what it says itself; nothing, perhaps.
///
/// # Errors
/// The store fails.
pub fn record(store: &Store, id: &Digest, config: &ImageConfig) -> Result<BuildRecord, StoreError> {
    let here = store.builds().get(id)?;
    let told = || BuildRecord::of_label(config);
    Ok(here.or_else(told).unwrap_or_default())
}

/// The steps of an image that may be anywhere.
#[must_use]
pub fn steps_of(config: &ImageConfig, layers: &[LayerSize], record: &BuildRecord) -> Vec<Step> {
    let unknown = History::default();
    let unaccounted = unaccounted(&config.history, layers.len());
    let steps = paired(&config.history, layers.len()).enumerate();
    let steps = steps.map(|(at, (entry, layer))| {
        let layer = layer.and_then(|at| Some((at, layers.get(at)?)));
        let origin = at.checked_sub(unaccounted).and_then(|at| record.step(at));
        step(entry.unwrap_or(&unknown), layer, origin)
    });
    steps.collect()
}

/// Each entry of a history with the position of the layer that it made, if it made one. Layers that the history does not account for
/// come first, without an entry; entries that claim more layers than there are have none.
pub fn paired(
    history: &[History],
    layers: usize,
) -> impl Iterator<Item = (Option<&History>, Option<usize>)> {
    let mut positions = 0..layers;
    let missing = std::iter::repeat_n(None, unaccounted(history, layers));
    let entries = missing.chain(history.iter().map(Some));
    entries.map(move |entry| {
        let has_layer = entry.is_none_or(|entry| !entry.empty_layer);
        let layer = has_layer.then(|| positions.next()).flatten();
        (entry, layer)
    })
}

/// How many layers the history does not account for.
fn unaccounted(history: &[History], layers: usize) -> usize {
    let accounted = history.iter().filter(|entry| !entry.empty_layer).count();
    layers.saturating_sub(accounted)
}

fn step(entry: &History, layer: Option<(usize, &LayerSize)>, origin: Option<&BuiltStep>) -> Step {
    Step {
        created: entry.created.clone(),
        created_by: entry.created_by.clone().unwrap_or_default(),
        comment: entry.comment.clone().unwrap_or_default(),
        origin: origin.cloned(),
        layer: layer.map(|(_, layer)| layer.diff_id),
        position: layer.map(|(at, _)| at),
        bytes: layer.map_or(0, |(_, layer)| layer.bytes),
    }
}

/// The text of a history without what builders put around it.
fn readable(text: &str) -> String {
    let text = text.trim_end_matches(" # buildkit");
    match text.strip_prefix("/bin/sh -c ") {
        Some(command) => match command.strip_prefix("#(nop) ") {
            Some(instruction) => instruction.trim().to_owned(),
            None => format!("RUN {command}"),
        },
        None => text.replacen("RUN /bin/sh -c ", "RUN ", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_builders_put_around_an_instruction_is_left_out() {
        let told = [
            "RUN /bin/sh -c make # buildkit",
            "/bin/sh -c make",
            "/bin/sh -c #(nop)  CMD [\"sh\"]",
            "COPY a b # buildkit",
        ];
        let read = ["RUN make", "RUN make", "CMD [\"sh\"]", "COPY a b"];
        assert_eq!(told.map(readable), read);
    }
}
