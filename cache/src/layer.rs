//! Layers: one tar, written once, and the index that says what is in it.
//!
//! Unaware of images and of how a layer came to be.

mod blob;
pub(crate) mod codec;
pub(crate) mod commit;
pub(crate) mod copied;
mod decoded;
mod forms;
mod gone;
pub(crate) mod ingest;
pub(crate) mod read;
mod stubs;
#[cfg(test)]
mod tests;
pub(crate) mod upper;
pub(crate) mod write;

use std::sync::Arc;

use kiln_oci::Digest;

use crate::store::sink::Finished;
use crate::{LayerTar, Origin, Tree};

pub use blob::{IndexedBlob, index_blob};
pub use commit::{CommitOptions, CommittedUpper, Excess, Times};
pub use ingest::ForeignLayer;
pub use read::{Keeper, Kept, OutsideLink, Watch, index_archive, index_tar};
pub use write::LayerWriter;

/// What a layer's tar holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerIndex {
    /// sha256 of the uncompressed tar.
    pub diff_id: Digest,
    /// Length of the tar in bytes.
    pub tar_size: u64,
    /// The entries.
    pub tree: Arc<Tree>,
}

/// A layer in the store.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Names, owners, modes, content digests.
    pub index: Arc<LayerIndex>,
    /// The uncompressed tar.
    pub tar: Arc<LayerTar>,
    /// The compressed form that it came in, kept because manifests stay verbatim.
    pub compressed: Option<CompressedBlob>,
}

/// A layer's blob as a registry or archive holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressedBlob {
    /// Digest of the compressed bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

impl LayerIndex {
    /// The index of a tar that was written here.
    pub(crate) fn of(tar: &Finished, tree: Tree) -> Self {
        Self {
            diff_id: tar.digest,
            tar_size: tar.size,
            tree: tree.into(),
        }
    }
}

impl Layer {
    /// sha256 of the uncompressed tar.
    #[must_use]
    pub fn diff_id(&self) -> Digest {
        self.index.diff_id
    }

    /// Digest of the tree, without times.
    #[must_use]
    pub fn tree(&self) -> Digest {
        self.index.tree.digest()
    }

    /// Tree and content, to be put on a chain.
    #[must_use]
    pub fn origin(&self) -> (Arc<Tree>, Origin) {
        (self.index.tree.clone(), Origin::Tar(self.tar.clone()))
    }
}
