//! Layers: one tar, written once, and the index that says what is in it.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use kiln_oci::Digest;

use crate::{Chain, ContentDigest, EntryKind, Found, LayerError, Meta, StoreError, Tree};

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
    pub tar: PathBuf,
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
}

/// Reads an uncompressed layer tar to its end: digest, entries, content digests.
///
/// # Errors
/// The tar is malformed or holds what layers cannot.
pub fn index_tar(reader: impl Read) -> Result<LayerIndex, LayerError> {
    let _ = reader;
    Err(LayerError::Index("unfinished"))
}

/// Writes a canonical layer: sorted by path, numeric ids, PAX records only where needed.
///
/// Paths must come in the order of their bytes. Parents that are not given are written with what they have in the chain below,
/// or as 0755 root's where that has none, so that the layer means the same to every tool. A whiteout stands at the path that
/// it hides. A writer that is dropped leaves nothing.
#[derive(Debug)]
pub struct LayerWriter {}

impl LayerWriter {
    /// A directory.
    ///
    /// # Errors
    /// As for every method here: the path is out of order, or the scratch file cannot be written.
    pub fn directory(&mut self, path: &[u8], meta: &Meta) -> Result<(), LayerError> {
        let _ = (path, meta);
        Err(LayerError::Index("unfinished"))
    }

    /// Makes the directory that was just given hide what lower layers have in it.
    ///
    /// # Errors
    /// `path` is not the last entry or is no directory.
    pub fn opaque(&mut self, path: &[u8]) -> Result<(), LayerError> {
        self.directory(path, &Meta::root(0, 0))
    }

    /// A regular file; `content` must give exactly `size` bytes.
    ///
    /// # Errors
    /// [`LayerError::FileSize`] when it does not; [`LayerError::Source`] when it cannot be read.
    pub fn file(
        &mut self,
        path: &[u8],
        meta: &Meta,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<ContentDigest, LayerError> {
        let _ = (path, meta, size, content);
        Err(LayerError::Index("unfinished"))
    }

    /// A symbolic link.
    ///
    /// # Errors
    /// As for [`Self::directory`].
    pub fn symlink(&mut self, path: &[u8], meta: &Meta, target: &[u8]) -> Result<(), LayerError> {
        let _ = target;
        self.directory(path, meta)
    }

    /// Another name for the entry `target`, which must be in this layer already and be no directory.
    ///
    /// # Errors
    /// [`LayerError::LinkTarget`] when it is not.
    pub fn hardlink(&mut self, path: &[u8], target: &[u8]) -> Result<(), LayerError> {
        let _ = target;
        self.directory(path, &Meta::root(0, 0))
    }

    /// A device or a FIFO.
    ///
    /// # Errors
    /// `kind` is something else.
    pub fn special(
        &mut self,
        path: &[u8],
        meta: &Meta,
        kind: &EntryKind,
    ) -> Result<(), LayerError> {
        let _ = kind;
        self.directory(path, meta)
    }

    /// Hides `path` of lower layers.
    ///
    /// # Errors
    /// As for [`Self::directory`].
    pub fn whiteout(&mut self, path: &[u8]) -> Result<(), LayerError> {
        self.directory(path, &Meta::root(0, 0))
    }

    /// Whatever `found` is, at `path` with `meta`. The content of a file is checked against its entry while it is copied.
    /// Directories come without their content, hard links as files of their own (use [`Self::hardlink`] for the later names).
    ///
    /// # Errors
    /// [`LayerError::FileChanged`] when the content is no longer what was scanned.
    pub fn copy(
        &mut self,
        path: &[u8],
        meta: &Meta,
        from: &Chain,
        found: &Found<'_>,
    ) -> Result<(), LayerError> {
        let _ = (from, found);
        self.directory(path, meta)
    }

    /// Puts the layer into the store and pins it for this process. `None` when nothing was written.
    ///
    /// # Errors
    /// The store cannot keep it.
    pub fn finish(self) -> Result<Option<Layer>, StoreError> {
        Err(LayerError::Index("unfinished").into())
    }
}

/// How an upper becomes a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitOptions {
    /// No time in the layer is later than this (`SOURCE_DATE_EPOCH`).
    pub clamp_mtime: Option<i64>,
    /// The user namespace has a single id, so the owners on disk mean nothing: a path that exists below keeps the owner that
    /// it has there, a new one is 0:0.
    pub single_id: bool,
}

/// What became of an upper.
#[derive(Clone, Debug)]
pub struct CommittedUpper {
    /// The layer; `None` when the step changed nothing.
    pub layer: Option<Layer>,
    /// Whether the upper shows exactly what the layer says, so that [`Store::adopt_upper`](crate::Store::adopt_upper) may make it the
    /// layer's view. It does not when times were clamped or something was left out of the layer.
    pub adoptable: bool,
}
