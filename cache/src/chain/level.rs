//! One merged directory: the parts of the trees that show through at a path.
//!
//! Because the entries below a directory are one range of a sorted tree, a level is a few slices, and going down narrows
//! them: no look-up ever searches a whole tree twice.

use std::collections::BTreeMap;

use crate::{Chain, Entry, EntryKind, Found};

/// The slices of entries below one directory, the topmost tree first.
#[derive(Clone, Debug)]
pub(crate) struct Level<'a> {
    parts: Vec<(usize, &'a [Entry])>,
    /// Length of the directory's path with its slash: where names start.
    prefix: usize,
}

impl<'a> Level<'a> {
    /// The root of a chain.
    pub(crate) fn root(chain: &'a Chain) -> Self {
        let mut parts = Vec::with_capacity(chain.layers().len());
        for (layer, (tree, _)) in chain.layers().iter().enumerate().rev() {
            match tree.entries() {
                [root, below @ ..] if root.path.is_empty() => {
                    parts.push((layer, below));
                    if root.kind == (EntryKind::Directory { opaque: true }) {
                        break;
                    }
                }
                entries => parts.push((layer, entries)),
            }
        }
        Self { parts, prefix: 0 }
    }

    /// Whether nothing shows: there is no such directory, or all trees have it empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// What shows under `name`.
    pub(crate) fn child(&self, name: &[u8]) -> Option<Found<'a>> {
        let (layer, entry) = self
            .parts
            .iter()
            .find_map(|&(layer, entries)| Some((layer, self.find(entries, name)?)))?;
        (entry.kind != EntryKind::Whiteout).then_some(Found {
            entry,
            layer: Some(layer),
        })
    }

    fn find(&self, entries: &'a [Entry], name: &[u8]) -> Option<&'a Entry> {
        entries
            .binary_search_by(|entry| entry.path[self.prefix..].cmp(name))
            .ok()
            .and_then(|at| entries.get(at))
    }

    /// The merged directory `name`; empty when there is no such directory.
    pub(crate) fn descend(&self, name: &[u8]) -> Self {
        let mut parts = Vec::new();
        for &(layer, entries) in &self.parts {
            let Some(entry) = self.find(entries, name) else {
                continue;
            };
            let EntryKind::Directory { opaque } = entry.kind else {
                break;
            };
            parts.push((layer, self.below(entries, name)));
            if opaque {
                break;
            }
        }
        Self {
            parts,
            prefix: self.prefix + name.len() + 1,
        }
    }

    /// The entries below the directory `name`: those that start with `name/`.
    fn below(&self, entries: &'a [Entry], name: &[u8]) -> &'a [Entry] {
        // `0` is the byte after `/`
        let bound = |end: u8| [name, &[end]].concat();
        let (first, last) = (bound(b'/'), bound(b'/' + 1));
        let rest = &entries[entries.partition_point(|entry| entry.path[self.prefix..] < *first)..];
        &rest[..rest.partition_point(|entry| entry.path[self.prefix..] < *last)]
    }

    /// All that shows in this directory, sorted by name.
    pub(crate) fn children(&self) -> Vec<(&'a [u8], Found<'a>)> {
        let mut merged: BTreeMap<&'a [u8], (usize, &'a Entry)> = BTreeMap::new();
        for &(layer, entries) in &self.parts {
            for entry in self.direct(entries) {
                merged
                    .entry(&entry.path[self.prefix..])
                    .or_insert((layer, entry));
            }
        }
        let shown = merged
            .into_iter()
            .filter(|(_, (_, entry))| entry.kind != EntryKind::Whiteout);
        shown
            .map(|(name, (layer, entry))| {
                (
                    name,
                    Found {
                        entry,
                        layer: Some(layer),
                    },
                )
            })
            .collect()
    }

    /// The entries directly in this directory; what is below its subdirectories is jumped over.
    fn direct(&self, entries: &'a [Entry]) -> impl Iterator<Item = &'a Entry> {
        let (prefix, mut at) = (self.prefix, 0);
        std::iter::from_fn(move || {
            loop {
                let entry = entries.get(at)?;
                let name = &entry.path[prefix..];
                let Some(slash) = name.iter().position(|&byte| byte == b'/') else {
                    at += 1;
                    return Some(entry);
                };
                let end = [&name[..slash], &[b'/' + 1]].concat();
                at += entries[at..].partition_point(|entry| entry.path[prefix..] < *end);
            }
        })
    }

    /// When a single tree shows here, takes everything below at once, in order, and says so.
    pub(crate) fn collect_single(&self, out: &mut Vec<Found<'a>>) -> bool {
        let [(layer, entries)] = self.parts[..] else {
            return self.parts.is_empty();
        };
        let shown = entries
            .iter()
            .filter(|entry| entry.kind != EntryKind::Whiteout);
        out.extend(shown.map(|entry| Found {
            entry,
            layer: Some(layer),
        }));
        true
    }
}
