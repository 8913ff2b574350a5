//! The layer that a step made in the build before: most of its files are those of today, and it is one file, which is read faster than many.
//! Unaware of why the step is executed again.

use crate::execute::step::Step;
use kiln_cache::{Chain, Entry, EntryKind, Found, SmallFile, Tree, Window};
use std::iter::Peekable;
use std::ops::RangeInclusive;
use std::slice::Iter;
use std::sync::Arc;

/// Fewer files are read as fast as the index of a layer; the index of more takes too much memory.
const WORTHWHILE: RangeInclusive<usize> = 1000..=300_000;

/// See the module.
pub struct Earlier {
    tree: Arc<Tree>,
    chain: Chain,
}

impl Earlier {
    /// Of a step that writes so many files: the layer, if it is known and still there. Nothing is fetched for this.
    pub fn of(step: &Step<'_>, files: usize) -> Option<Self> {
        if !WORTHWHILE.contains(&files) {
            return None;
        }
        let store = &step.session.store;
        let before = step.past?.counterpart(step.node.id.0)?;
        let record = store.records().lookup(&before.key?).ok()??;
        let diff_id = record.diff_id?;
        let is_here = store.blobs().has(&diff_id).ok()?;
        let layer = is_here.then(|| store.layers().get(&diff_id).ok())??;
        let (tree, origin) = layer.origin();
        let chain = Chain::new(vec![(tree.clone(), origin)]);
        Some(Earlier { tree, chain })
    }

    /// Its files.
    pub fn files(&self) -> Files<'_> {
        Files(self.tree.entries().iter().peekable())
    }

    /// The content of one of its files, if it is small.
    pub fn small(&self, window: &mut Window, entry: &Entry) -> Option<SmallFile> {
        let layer = Some(0);
        self.chain.read_small_in(window, &Found { entry, layer })
    }
}

/// The files of a layer, looked for in the order of their paths.
pub struct Files<'a>(Peekable<Iter<'a, Entry>>);

impl<'a> Files<'a> {
    /// What is to be at a path, if it was there already with the same content.
    pub fn same(&mut self, path: &[u8], wanted: &Entry) -> Option<&'a Entry> {
        while self.0.next_if(|entry| *entry.path < *path).is_some() {}
        let found = self.0.next_if(|entry| *entry.path == *path)?;
        let content = |entry: &Entry| match entry.kind {
            EntryKind::File { content, .. } => Some(content),
            _ => None,
        };
        (content(found)? == content(wanted)?).then_some(found)
    }
}
