//! What can go wrong, one enum per family of operations. Every variant names the path or digest that it is about.

use std::io;
use std::path::{Path, PathBuf};

use kiln_oci::Digest;
use rustix::io::Errno;

use crate::DamagedBlob;
use crate::path::display;

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An operating system call failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb: `rename`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The disk or the quota is full. Nothing half-written is left under a final name.
    #[error("no space left for {}", path.display())]
    NoSpace {
        /// What was being written.
        path: PathBuf,
    },
    /// A thread cannot be started.
    #[error("a thread cannot be started")]
    Thread(#[source] io::Error),
    /// SQLite refused.
    #[error("the store's database failed: {}", path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// The database is damaged, empty or gone. What it described may still be there.
    #[error("the store's database {} cannot be read: {problem}. {blobs} blobs of images and layers are still there", path.display())]
    DatabaseLost {
        /// The database file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// Files that it described.
        blobs: usize,
    },
    /// Other processes use the store, and what was asked for needs it alone.
    #[error("the store {} is in use by other processes", path.display())]
    InUse {
        /// The store.
        path: PathBuf,
    },
    /// The folder holds something else than a store.
    #[error("{} is not empty and is no kiln store", path.display())]
    NotAStore {
        /// The folder.
        path: PathBuf,
    },
    /// Another version of kiln made the store.
    #[error("the store {} has format {found:?}, this kiln knows {known:?}", path.display())]
    Version {
        /// The store.
        path: PathBuf,
        /// What its version file says.
        found: String,
        /// What this program writes.
        known: &'static str,
    },
    /// A newer kiln has used the store, and has changed its database.
    #[error("the store {} was used by a newer kiln: its database has schema {found}, this kiln knows {known}", path.display())]
    Newer {
        /// The store.
        path: PathBuf,
        /// The steps that its schema has taken.
        found: usize,
        /// The steps that this program knows.
        known: usize,
    },
    /// The store belongs to another user.
    #[error("the store {} belongs to uid {owner}, but uid {uid} asks for it", path.display())]
    Owner {
        /// The store.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who asks.
        uid: u32,
    },
    /// The store is on a network file system, where flock and SQLite's locks cannot be trusted.
    #[error("the store {} is on {filesystem}, where locks cannot be trusted: put it on a local disk", path.display())]
    NetworkFilesystem {
        /// The store.
        path: PathBuf,
        /// Its name, such as NFS.
        filesystem: &'static str,
    },
    /// A folder or file of the store leads elsewhere.
    #[error("{} is a symbolic link, and kiln writes and deletes through none in a store", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// It was opened only for reading, or is on a file system that is mounted so.
    #[error("the store {} can only be read: {}", path.display(), why_read_only(path))]
    ReadOnly {
        /// The store.
        path: PathBuf,
    },
    /// A blob or layer is not there, or was found damaged and dropped.
    #[error("{digest} is not in the store")]
    Missing {
        /// Its digest.
        digest: Digest,
    },
    /// A blob that is somewhere else could not be fetched.
    #[error("{digest} cannot be fetched: {source}")]
    Fetch {
        /// The blob.
        digest: Digest,
        /// Why.
        source: crate::lazy::FetchFailure,
    },
    /// A layer that came holds other files than the record of a shared cache says.
    #[error("{digest} holds other files than a shared cache said")]
    Disproved {
        /// The layer.
        digest: Digest,
    },
    /// Another process has had the database to itself for longer than any transaction takes.
    #[error("another process keeps {} locked", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// The work was cancelled while another process did it.
    #[error("stopped")]
    Cancelled,
    /// Bytes are not what their name says.
    #[error("content has the digest {found}, not {expected}")]
    DigestMismatch {
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// A blob is longer or shorter than its descriptor says.
    #[error("{digest} has {found} bytes, not {expected}")]
    SizeMismatch {
        /// The blob.
        digest: Digest,
        /// What the descriptor says.
        expected: u64,
        /// What came (at least).
        found: u64,
    },
    /// A row or file of the store cannot be decoded.
    #[error("the store holds damaged data about {what}")]
    Damaged {
        /// What it describes.
        what: String,
    },
    /// A blob was found damaged while it was read.
    #[error(transparent)]
    Blob(#[from] DamagedBlob),
    /// A layer is malformed.
    #[error(transparent)]
    Layer(#[from] LayerError),
}

impl StoreError {
    /// Wraps an error of the operating system; a full disk and a damaged blob get variants of their own.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let inner = source.get_ref().and_then(|inner| inner.downcast_ref());
        if let Some(damaged) = inner {
            return Self::Blob(DamagedBlob::clone(damaged));
        }
        if is_full(&source) {
            return Self::NoSpace {
                path: path.to_owned(),
            };
        }
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether the store itself fails, so that nothing can be said of what it holds; else the error is about one thing in it.
    #[must_use]
    pub fn is_of_store(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::Fetch { .. }
            | Self::Disproved { .. }
            | Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::Damaged { .. } => false,
            Self::Layer(error) => matches!(error, LayerError::Write { .. }),
            _ => true,
        }
    }
}

/// Whether the error says that disk or quota are full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// What keeps this process from writing to a store.
fn why_read_only(path: &Path) -> &'static str {
    use rustix::fs::{StatVfsMountFlags, statvfs};
    let disk = statvfs(path);
    match disk.is_ok_and(|disk| disk.f_flag.contains(StatVfsMountFlags::RDONLY)) {
        true => "its file system is mounted so",
        false => "there is no right, or no space, to write to it",
    }
}

/// A layer's tar or index is malformed, or asks for what a layer cannot hold.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The archive could not be read or is malformed.
    #[error("the layer's tar cannot be read")]
    Tar(#[source] kiln_oci::tarfile::TarError),
    /// The layer could not be written.
    #[error("the layer's tar cannot be written to {}", path.display())]
    Write {
        /// The scratch file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A path or a component is too long to be unpacked, or holds a NUL byte.
    #[error("the layer holds a name that no Linux file system can: {path} …")]
    BadName {
        /// The start of the name, escaped.
        path: String,
    },
    /// A name, or the target of a hard link, with more `..` than folders before them.
    #[error("the layer holds a name that leads out of it: {path}")]
    Outside {
        /// The start of the name, escaped.
        path: String,
    },
    /// More entries or bytes of names than any sane layer has.
    #[error("the layer holds more than {limit} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
    },
    /// A hard link to something that the layer does not hold. Links into lower layers are refused.
    #[error("the hard link {path} points to {target}, which its layer does not hold")]
    LinkTarget {
        /// The link.
        path: String,
        /// Where it points.
        target: String,
    },
    /// A type of entry that layers cannot hold.
    #[error("the layer's entry {path} has the type {kind}, which layers cannot hold")]
    Unsupported {
        /// The entry.
        path: String,
        /// Its type.
        kind: String,
    },
    /// The index file is damaged or of another version; it is rebuilt from the tar.
    #[error("the layer's index is damaged: {0}")]
    Index(&'static str),
    /// [`LayerWriter`](crate::LayerWriter) was given paths out of order, twice, or below something that is no directory.
    #[error("{path} cannot be added to the layer {problem}")]
    Order {
        /// The path.
        path: String,
        /// Why.
        problem: &'static str,
    },
    /// A file gave more or fewer bytes than it was said to hold.
    #[error("{path} changed while it was read: {expected} bytes were expected, {found} came")]
    FileSize {
        /// The file.
        path: String,
        /// What its metadata said.
        expected: u64,
        /// What was read (at least).
        found: u64,
    },
    /// A file's content is not what was scanned.
    #[error("{path} changed while it was read")]
    FileChanged {
        /// The file.
        path: String,
    },
    /// A source file could not be read.
    #[error("{path} cannot be read")]
    Source {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl LayerError {
    pub(crate) fn bad_name(path: &[u8]) -> Self {
        Self::BadName {
            path: display(&path[..path.len().min(128)]),
        }
    }
}

/// A RUN's writable layer could not be made into a layer.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A name that images use to say "deleted" and therefore cannot hold.
    #[error(
        "the step made {path}: names that start with `.wh.` mean deletions in an image and cannot be kept; rename or remove the file in the same step"
    )]
    WhiteoutName {
        /// The file.
        path: String,
    },
    /// A path that archives cannot hold.
    #[error(
        "the step made a path of more than {} bytes: {path} …",
        crate::path::MAX_PATH
    )]
    PathTooLong {
        /// Its start.
        path: String,
    },
    /// Something in the upper could not be read.
    #[error("cannot {action} {path} of the step's files")]
    Read {
        /// What was tried.
        action: &'static str,
        /// On what, relative to the upper.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The layer could not be written.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The store could not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A context folder could not be scanned.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A file or folder that a COPY may need could not be read.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("a thread cannot be started")]
    Thread(#[source] io::Error),
    /// A file did not hold still.
    #[error("{} keeps changing while it is read", path.display())]
    Unstable {
        /// The file.
        path: PathBuf,
    },
    /// A path is longer than archives and the kernel can hold.
    #[error("the path {path} … is longer than {} bytes", crate::path::MAX_PATH)]
    PathTooLong {
        /// Its start.
        path: String,
    },
    /// A listed path is no good.
    #[error("{path} cannot be a path in a context")]
    BadPath {
        /// The path.
        path: String,
    },
}

/// Symbolic links could not be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// More links than the kernel would follow.
    #[error("too many symbolic links on the way to {path}")]
    Loop {
        /// The path that was asked for.
        path: String,
    },
}

