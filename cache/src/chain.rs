//! Chains: trees on top of each other, looked at as if they were merged, without merging them.
//!
//! A build context, a stage and an image are the same thing here. Unaware of the store and of mounts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{Entry, ReadError, ResolveError, Tree};

/// Where the content of a tree's files lies.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A layer's tar, at the offsets of the entries.
    Tar(Arc<PathBuf>),
    /// Files below a folder of the host, at the entries' paths.
    Directory(Arc<PathBuf>),
    /// Each file somewhere else on the host: path in the tree -> path on the host.
    Files(Arc<BTreeMap<Box<[u8]>, PathBuf>>),
    /// Nowhere: names and metadata only.
    Nowhere,
}

/// Trees, the last on top. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Chain {
    layers: Vec<(Arc<Tree>, Origin)>,
    root: Entry,
}

/// An entry that shows at its path in a chain.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The entry; never a whiteout.
    pub entry: &'a Entry,
    /// Which tree it is from, 0 is the lowest; `None` for a root that no tree describes.
    pub layer: Option<usize>,
}

/// Where a path leads once symbolic links are followed.
#[derive(Clone, Debug)]
pub struct Resolved<'a> {
    /// The path without links in it: the place where a missing thing would be made.
    pub path: Vec<u8>,
    /// What is there.
    pub found: Option<Found<'a>>,
}

impl Chain {
    /// A chain of `layers`, bottom first.
    #[must_use]
    pub fn new(layers: Vec<(Arc<Tree>, Origin)>) -> Self {
        Self {
            layers,
            root: Entry::implied_directory(b""),
        }
    }
}

/// Content of a regular file.
#[derive(Debug)]
pub struct FileReader {}

impl std::io::Read for FileReader {
    fn read(&mut self, _buffer: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

impl Chain {
    /// The same chain with one more tree on top.
    #[must_use]
    pub fn with(&self, tree: Arc<Tree>, origin: Origin) -> Self {
        let mut layers = self.layers.clone();
        layers.push((tree, origin));
        Self {
            layers,
            root: self.root.clone(),
        }
    }

    /// The trees and where their content lies, bottom first.
    #[must_use]
    pub fn layers(&self) -> &[(Arc<Tree>, Origin)] {
        &self.layers
    }

    /// What shows at `path` (clean, as in [`Entry::path`]); symbolic links are not followed. The root always exists.
    #[must_use]
    pub fn lookup(&self, path: &[u8]) -> Option<Found<'_>> {
        let _ = path;
        None
    }

    /// Follows symbolic links as a process would whose root is this chain: absolute links and `..` stay inside. `path` may be
    /// absolute and dirty. Components that do not exist are kept by name.
    ///
    /// # Errors
    /// More than 40 links, as in the kernel.
    pub fn resolve(&self, path: &[u8], follow_last: bool) -> Result<Resolved<'_>, ResolveError> {
        let _ = (path, follow_last);
        Err(ResolveError::Loop {
            path: String::new(),
        })
    }

    /// What the directory at `path` holds, merged and sorted by name. Empty when it is no directory.
    #[must_use]
    pub fn children(&self, path: &[u8]) -> Vec<(&[u8], Found<'_>)> {
        let _ = path;
        Vec::new()
    }

    /// `path` itself, if it exists, and everything below it, sorted by the bytes of the paths.
    #[must_use]
    pub fn walk(&self, path: &[u8]) -> Vec<Found<'_>> {
        let _ = path;
        Vec::new()
    }

    /// Opens the content of a regular file. Files of the host are opened without following links and without waiting for a
    /// FIFO; a file that is shorter or longer than its entry says gives what it has.
    ///
    /// # Errors
    /// It is no regular file, or cannot be opened.
    pub fn read(&self, found: &Found<'_>) -> Result<FileReader, ReadError> {
        let _ = found;
        Err(ReadError::NoContent {
            path: String::new(),
        })
    }
}
