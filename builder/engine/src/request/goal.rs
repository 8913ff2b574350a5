//! Where the result goes: names, outputs, caches. Unaware of how it gets there.

use crate::exchange::CacheOptions;
use crate::request::Exporter;
use kiln_cache::KeyBuilder;
use kiln_oci::Reference;
use std::sync::Arc;

/// Where the result goes.
#[derive(Debug, Clone, Default)]
pub struct Goal {
    /// `--tag`: names for the image.
    pub tags: Vec<Reference>,
    /// `--manifest`: the index that the images are put into.
    pub manifest: Option<Reference>,
    /// `--output`: where the result goes besides the store, in this order.
    pub outputs: Vec<Arc<dyn Exporter>>,
    /// `--cache-to`: the caches that get the results of the steps.
    pub cache_to: Vec<CacheOptions>,
    /// The image stays in the store although outputs take it away: another build is made of it.
    pub stays: bool,
}

impl Goal {
    /// The names of the image itself; outputs may have others.
    #[must_use]
    pub fn names(&self) -> Vec<Reference> {
        self.tags.iter().chain(&self.manifest).cloned().collect()
    }

    /// Whether the result goes somewhere, and no image of it is wanted in the store.
    #[must_use]
    pub fn is_taken_away(&self) -> bool {
        let mut outputs = self.outputs.iter();
        !self.stays
            && !self.outputs.is_empty()
            && self.names().is_empty()
            && outputs.all(|output| output.takes_away())
    }

    /// Adds nothing: the image is the same wherever it goes. `None` for an index that holds other images too.
    pub(crate) fn key(&self, key: KeyBuilder) -> Option<KeyBuilder> {
        let Self {
            tags: _,
            manifest,
            outputs: _,
            cache_to: _,
            stays: _,
        } = self;
        manifest.is_none().then_some(key)
    }
}