/// A file of a chain could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Only regular files have content.
    #[error("{path} is not a regular file")]
    NotAFile {
        /// The entry.
        path: String,
    },
    /// The file is gone, or cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file on the host or the layer's tar.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The tree has no content at hand.
    #[error("the content of {path} is not available here")]
    NoContent {
        /// The entry.
        path: String,
    },
}

impl ReadError {
    /// Whether a file of a scanned folder is gone, or is no longer a file.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match self {
            Self::NotAFile { .. } => true,
            Self::Open { source, .. } => matches!(
                Errno::from_io_error(source),
                Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO)
            ),
            Self::NoContent { .. } => false,
        }
    }
}

/// An image was not found, or its name fits several.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No image has that name or id.
    #[error("there is no image {name}")]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// The start of an id fits several images.
    #[error("{name} is the start of several image ids: {}", candidates.iter().map(Digest::short).collect::<Vec<_>>().join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The ids that fit, sorted.
        candidates: Vec<Digest>,
    },
    /// It is neither an image name nor an id.
    #[error("{name} is neither an image name nor an id")]
    BadName {
        /// What was asked for.
        name: String,
    },
    /// There is such an image, but not for the platform.
    #[error("{name} is not here for {wanted}, only for {}", if available.is_empty() { "no platform" } else { available })]
    NoPlatform {
        /// What was asked for.
        name: String,
        /// The platform.
        wanted: String,
        /// Platforms of which the store has an image, separated by commas.
        available: String,
    },
    /// A manifest or config cannot be understood.
    #[error("the {what} {digest} cannot be understood: {problem}")]
    Malformed {
        /// `manifest` or `config`.
        what: &'static str,
        /// Its digest.
        digest: Digest,
        /// Why.
        problem: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
