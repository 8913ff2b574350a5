//! The classes again, as their definitions say and as slowly as that is.

use std::collections::BTreeSet;

use kiln_cache::path::is_within;
use kiln_cache::{Chain, Entry, EntryKind, Origin};

use crate::classify::{Class, Classes, Classified};
use crate::image::ImageLayer;

/// The first layer above `layer` that hides its name `path`, and what it does with it.
fn end_of(layers: &[ImageLayer], layer: usize, old: &Entry) -> Option<(usize, Class)> {
    (layer + 1..layers.len()).find_map(|upper| {
        let entries = layers[upper].entries();
        let there = entries
            .iter()
            .find(|new| new.path == old.path && new.kind != EntryKind::Whiteout);
        if let Some(new) = there {
            let is_same = match (&old.kind, &new.kind) {
                (EntryKind::File { content: a, .. }, EntryKind::File { content: b, .. }) => a == b,
                (a, b) => a == b,
            };
            let class = if is_same {
                Class::Rewritten
            } else {
                Class::Overwritten
            };
            return Some((upper, class));
        }
        let is_hidden = entries.iter().any(|new| {
            is_within(&old.path, &new.path) && new.kind != (EntryKind::Directory { opaque: false })
        });
        is_hidden.then_some((upper, Class::Deleted))
    })
}

/// The files of a layer: the entries that are names of one content.
fn files(layer: &ImageLayer) -> Vec<Vec<&Entry>> {
    let mut files: Vec<Vec<&Entry>> = Vec::new();
    for entry in layer.entries().iter().filter(|entry| entry.is_file()) {
        let known = files
            .iter_mut()
            .find(|names| entry.links != 0 && names[0].links == entry.links);
        match known {
            Some(names) => names.push(entry),
            None => files.push(vec![entry]),
        }
    }
    files
}

/// Bytes of all contents of a layer.
pub(super) fn content(layer: &ImageLayer) -> u64 {
    files(layer).iter().map(|names| names[0].size()).sum()
}

/// The classes of each layer.
pub(super) fn classes(layers: &[ImageLayer]) -> Vec<Classes> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (at, layer) in layers.iter().enumerate() {
        let mut classes = Classes::default();
        classes.add(Class::Headers, layer.index.tar_size - content(layer));
        for names in files(layer) {
            let ends: Vec<_> = names.iter().map(|name| end_of(layers, at, name)).collect();
            let class = if ends.contains(&None) {
                let EntryKind::File { content, .. } = names[0].kind else {
                    unreachable!()
                };
                let is_new = names[0].size() == 0 || seen.insert(content);
                if is_new {
                    Class::Live
                } else {
                    Class::Duplicate
                }
            } else {
                let last = ends.iter().flatten().map(|(layer, _)| *layer).max();
                let of_last = |class| ends.contains(&last.map(|layer| (layer, class)));
                let order = [Class::Rewritten, Class::Overwritten, Class::Deleted];
                order.into_iter().find(|class| of_last(*class)).unwrap()
            };
            classes.add(class, names[0].size());
        }
        all.push(classes);
    }
    all
}

/// Names are hidden where the definitions say so, and show where the store's own merged tree has them.
pub(super) fn check_names(layers: &[ImageLayer], classified: &Classified) {
    let trees = layers.iter();
    let trees = trees.map(|layer| (layer.index.tree.clone(), Origin::Nowhere));
    let chain = Chain::new(trees.collect());
    for (at, layer) in layers.iter().enumerate() {
        for (entry, fate) in layer.entries().iter().zip(&classified.layers[at].fates) {
            if entry.is_directory() || entry.kind == EntryKind::Whiteout {
                assert_eq!(fate.class, Class::Headers);
                continue;
            }
            let end = end_of(layers, at, entry);
            assert_eq!(fate.hidden_by, end.map(|(layer, _)| layer), "{entry:?}");
            let shows = chain.lookup(&entry.path).and_then(|found| found.layer) == Some(at);
            assert_eq!(fate.hidden_by.is_none(), shows, "{entry:?}");
        }
    }
}
