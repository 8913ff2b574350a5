//! Chains: trees on top of each other, looked at as if they were merged, without merging them.
//!
//! A build context, a stage and an image are the same thing here. Unaware of the store and of mounts.

pub(crate) mod level;
pub(crate) mod read;
mod resolve;
pub(crate) mod small;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::chain::level::Level;
use crate::path::components;
use crate::{Entry, LayerTar, Tree};

/// Where the content of a tree's files lies.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A layer's tar, at the offsets of the entries.
    Tar(Arc<LayerTar>),
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
    /// One for each layer: its tar or folder, once it was opened.
    handles: Vec<Arc<OnceLock<Arc<File>>>>,
    /// What the root is when no tree describes it.
    root: Arc<Entry>,
}

/// An entry that shows at its path in a chain.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The entry; never a whiteout.
    pub entry: &'a Entry,
    /// Which tree it is from, 0 is the lowest; `None` for a root that no tree describes.
    pub layer: Option<usize>,
}

impl Found<'_> {
    /// The inode that it shares with other names, if it does: entries of a chain are hard links of each other when their groups
    /// are equal.
    #[must_use]
    pub fn link_group(&self) -> Option<(usize, u32)> {
        self.layer
            .filter(|_| self.entry.links != 0)
            .map(|layer| (layer, self.entry.links))
    }
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
        let handles = layers.iter().map(|_| Arc::default()).collect();
        Self {
            layers,
            handles,
            root: Arc::new(Entry::implied_directory(b"")),
        }
    }

    /// The same chain with one more tree on top.
    #[must_use]
    pub fn with(&self, tree: Arc<Tree>, origin: Origin) -> Self {
        let mut chain = self.clone();
        chain.layers.push((tree, origin));
        chain.handles.push(Arc::default());
        chain
    }

    /// The trees and where their content lies, bottom first.
    #[must_use]
    pub fn layers(&self) -> &[(Arc<Tree>, Origin)] {
        &self.layers
    }

    /// What shows at `path` (clean, as in [`Entry::path`]); symbolic links are not followed. The root always exists.
    #[must_use]
    pub fn lookup(&self, path: &[u8]) -> Option<Found<'_>> {
        let mut parts = components(path);
        let Some(name) = parts.next_back() else {
            return Some(self.root());
        };
        let mut level = Level::root(self);
        for part in parts {
            level = level.descend(part);
            if level.is_empty() {
                return None;
            }
        }
        level.child(name)
    }

    /// The root directory, which always exists.
    #[must_use]
    pub fn root(&self) -> Found<'_> {
        let described = self
            .layers
            .iter()
            .enumerate()
            .rev()
            .find_map(|(layer, (tree, _))| {
                let entry = tree
                    .entries()
                    .first()
                    .filter(|entry| entry.path.is_empty())?;
                Some(Found {
                    entry,
                    layer: Some(layer),
                })
            });
        described.unwrap_or(Found {
            entry: &self.root,
            layer: None,
        })
    }

    /// What the directory at `path` holds, merged and sorted by name. Empty when it is no directory.
    #[must_use]
    pub fn children(&self, path: &[u8]) -> Vec<(&[u8], Found<'_>)> {
        self.level(path).children()
    }

    /// `path` itself, if it exists, and everything below it, sorted by the bytes of the paths.
    #[must_use]
    pub fn walk(&self, path: &[u8]) -> Vec<Found<'_>> {
        let Some(start) = self.lookup(path) else {
            return Vec::new();
        };
        let mut out = vec![start];
        let mut pending = vec![self.level(path)];
        while let Some(level) = pending.pop() {
            if level.collect_single(&mut out) {
                continue;
            }
            for (name, found) in level.children() {
                out.push(found);
                if found.entry.is_directory() {
                    pending.push(level.descend(name));
                }
            }
        }
        out.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
        out
    }

    /// The merged directory at `path`; empty when there is no such directory.
    pub(crate) fn level(&self, path: &[u8]) -> Level<'_> {
        components(path).fold(Level::root(self), |level, part| level.descend(part))
    }
}
