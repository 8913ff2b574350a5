//! Build contexts: a folder of the host, or a list of files, as a chain of one tree.
//!
//! Unaware of .dockerignore: the caller's [`Filter`] decides what belongs to the context.

mod digest;
mod list;
mod scan;
mod stat_index;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;
use std::time::SystemTime;

use crate::{Chain, Store, Tree};

pub use list::from_list;
pub use scan::scan;

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

/// Decides, by relative path (as in [`Entry::path`](crate::Entry::path)), what belongs to a context. Asked from many threads,
/// for each path once.
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
