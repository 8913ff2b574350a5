//! What of earlier builds may be reused, and whether registries are asked for what is here. Unaware of keys and of stores.

use crate::exchange::CacheOptions;
use kiln_cache::KeyBuilder;
use std::collections::BTreeSet;

/// What may be reused.
#[derive(Debug, Clone, Default)]
pub struct Reuse {
    /// `--no-cache`: every step is executed.
    pub no_cache: bool,
    /// `--no-cache-filter`: stages, by name or number, whose steps are executed whatever the cache holds.
    pub no_cache_filter: BTreeSet<String>,
    /// `--cache-ttl`: seconds after which a result is no longer used.
    pub cache_ttl: Option<i64>,
    /// `--cache-from`: whose results are taken, in this order.
    pub cache_from: Vec<CacheOptions>,
    /// `--pull`.
    pub pull: Pull,
}

impl Reuse {
    /// Whether the outcome of an equal build may be taken as a whole.
    pub(crate) fn takes_outcomes(&self) -> bool {
        !self.no_cache && self.no_cache_filter.is_empty() && self.cache_ttl.is_none()
    }

    /// Adds nothing: it decides what is looked up, never what is made.
    pub(crate) fn key(&self, key: KeyBuilder) -> KeyBuilder {
        let Self {
            no_cache: _,
            no_cache_filter: _,
            cache_ttl: _,
            cache_from: _,
            pull: _,
        } = self;
        key
    }
}

/// Whether registries are asked for images that the Dockerfile names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pull {
    /// For those that the store does not have.
    #[default]
    Missing,
    /// For all.
    Always,
    /// For all; where they do not answer, what the store has will do.
    Newer,
    /// For none.
    Never,
}
