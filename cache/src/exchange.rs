//! Results that travel between machines: an [`ExportedCache`] holds the records of a build, and says which blobs hold their layers. A
//! store that imports one finds those results while a build names that cache; the layers are fetched when something needs them
//! ([`crate::lazy`]).
//!
//! Unaware of where caches are kept and how their bytes come. A cache has a name of its own, since one [`CacheOrigin`] may hold
//! several.
//!
//! # Claims are not facts
//!
//! Anybody who can write to a cache can write anything into it, so all that it says is a claim ([`Caches`] of records and memos, the
//! column `cache` of `offered`), and counts only for a build that names the cache. What is executed on top of a claimed layer rests on the
//! cache as well. What this store makes of nothing but its own is a fact, beside the claim. What can be checked when:
//!
//! - **when the cache is imported**: a result without a layer is one without files; a layer is described by the same cache; one that the
//!   store has holds the files that the record says. A record that fails is not taken.
//! - **when a layer comes** ([`claims`]): its tar has the digest that names it, and the size and the files that were claimed. Every file
//!   of a layer is read through its index, which this store makes then, so no step runs on, or copies from, what was not checked. A
//!   record that fails is dropped, and the build begins again without it.
//! - **never**: that the step would make these files here. A build that names a cache trusts it for that.
//!
//! # Format
//!
//! JSON: `version`, `keys` ([`KEY_VERSION`](crate::KEY_VERSION)), `layers`, `records`, `memos`. A cache of other versions holds
//! nothing that could be found, and counts as empty. Documents of images are texts, because their bytes decide about their digests.

mod caches;
mod claims;
mod export;
mod import;
mod imports;
mod origin;
#[cfg(test)]
mod tests;

pub use caches::Caches;
pub use import::ImportedLayer;
pub(crate) use imports::Imports;
pub use imports::Loss;
pub use origin::CacheOrigin;

use std::collections::{BTreeMap, BTreeSet};

use kiln_oci::Digest;
use serde::{Deserialize, Serialize};

use crate::{KEY_VERSION, MemoBundle, PastStep, Record, StepInputs};

/// Version of the format; it goes up when a field changes its meaning.
const VERSION: u32 = 1;

/// What one build made, for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedCache {
    version: u32,
    keys: u64,
    /// The layers of the records, sorted by diff ID.
    pub layers: Vec<ExportedLayer>,
    /// Results of steps, sorted by key.
    pub records: Vec<Record>,
    /// Whole builds.
    pub memos: Vec<ExportedMemo>,
    /// The build that made all of it; nothing in caches of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<ExportedBuild>,
}

/// A build as a later one elsewhere compares itself with it, to tell what has changed. It decides about no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedBuild {
    /// The Dockerfile, as [`crate::PastBuild::file`].
    pub file: String,
    /// Its steps, in the order of the Dockerfile.
    pub steps: Vec<PastStep>,
    /// What they were made of, by the keys of their results; without values of secrets.
    pub inputs: BTreeMap<Digest, StepInputs>,
}

/// A layer, and the blob that holds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExportedLayer {
    /// Digest of its tar.
    pub diff_id: Digest,
    /// Bytes of its tar.
    pub tar_size: u64,
    /// The blob.
    pub blob: Digest,
    /// Bytes of the blob.
    pub size: u64,
    /// How the blob is compressed: `none`, `gzip:6`, `zstd:3`.
    pub compression: String,
}

/// The outcome of a build, found again by a digest of all that went into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedMemo {
    /// That digest.
    pub key: Digest,
    /// The outcome. A build elsewhere takes from it which results its steps had, and makes the image itself.
    pub bundle: MemoBundle,
    /// Manifest and config of each image, for people and tools that look into a cache; a build believes nothing of them.
    #[serde(default)]
    pub images: Vec<(String, String)>,
    /// The index of the images, where the outcome is one; as they.
    #[serde(default)]
    pub index: Option<String>,
}

/// Which results of a build are exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Those whose layers are in the image, and those without a layer.
    #[default]
    Min,
    /// All.
    Max,
}

impl ExportedCache {
    pub(crate) fn new(
        layers: Vec<ExportedLayer>,
        records: Vec<Record>,
        memos: Vec<ExportedMemo>,
    ) -> Self {
        Self {
            version: VERSION,
            keys: KEY_VERSION,
            layers,
            records,
            memos,
            build: None,
        }
    }

    /// Reads an exported cache; `None` for one that another version of kiln wrote.
    ///
    /// # Errors
    /// It is not such a document.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Versions {
            version: u32,
            keys: u64,
        }
        let Versions { version, keys } = serde_json::from_slice(bytes)?;
        if (version, keys) != (VERSION, KEY_VERSION) {
            return Ok(None);
        }
        serde_json::from_slice(bytes).map(Some)
    }

    /// The same bytes for equal caches.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // plain data with texts as keys: serialising it cannot fail
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether these results are all here: writing them would only take others away.
    #[must_use]
    pub fn covers(&self, records: &[Record], memo: Option<&ExportedMemo>) -> bool {
        let result = |record: &Record| (record.key, record.diff_id, record.tree);
        let own: BTreeSet<_> = self.records.iter().map(result).collect();
        let has_memo = |memo: &ExportedMemo| self.memos.contains(memo);
        records.iter().all(|record| own.contains(&result(record))) && memo.is_none_or(has_memo)
    }

    /// Leaves out layers that cannot be fetched, and what was made with them.
    pub fn retain_layers(&mut self, is_there: impl Fn(&ExportedLayer) -> bool) {
        self.layers.retain(is_there);
        let left: BTreeSet<Digest> = self.layers.iter().map(|layer| layer.diff_id).collect();
        let is_whole = |record: &Record| record.diff_id.is_none_or(|id| left.contains(&id));
        self.records.retain(is_whole);
    }
}
