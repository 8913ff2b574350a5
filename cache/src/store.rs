//! The store: opening it, and the methods that other files implement.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use kiln_oci::{Digest, Reference};

use crate::fsck::Finding;
use crate::prune::PruneReport;
use crate::usage::Usage;
use crate::{
    Chain, CommitError, CommitOptions, CommittedUpper, ImageError, ImageSummary, Layer, LayerIndex,
    LayerWriter, MemoBundle, Record, StoreError, StoredImage, Upper, View,
};

/// How to open a store. Everything that the environment knows is given here.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The store's folder; made when it does not exist.
    pub root: PathBuf,
    /// Names the id map that views are made for: a file name such as `0-0-4294967295` or `single-1000`.
    pub id_map_key: String,
    /// Overlays are mounted with `userxattr`, so opaque directories are marked with `user.overlay.opaque`.
    pub rootless: bool,
    /// The user namespace maps one id: owners of unpacked files are left alone.
    pub single_id: bool,
    /// `/proc/sys/kernel/random/boot_id`: what another boot wrote is not trusted before it is digested.
    pub boot_id: String,
    /// Nothing is written; SQLite opens the database `immutable`.
    pub read_only: bool,
    /// The clock.
    pub now: fn() -> SystemTime,
}

/// An open store. Cheap to clone, usable from all threads.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<OpenOptions>,
}

/// Held while one process makes the result of a key; released when dropped.
#[derive(Debug)]
pub struct KeyLock {}

fn unfinished<T>() -> Result<T, StoreError> {
    Err(StoreError::Damaged {
        what: "unfinished".to_owned(),
    })
}

impl Store {
    /// Opens a store, or makes one.
    ///
    /// # Errors
    /// The folder is not a store, of another version or owner, or on a file system without reliable locks.
    pub fn open(options: OpenOptions) -> Result<Self, StoreError> {
        Ok(Self {
            inner: Arc::new(options),
        })
    }

    /// The store's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    // blobs

