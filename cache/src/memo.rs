//! Memos: the whole outcome of a build under one key, so that a build that changed nothing is one look-up.
//!
//! Stored as JSON in the table `memos`, because bundles travel to other machines later.

use kiln_oci::Digest;
use serde::{Deserialize, Serialize};

/// What a build made, found again by a digest of all that went into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoBundle {
    /// The image's manifest; it and all that it names must still be in the store for the memo to be found.
    pub manifest: Digest,
    /// The image's config: its id.
    pub config: Digest,
    /// Keys of the records that the build used, in the order of its operations.
    pub records: Vec<Digest>,
    /// Name of the scope, such as a branch, under which caches share it.
    pub scope: String,
    /// Seconds since 1970.
    pub created: i64,
}
