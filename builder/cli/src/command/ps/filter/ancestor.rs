//! Which containers are of an image, or of one that was made from it. Unaware of other conditions.

use crate::failure::Failure;
use kiln_cache::{ImageError, Store, StoredImage};
use kiln_engine::trial::Draft;
use kiln_oci::{Digest, History, ImageConfig};

/// An image that others may stand on.
#[derive(Debug)]
pub struct Ancestor {
    id: Digest,
    layers: Vec<Digest>,
    history: Vec<History>,
}

impl Ancestor {
    /// The image that a person names. A name that nobody knows, or that could be several, is no error: as in docker, no container is of it.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn find(store: &Store, name: &str) -> Result<Option<Self>, Failure> {
        match store.images().find(name) {
            Ok(image) => Ok(Some(Self::of(image))),
            Err(ImageError::Store(error)) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    fn of(image: StoredImage) -> Self {
        let config = ImageConfig::parse(&image.config).unwrap_or_default();
        Ancestor {
            id: image.config_digest,
            layers: image.diff_ids,
            history: config.history,
        }
    }

    /// Whether a container is of it, or of an image that begins with its layers and its steps and goes on. An image with neither is one that
    /// nothing can be told from.
    pub fn is_below(&self, draft: &Draft) -> bool {
        let (layers, history) = (&draft.container.layers, &draft.base.history);
        let begins = layers.starts_with(&self.layers) && is_begun(&self.history, history);
        let goes_on = layers.len() > self.layers.len() || history.len() > self.history.len();
        let is_empty = self.layers.is_empty() && self.history.is_empty();
        draft.image_id == self.id || (begins && goes_on && !is_empty)
    }
}

/// Whether a history has these steps first. Their times may have been rewritten since.
fn is_begun(steps: &[History], by: &[History]) -> bool {
    let same = |(one, other): (&History, &History)| {
        (&one.created_by, one.empty_layer) == (&other.created_by, other.empty_layer)
    };
    steps.len() <= by.len() && steps.iter().zip(by).all(same)
}
