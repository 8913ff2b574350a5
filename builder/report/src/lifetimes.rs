//! Every path that any layer of an image has, as one tree: which versions of it there were, and from which layer to which each showed.
//! Unaware of sizes by class, which `lifetimes/scope.rs` adds up, and of how a tree is browsed.

mod scope;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kiln_cache::path::components;
use kiln_cache::{Entry, EntryKind};

use crate::difference::fields;
use crate::image::ImageLayer;

pub use scope::{Measure, Scope, State, Touch};

/// Position of a [`Node`]; the root's is 0, and a folder's is lower than those of what is in it.
pub type NodeId = usize;

/// The paths of an image.
#[derive(Debug, Clone)]
pub struct Lifetimes {
    nodes: Vec<Node>,
}

/// A path.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Its last name; that of the root is empty.
    pub name: Box<[u8]>,
    /// The folder that it is in; the root is in itself.
    pub parent: NodeId,
    /// What was ever in it, by name.
    pub children: BTreeMap<Box<[u8]>, NodeId>,
    /// What it was, the first first. They follow one another: at most the last one shows in the end.
    pub versions: Vec<Version>,
}

/// What a path was for some layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The layer that made it.
    pub layer: usize,
    /// Position of its entry in the layer's index.
    pub entry: usize,
    /// The layer that replaced or deleted it.
    pub until: Option<usize>,
}

impl Lifetimes {
    /// The paths of layers, the lowest first.
    #[must_use]
    pub fn new(layers: &[ImageLayer]) -> Self {
        let root = Node::default();
        let mut all = Lifetimes { nodes: vec![root] };
        for (at, layer) in layers.iter().enumerate() {
            for entry in layer.entries() {
                all.hide(at, entry);
            }
            for (position, entry) in layer.entries().iter().enumerate() {
                if entry.kind != EntryKind::Whiteout {
                    all.put(layers, at, position);
                }
            }
        }
        all
    }

    /// How many paths there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no path; the root always is one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A path by its position.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// The whole path, without a leading slash.
    #[must_use]
    pub fn path(&self, mut id: NodeId) -> Vec<u8> {
        let mut names: Vec<&[u8]> = Vec::new();
        while id != 0 {
            names.push(&self.nodes[id].name);
            id = self.nodes[id].parent;
        }
        names.reverse();
        names.join(&b'/')
    }

    /// The entry of a version.
    #[must_use]
    pub fn entry<'a>(layers: &'a [ImageLayer], version: &Version) -> &'a Entry {
        &layers[version.layer].entries()[version.entry]
    }

    /// Ends what an entry hides of lower layers, but for the path itself where it puts something there.
    fn hide(&mut self, at: usize, entry: &Entry) {
        if entry.kind == (EntryKind::Directory { opaque: false }) {
            return;
        }
        let Some(id) = self.find(&entry.path) else {
            return;
        };
        if entry.kind == EntryKind::Whiteout {
            self.nodes[id].end(at);
        }
        let mut below: Vec<NodeId> = self.nodes[id].children.values().copied().collect();
        while let Some(id) = below.pop() {
            self.nodes[id].end(at);
            below.extend(self.nodes[id].children.values());
        }
    }

    /// A new version, unless it is a folder that stands in the tar only for what is in it.
    fn put(&mut self, layers: &[ImageLayer], at: usize, position: usize) {
        let entry = &layers[at].entries()[position];
        let id = self.make(&entry.path);
        let node = &mut self.nodes[id];
        let shown = node.versions.last().filter(|last| last.until.is_none());
        let is_kept = shown.is_some_and(|shown| {
            let old = Self::entry(layers, shown);
            let is_implied = || *entry == Entry::implied_directory(&entry.path);
            let is_folder = old.is_directory() && entry.is_directory();
            is_folder && (is_implied() || fields(old, entry).is_empty())
        });
        if !is_kept {
            node.end(at);
            node.versions.push(Version {
                layer: at,
                entry: position,
                until: None,
            });
        }
    }

    fn find(&self, path: &[u8]) -> Option<NodeId> {
        let mut id = 0;
        for name in components(path) {
            id = *self.nodes[id].children.get(name)?;
        }
        Some(id)
    }

    fn make(&mut self, path: &[u8]) -> NodeId {
        let mut parent = 0;
        for name in components(path) {
            let next = self.nodes.len();
            parent = match self.nodes[parent].children.get(name) {
                Some(known) => *known,
                None => {
                    let name: Box<[u8]> = name.into();
                    self.nodes[parent].children.insert(name.clone(), next);
                    self.nodes.push(Node {
                        name,
                        parent,
                        ..Node::default()
                    });
                    next
                }
            };
        }
        parent
    }
}

impl Node {
    fn end(&mut self, at: usize) {
        if let Some(last) = self.versions.last_mut() {
            last.until.get_or_insert(at);
        }
    }
}
