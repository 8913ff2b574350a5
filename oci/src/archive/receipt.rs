//! The receipt of a delta: an archive that leaves out the layers which the other side has. It
//! stands beside `index.json` in a file that other tools ignore (OCI image specification, "Image
//! Layout": unknown files are no errors; docker, podman and containerd behave so):
//!
//! ```text
//! kiln-delta.json   {"version":1,
//!                    "bases":["docker.io/library/base:v1"],
//!                    "layers":[{"digest":"sha256:…","diffId":"sha256:…","size":10240},…]}
//! ```
//!
//! `bases` is what the archive was made against, as its maker named it; `layers` are the blobs that
//! its manifests name and that it lacks, by the digest and size of the blob. Unaware of which
//! layers may be left out.

use serde::{Deserialize, Serialize};

use super::documents::Documents;
use super::{LoadError, RECEIPT_FILE};
use crate::digest::Digest;
use crate::document;

/// What an archive leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The format: 1.
    pub version: u32,
    /// What the archive was made against, for people.
    pub bases: Vec<String>,
    /// The layers that are not in it.
    pub layers: Vec<LeftOut>,
}

/// A layer that is not in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// The digest of the blob, as the manifest names it.
    pub digest: Digest,
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    /// The size of the blob in bytes.
    pub size: u64,
}

impl Receipt {
    /// The archive's receipt, when it has one.
    pub(super) fn find(documents: &mut Documents<'_>) -> Result<Option<Self>, LoadError> {
        if documents.members.find(RECEIPT_FILE)?.is_none() {
            return Ok(None);
        }
        let bytes = documents.read(RECEIPT_FILE, "receipt")?;
        let parsed = document::parse(&bytes, "receipt");
        parsed.map(Some).map_err(|source| LoadError::Document {
            name: RECEIPT_FILE.into(),
            source,
        })
    }

    /// Whether this blob is one of those that are not in the archive.
    pub fn leaves_out(&self, digest: &Digest) -> bool {
        self.layers.iter().any(|layer| layer.digest == *digest)
    }

    /// Compact JSON: the same bytes for equal values.
    pub fn to_bytes(&self) -> Vec<u8> {
        document::write(self)
    }
}
