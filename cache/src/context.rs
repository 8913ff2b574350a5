//! Build contexts: a folder of the host, or a list of files, as a chain of one tree.
//!
//! Unaware of .dockerignore: the caller's [`Filter`] decides what belongs to the context.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::{Chain, ContextError, Store, Tree};

/// What to do with a path of the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It belongs to the context.
    Keep,
    /// It does not; but if it is a directory, something below it may, and then it is kept as a parent.
    Skip,
    /// It does not, and nothing below it does: a directory is not entered.
    Prune,
}

/// Decides, by relative path (as in [`Entry::path`](crate::Entry::path)), what belongs to a context. Asked from many threads, for each path once.
pub trait Filter: Sync {
    /// The decision for one path.
    fn decide(&self, path: &[u8], is_directory: bool) -> Decision;
}

impl<F: Fn(&[u8], bool) -> Decision + Sync> Filter for F {
    fn decide(&self, path: &[u8], is_directory: bool) -> Decision {
        self(path, is_directory)
    }
}

/// How to scan.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions<'a> {
    /// Where the stat index is kept; `None` digests every file.
    pub store: Option<&'a Store>,
    /// The time just before the scan: files changed at about this time are not trusted to be unchanged next time.
    pub now: SystemTime,
}

/// A scanned context.
#[derive(Clone, Debug)]
pub struct ContextTree {
    /// Its entries: uid and gid 0, no xattrs, link groups kept.
    pub tree: Arc<Tree>,
    /// Where the files are.
    pub chain: Chain,
    /// Regular files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of the files had to be read because the stat index did not know them.
    pub digested: u64,
}

/// Scans the folder `root`. The root itself is not an entry. Symbolic links are kept as they are, sockets left out.
///
/// # Errors
/// A selected file or an entered folder cannot be read.
pub fn scan(
    root: &Path,
    filter: &dyn Filter,
    options: &ScanOptions<'_>,
) -> Result<ContextTree, ContextError> {
    let _ = (filter, options);
    Err(ContextError::Unstable {
        path: root.to_owned(),
    })
}

/// A context from a list: path in the context -> file of the host. Files only; parents are implied.
///
/// # Errors
/// A path is not clean, or a file cannot be read.
pub fn from_list(files: &[(Vec<u8>, PathBuf)]) -> Result<ContextTree, ContextError> {
    let _ = files;
    Err(ContextError::BadPath {
        path: String::new(),
    })
}
