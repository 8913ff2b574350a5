//! Everything that kiln keeps on disk: blobs, layers and their indexes, results of operations, images, views, the
//! stat index of contexts, and the removal of all that.
//!
//! Unaware of Dockerfiles, of processes and of mounts: a [`View`] is data, and mounting it is not this crate's work.
//!
//! # Words
//!
//! - [`Layer`]: an uncompressed tar, written once, and its [`LayerIndex`].
//! - [`Tree`]: sorted [`Entry`]s, the truth about names, owners and modes; a layer's index holds one, a build context is one.
//! - [`Chain`]: trees on top of each other, looked at as if they were merged.
//! - [`View`]: what the kernel can stack to one root file system, as [`Lower`]s.
//! - [`Upper`]: the writable directory of a RUN.
//!
//! # The store
//!
//! A [`Store`] is opened, and gives what it keeps in facets, one small borrowed type for each kind of thing: [`Blobs`], [`Layers`],
//! [`Images`], [`Records`] and the others (`store/facets.rs` lists them).
//!
//! ```
//! use kiln_cache::{Chain, Meta, OpenOptions, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let store = Store::open(OpenOptions {
//!     root: folder.path().join("store"),
//!     id_map_key: "0-0-4294967295".to_owned(),
//!     rootless: false,
//!     single_id: false,
//!     boot_id: "the id of this boot".to_owned(),
//!     read_only: false,
//!     now: std::time::SystemTime::now,
//!     waiter: std::sync::Arc::new(kiln_cache::Silent),
//! })?;
//! let mut writer = store.layers().writer(&Chain::new(Vec::new()))?;
//! writer.file(b"etc/motd", &Meta::root(0o644, 0), 3, &mut &b"hi\n"[..])?;
//! let layer = writer.finish()?.ok_or("nothing was written")?;
//! assert!(store.blobs().has(&layer.diff_id())?);
//! let chain = store.layers().chain(&[layer.diff_id()])?;
//! assert!(chain.lookup(b"etc/motd").is_some());
//! # Ok(())
//! # }
//! ```
//!
//! # On the disk
//!
//! ```text
//! <root>/
//!   version                        "kiln store 1\n": another version is refused
//!   kiln.db  kiln.db-wal  -shm     SQLite: records, memos, builds, history, inputs, images, tags, last use, what another boot wrote (store/database/schema.rs)
//!   blobs/sha256/<2>/<hex>         layer tars, verbatim compressed layers, manifests, configs; 0444, named by digest
//!   layers/<hex of diff ID>.idx    indexes of layers (layer/codec.rs); rebuilt from the tar when they are damaged
//!   views/<id map>/<hex>/          a layer unpacked as an overlay lower, for one id map (view/directory.rs)
//!   parts/<hex>                    a blob that is being downloaded, or was until the connection broke ([`lazy`])
//!   contexts/<hash of path>.idx    stat index of a context folder (context/stat_index.rs)
//!   mounts/<id map>/<hex>-<n>/     what RUN --mount=type=cache keeps (cache_mount.rs); .from: the shared cache that it came from
//!   logs/<build>-<step>.zst        what a step printed (log.rs)
//!   containers/<id>/               what is kept of `kiln run`: what it has changed, and what it is (container.rs)
//!   locks/<hex>                    flock: one build at a time makes the result of a key (store/lock.rs)
//!   leases/<id>.lock               flock held by a living process (store/lease.rs)
//!   leases/<id>/                   its scratch: layers being written, views being unpacked, uppers (store/scratch.rs)
//!   trash/<n>/                     renamed away, emptied when there is time (store/trash.rs)
//! ```
//!
//! What appears under its final name is whole: it is written in a lease's scratch and renamed. No file and no step is synced; what
//! another boot wrote is digested once more before its first use. A tag is durable before [`Images::tag`] returns. Metadata whose
//! blob is gone is a miss, never an error. Layers of images from registries are fetched when they are needed ([`lazy`]).
//!
//! # Limitations
//!
//! Locks are flocks: the store must be on a local file system, and NFS is refused. One store belongs to one uid.
#![forbid(unsafe_code)]

pub mod beneath;
mod budget;
mod build_record;
mod cache_mount;
mod chain;
mod container;
mod content;
pub mod context;
mod entry;
mod error;
pub mod exchange;
mod fetched;
mod first_names;
pub mod fsck;
mod history;
mod image;
mod inputs;
mod inventory;
mod isolation;
mod key;
mod layer;
pub mod lazy;
mod listing;
mod log;
mod memo;
mod meter;
pub mod path;
mod project;
mod prune;
mod reason;
pub mod rebuild;
mod record;
mod sparse;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod threads;
mod tree;
pub mod usage;
mod view;
mod write_out;

pub use budget::{Budget, Disk, Space};
pub use build_record::{BuildRecord, BuiltStep};
pub use cache_mount::import::{ImportedMount, MountFolder, MountImport};
pub use cache_mount::listing::{MountError, MountListing};
pub use cache_mount::packing::{NewPack, Packing, Packs};
pub use cache_mount::{CacheMount, CacheMountUsage, CacheSharing, CacheStart};
pub use chain::read::FileReader;
pub use chain::small::{SmallFile, Window};
pub use chain::{Chain, Found, Origin, Resolved};
pub use container::{ContainerTurn, HeldContainer};
pub use content::{ContentDigest, ContentHasher};
pub use context::{ContextTree, Decision, Filter, ScanOptions};
pub use entry::{Entry, EntryKind, Meta, Xattrs};
pub use error::{
    CommitError, ContextError, ImageError, LayerError, ReadError, ResolveError, StoreError,
};
pub use exchange::{CacheOrigin, Caches};
pub use exchange::{ExportedBuild, ExportedCache, ExportedLayer, ExportedMemo};
pub use fetched::Fetched;
pub use first_names::FirstNames;
pub use history::{Ending, PastBuild, PastStep, StepEnding, UsedByStep};
pub use image::find::{ID_DIGITS, MeantById, is_whole_id};
pub use image::sizes::LayerSize;
pub use image::{ImageSummary, StoredImage};
pub use inputs::{FileTable, ReadInput, ReadOrigin, StepInputs};
pub use isolation::Isolation;
pub use key::{KEY_VERSION, KeyBuilder};
pub use layer::{
    CommitOptions, CommittedUpper, CompressedBlob, Excess, ForeignLayer, IndexedBlob, Keeper, Kept,
    Layer, LayerIndex, LayerWriter, OutsideLink, Times, Watch, index_archive, index_blob,
    index_tar,
};
pub use lazy::{Fetcher, RemoteBlob};
pub use log::{KeptLog, LogOf};
pub use memo::MemoBundle;
pub use meter::{Meter, Metered, Progress, Work};
pub use project::Project;
pub use prune::{CacheKind, PruneOptions, PruneReport};
pub use reason::{Change, FileChange, Reason};
pub use record::Record;
pub use store::damage::{BlobReader, DamagedBlob, LayerTar, damage_in};
pub(crate) use store::facets::Trash;
pub use store::facets::{
    Blobs, Builds, CacheMounts, Containers, Exchange, Fetch, Forms, Garbage, History, Images,
    Indexes, Inputs, Layers, Leases, Logs, Origins, Records, Scratch, Views,
};
pub use store::waiting::{Silent, Waiter};
pub use store::{KeyLock, OpenOptions, Store};
pub use threads::{ahead, beside, on_threads, parallel, try_parallel};
pub use tree::{Tree, tree_digest};
pub use view::copy::CopiedTree;
pub use view::{Lower, Upper, View};
pub use write_out::WriteOut;
