//! Records: key -> result of one operation.
//!
//! A record is found by its key only while its layer is in the store. Unaware of how keys are made.

use kiln_oci::Digest;

/// What an operation made, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Digest of the operation and of its inputs' content.
    pub key: Digest,
    /// Digest of the operation alone: what was asked, whatever it was asked about.
    pub definition: Digest,
    /// Names and digests that went into the key, in order.
    pub inputs: Vec<(String, Digest)>,
    /// The layer, or `None` when the operation changed nothing.
    pub diff_id: Option<Digest>,
    /// Digest of the layer's tree without times; of the empty tree when there is no layer.
    pub tree: Digest,
    /// Time of the first execution, seconds since 1970; a cached result keeps it.
    pub created: i64,
    /// Wall time of the execution in milliseconds: what removing the result would cost.
    pub cost_ms: u64,
    /// Line in the Dockerfile, from 1; 0 where there is none.
    pub dockerfile_line: u32,
    /// What a person reads: `RUN make`.
    pub title: String,
}
