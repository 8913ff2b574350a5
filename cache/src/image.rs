//! Images: manifests and configs that are kept verbatim, and the names that point to them.

use kiln_oci::{Digest, Reference};

/// An image as it is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredImage {
    /// Digest of the manifest.
    pub manifest_digest: Digest,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// Digest of the config: the image's id.
    pub config_digest: Digest,
    /// The config's bytes.
    pub config: Vec<u8>,
    /// Diff IDs, bottom first.
    pub diff_ids: Vec<Digest>,
    /// Names, sorted.
    pub references: Vec<Reference>,
}

/// What a list of images shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSummary {
    /// Digest of the manifest.
    pub manifest: Digest,
    /// Digest of the config: the image's id.
    pub id: Digest,
    /// Names, sorted; empty for a dangling image.
    pub references: Vec<Reference>,
    /// When it was put into this store, seconds since 1970.
    pub stored: i64,
    /// Bytes of its uncompressed layers, shared ones counted.
    pub size: u64,
    /// Diff IDs, bottom first.
    pub diff_ids: Vec<Digest>,
}