    /// Where the blob is; it may not exist.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.inner.root.join(digest.hex())
    }

    /// Whether the store holds the blob.
    ///
    /// # Errors
    /// The database fails.
    pub fn has_blob(&self, digest: &Digest) -> Result<bool, StoreError> {
        let _ = digest;
        unfinished()
    }

    /// Opens a blob that is whole: what another boot wrote is digested first, and dropped when it is damaged.
    ///
    /// # Errors
    /// [`StoreError::Missing`].
    pub fn open_blob(&self, digest: &Digest) -> Result<std::fs::File, StoreError> {
        let _ = digest;
        unfinished()
    }

    /// Puts a blob; `expect` is its digest and size where a descriptor gave them.
    ///
    /// # Errors
    /// The bytes are not what was expected, or cannot be written.
    pub fn put_blob(
        &self,
        reader: &mut dyn Read,
        expect: Option<(Digest, u64)>,
    ) -> Result<Digest, StoreError> {
        let _ = (reader, expect);
        unfinished()
    }

    // layers

    /// The index of a layer; kept in memory, rebuilt from the tar when it is damaged.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when the store does not hold the layer.
    pub fn layer_index(&self, diff_id: &Digest) -> Result<Arc<LayerIndex>, StoreError> {
        let _ = diff_id;
        unfinished()
    }

    /// A layer; it is pinned for the life of this process.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when the store does not hold it.
    pub fn layer(&self, diff_id: &Digest) -> Result<Layer, StoreError> {
        let _ = diff_id;
        unfinished()
    }

    /// The layers of an image or stage, bottom first, as one chain. They are pinned.
    ///
    /// # Errors
    /// [`StoreError::Missing`] for a layer that the store does not hold.
    pub fn chain(&self, diff_ids: &[Digest]) -> Result<Chain, StoreError> {
        let _ = diff_ids;
        unfinished()
    }

    /// Starts a layer. `below` tells what parents of its paths look like; an empty chain for `COPY --link`.
    ///
    /// # Errors
    /// The scratch file cannot be made.
    pub fn layer_writer(&self, below: &Chain) -> Result<LayerWriter, StoreError> {
        let _ = below;
        unfinished()
    }

    /// Takes in a layer from outside in one pass: checks size and digest of the blob and the diff ID of what it unpacks to, keeps the
    /// blob verbatim (when it is compressed) and the tar, and writes the index. The encoding is told by the first bytes.
    /// Nothing stays on failure. A layer that the store holds already is not read.
    ///
    /// # Errors
    /// Something does not match, the tar is malformed, or the disk is full.
    pub fn ingest_layer(
        &self,
        blob: &mut dyn Read,
        digest: &Digest,
        size: u64,
        diff_id: &Digest,
    ) -> Result<Layer, StoreError> {
        let _ = (blob, digest, size, diff_id);
        unfinished()
    }

    /// Takes in an uncompressed tar as a layer, verbatim (`ADD` of an archive, `import`).
    ///
    /// # Errors
    /// The tar is malformed, or the disk is full.
    pub fn import_tar(&self, tar: &mut dyn Read) -> Result<Layer, StoreError> {
        let _ = tar;
        unfinished()
    }

    /// Makes a RUN's upper into a layer: one walk, what was below is known from `below`.
    ///
    /// # Errors
    /// The upper cannot be read, holds `.wh.` names, or the disk is full.
    pub fn commit_upper(
        &self,
        upper: &Path,
        below: &Chain,
        options: &CommitOptions,
    ) -> Result<CommittedUpper, CommitError> {
        let _ = (upper, below, options);
        unfinished().map_err(CommitError::Store)
    }

    // views

    /// The layers, bottom first, as directories that can be mounted; made on first use, pinned.
    ///
    /// # Errors
    /// A layer is missing, or the disk is full.
    pub fn view(&self, diff_ids: &[Digest]) -> Result<View, StoreError> {
        let _ = diff_ids;
        unfinished()
    }

    /// An empty upper for a RUN above `below`, in this process's scratch.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new_upper(&self, below: &Chain) -> Result<Upper, StoreError> {
        let _ = below;
        unfinished()
    }

    /// A new empty directory in this process's scratch, removed with it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn scratch_dir(&self, name: &str) -> Result<PathBuf, StoreError> {
        let _ = name;
        unfinished()
    }

    /// Makes an upper the view of the layer that was committed from it, by a rename; mounts that use it go on. When the view
    /// exists already, the upper goes to the trash. Returns where the view is.
    ///
    /// # Errors
    /// The rename fails.
    pub fn adopt_upper(&self, upper: &Upper, diff_id: &Digest) -> Result<PathBuf, StoreError> {
        let _ = (upper, diff_id);
        unfinished()
    }

    /// Throws a directory of this process's scratch away: a rename into the trash.
    ///
    /// # Errors
    /// The rename fails.
    pub fn discard(&self, scratch: &Path) -> Result<(), StoreError> {
        let _ = scratch;
        unfinished()
    }

    // records and memos

    /// The result of a key, pinned; a record whose layer is gone is a miss.
    ///
    /// # Errors
    /// The database fails.
    pub fn lookup(&self, key: &Digest) -> Result<Option<Record>, StoreError> {
        let _ = key;
        unfinished()
    }

    /// Writes a record; one with the same key is replaced.
    ///
    /// # Errors
    /// The database fails.
    pub fn record(&self, record: &Record) -> Result<(), StoreError> {
        let _ = record;
        unfinished()
    }

    /// Whether any record has this definition: if not, no key of it can hit.
    ///
    /// # Errors
    /// The database fails.
    pub fn has_definition(&self, definition: &Digest) -> Result<bool, StoreError> {
        let _ = definition;
        unfinished()
    }

    /// The layer of an earlier result of the same operation with the same tree, still in the store: the new one can be dropped.
    /// The earliest, by time and then by key.
    ///
    /// # Errors
    /// The database fails.
    pub fn result_with_tree(
        &self,
        definition: &Digest,
        tree: &Digest,
    ) -> Result<Option<Digest>, StoreError> {
        let _ = (definition, tree);
        unfinished()
    }

    /// All records of an operation, the latest first: why did it miss?
    ///
    /// # Errors
    /// The database fails.
    pub fn records_of_definition(&self, definition: &Digest) -> Result<Vec<Record>, StoreError> {
        let _ = definition;
        unfinished()
    }

    /// A memo whose image is still whole, pinned.
    ///
    /// # Errors
    /// The database fails.
    pub fn memo_get(&self, key: &Digest) -> Result<Option<MemoBundle>, StoreError> {
        let _ = key;
        unfinished()
    }

    /// Writes a memo.
    ///
    /// # Errors
    /// The database fails.
    pub fn memo_put(&self, key: &Digest, bundle: &MemoBundle) -> Result<(), StoreError> {
        let _ = (key, bundle);
        unfinished()
    }

    // images

    /// Puts an image whose layers are in the store; returns manifest and config digest. Not durable before it is tagged.
    ///
    /// # Errors
    /// Manifest or config cannot be understood, or a layer is missing.
    pub fn put_image(
        &self,
        manifest: &[u8],
        config: &[u8],
    ) -> Result<(Digest, Digest), ImageError> {
        let _ = (manifest, config);
        Err(unfinished::<()>().err().map_or(
            ImageError::BadName {
                name: String::new(),
            },
            ImageError::Store,
        ))
    }

    /// Points a name to an image. Durable on return, with everything that the image needs.
    ///
    /// # Errors
    /// There is no such image, or the disk fails.
    pub fn tag(&self, reference: &Reference, manifest: &Digest) -> Result<(), ImageError> {
        let _ = (reference, manifest);
        Err(ImageError::NotFound {
            name: String::new(),
        })
    }

    /// Removes a name; `false` when there was none. Durable on return.
    ///
    /// # Errors
    /// The database fails.
    pub fn untag(&self, reference: &Reference) -> Result<bool, StoreError> {
        let _ = reference;
        unfinished()
    }

    /// All images, the newest first.
    ///
    /// # Errors
    /// The database fails.
    pub fn images(&self) -> Result<Vec<ImageSummary>, StoreError> {
        unfinished()
    }

    /// The image that a person names: a reference, or the start of a config or manifest digest, with or without `sha256:`.
    ///
    /// # Errors
    /// None or several.
    pub fn find_image(&self, name: &str) -> Result<StoredImage, ImageError> {
        Err(ImageError::NotFound {
            name: name.to_owned(),
        })
    }

    /// The image with this manifest digest.
    ///
    /// # Errors
    /// There is none.
    pub fn image(&self, manifest: &Digest) -> Result<StoredImage, ImageError> {
        Err(ImageError::NotFound {
            name: manifest.to_string(),
        })
    }

    /// Removes an image and its names; its layers stay until a prune.
    ///
    /// # Errors
    /// The database fails.
    pub fn remove_image(&self, manifest: &Digest) -> Result<(), ImageError> {
        let _ = manifest;
        Err(ImageError::NotFound {
            name: String::new(),
        })
    }

    // locks, pins, upkeep

    /// Waits until this thread may make the result of `key`.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn lock_key(&self, key: &Digest) -> Result<KeyLock, StoreError> {
        let _ = key;
        unfinished()
    }

    /// As [`Self::lock_key`], but `None` when somebody else makes it now.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn try_lock_key(&self, key: &Digest) -> Result<Option<KeyLock>, StoreError> {
        let _ = key;
        unfinished()
    }

    /// Protects blobs, layers and views from removal for the life of this process.
    ///
    /// # Errors
    /// The database fails.
    pub fn pin(&self, digests: &[Digest]) -> Result<(), StoreError> {
        let _ = digests;
        unfinished()
    }

    /// Writes what was used when, and empties the trash: for idle time.
    ///
    /// # Errors
    /// The database fails.
    pub fn settle(&self) -> Result<(), StoreError> {
        unfinished()
    }

    /// Removes what is worth least until the store holds at most `budget` bytes; without a budget, all that no tag, record of a
    /// living process or lease needs.
    ///
    /// # Errors
    /// The database or a rename fails.
    pub fn prune(&self, budget: Option<u64>) -> Result<PruneReport, StoreError> {
        let _ = budget;
        unfinished()
    }

    /// What the store holds.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn df(&self) -> Result<Usage, StoreError> {
        unfinished()
    }

    /// Checks everything; with `repair`, drops what is damaged and rebuilds what can be.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn fsck(&self, repair: bool) -> Result<Vec<Finding>, StoreError> {
        let _ = repair;
        unfinished()
    }
}
