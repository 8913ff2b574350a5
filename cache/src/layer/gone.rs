//! Whiteouts of what a tree does not show any more, the topmost of each. Unaware of how it went.

use std::collections::{BTreeSet, HashMap};

use crate::Chain;
use crate::layer::upper::{UpperEntry, UpperKind};
use crate::path::parent;

/// What a tree shows, by path.
pub(crate) struct Shown<'a>(HashMap<&'a [u8], &'a UpperEntry>);

impl<'a> Shown<'a> {
    pub(crate) fn new(entries: &'a [UpperEntry]) -> Self {
        Self(entries.iter().map(|entry| (&*entry.path, entry)).collect())
    }

    pub(crate) fn get(&self, path: &[u8]) -> Option<&'a UpperEntry> {
        self.0.get(path).copied()
    }
}

/// Whiteouts of those paths that are not shown, and whose directory is.
pub(crate) fn whiteouts<'p>(
    shown: &Shown<'_>,
    paths: impl Iterator<Item = &'p [u8]>,
) -> Vec<UpperEntry> {
    let is_directory = |path: &[u8]| shown.get(path).is_some_and(UpperEntry::is_directory);
    let is_gone =
        |path: &&[u8]| shown.get(path).is_none() && parent(path).is_some_and(is_directory);
    paths.filter(is_gone).map(UpperEntry::whiteout).collect()
}

/// Opaque directories where something is below.
pub(crate) fn cut(entries: &[UpperEntry], below: &Chain) -> Vec<Box<[u8]>> {
    let is_opaque =
        |entry: &&UpperEntry| matches!(entry.kind, UpperKind::Directory { opaque: true, .. });
    let opaque = entries.iter().filter(is_opaque);
    let hides = |entry: &&UpperEntry| !below.children(&entry.path).is_empty();
    let hiding = opaque.filter(hides);
    hiding.map(|entry| entry.path.clone()).collect()
}

/// Whiteouts of what opaque directories hide.
pub(crate) fn hidden(entries: &[UpperEntry], cut: &[Box<[u8]>], below: &Chain) -> Vec<UpperEntry> {
    if cut.is_empty() {
        return Vec::new();
    }
    let hidden: BTreeSet<&[u8]> = cut
        .iter()
        .flat_map(|directory| below.walk(directory))
        .map(|found| &*found.entry.path)
        .collect();
    whiteouts(&Shown::new(entries), hidden.into_iter())
}
