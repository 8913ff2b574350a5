//! The numbers of dive (wagoodman/dive), as dive computes them, so that limits that somebody has set in CI keep their meaning.
//! Unaware of [`crate::classify`], which says what is really wasted.
//!
//! Of each layer dive looks at the leaves of its tree. `Cumulative` of a path is the sum of its sizes in all layers, `least` the smallest of
//! them; a deletion has the size of the folder that it deletes, and none where it deletes a file. The efficiency is the sum of all `least`
//! by the sum of all `Cumulative`; wasted are the paths that at least two layers have, with all copies. A deletion of something that no
//! lower layer has ends dive's look at the layer, and leaves a path of -1 bytes. Opaque folders hide nothing.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;

use kiln_cache::path::{components, is_within, name};
use kiln_cache::{Entry, EntryKind};

use crate::image::{Image, ImageLayer};

/// What dive says of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct DiveReport {
    /// From 0 to 1; 1 where there is nothing.
    pub efficiency: f64,
    /// Bytes of all copies of the paths that several layers have.
    pub wasted_bytes: u64,
    /// The same by the bytes of all layers but the lowest; not a number, or infinite, where these are none.
    pub user_wasted: f64,
    /// Bytes of all layers.
    pub size: u64,
    /// Bytes of all layers but the lowest.
    pub user_size: u64,
    /// The paths that count as wasted, the largest first, with the number of layers and all bytes.
    pub inefficient: Vec<(Box<[u8]>, usize, u64)>,
}

/// What dive knows of a path.
#[derive(Default)]
struct Path {
    layers: usize,
    cumulative: u64,
    /// What dive says of a path that it could not look at is -1.
    least: Option<i64>,
}

/// The stacked tree: size, and whether it is a folder.
type Stacked<'a> = BTreeMap<&'a [u8], (u64, bool)>;

/// Computes.
#[must_use]
pub fn dive(image: &Image) -> DiveReport {
    let mut paths: BTreeMap<&[u8], Path> = BTreeMap::new();
    let mut stacked = Stacked::new();
    for layer in &image.layers {
        for leaf in leaves(layer) {
            let Some(size) = size_of(&leaf, &stacked) else {
                paths.entry(leaf.path).or_default();
                break;
            };
            let path = paths.entry(leaf.path).or_default();
            path.layers += 1;
            path.cumulative += size;
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            path.least = Some(path.least.map_or(size, |least| least.min(size)));
        }
        stack(&mut stacked, layer);
    }
    let sizes = image.layers.iter().map(content);
    report(&paths, &sizes.collect::<Vec<u64>>())
}

#[allow(clippy::cast_precision_loss)] // as dive does
fn report(paths: &BTreeMap<&[u8], Path>, sizes: &[u64]) -> DiveReport {
    let least: i64 = paths.values().map(|path| path.least.unwrap_or(-1)).sum();
    let cumulative: u64 = paths.values().map(|path| path.cumulative).sum();
    let twice = paths.iter().filter(|(_, path)| path.layers >= 2);
    let twice = twice.map(|(name, path)| (Box::from(*name), path.layers, path.cumulative));
    let mut inefficient: Vec<(Box<[u8]>, usize, u64)> = twice.collect();
    inefficient.sort_by_key(|(_, _, bytes)| std::cmp::Reverse(*bytes));
    let wasted_bytes: u64 = inefficient.iter().map(|(_, _, bytes)| bytes).sum();
    let user_size: u64 = sizes.iter().skip(1).sum();
    DiveReport {
        efficiency: match cumulative {
            0 => 1.0,
            cumulative => least as f64 / cumulative as f64,
        },
        wasted_bytes,
        user_wasted: wasted_bytes as f64 / user_size as f64,
        size: sizes.iter().sum(),
        user_size,
        inefficient,
    }
}

/// Bytes of a layer's files; of hard links only one has them.
fn content(layer: &ImageLayer) -> u64 {
    tree(layer).map(|(_, size)| size).sum()
}

/// The entries of a layer but its root, with the size that a tar gives them.
fn tree(layer: &ImageLayer) -> impl Iterator<Item = (&Entry, u64)> {
    let mut groups = std::collections::BTreeSet::new();
    let entries = layer.entries().iter();
    let entries = entries.filter(|entry| !entry.path.is_empty());
    entries.map(move |entry| {
        let is_first = entry.links == 0 || groups.insert(entry.links);
        (entry, if is_first { entry.size() } else { 0 })
    })
}

/// A leaf of a layer's tree.
struct Leaf<'a> {
    path: &'a [u8],
    is_deletion: bool,
    size: u64,
}

/// The leaves, in the order in which dive walks: by the names that the tar has.
fn leaves(layer: &ImageLayer) -> Vec<Leaf<'_>> {
    let entries: Vec<(&Entry, u64)> = tree(layer).collect();
    let has_child = |at: usize| {
        let next = entries.get(at + 1..).unwrap_or_default();
        let (entry, _) = entries[at];
        let mut near = next.iter().map(|(next, _)| &*next.path);
        // names such as `a-b` stand between `a` and `a/b`
        let is_near = |path: &&[u8]| path.starts_with(&entry.path);
        near.by_ref()
            .take_while(is_near)
            .any(|path| is_within(path, &entry.path))
    };
    let all = (0..entries.len()).filter(|at| {
        let (entry, _) = entries[*at];
        !entry.is_directory() || !has_child(*at)
    });
    let leaves = all.map(|at| Leaf {
        path: &entries[at].0.path,
        is_deletion: entries[at].0.kind == EntryKind::Whiteout,
        size: entries[at].1,
    });
    let mut leaves: Vec<Leaf<'_>> = leaves.collect();
    leaves.sort_by(walked);
    leaves
}

fn walked(a: &Leaf<'_>, b: &Leaf<'_>) -> Ordering {
    stored_names(a).cmp(stored_names(b))
}

/// The components as the tar has them: deletions have a prefix.
fn stored_names<'a>(leaf: &Leaf<'a>) -> impl Iterator<Item = Vec<u8>> + use<'a> {
    let last = components(leaf.path).count().saturating_sub(1);
    let is_deletion = leaf.is_deletion;
    let parts = components(leaf.path).enumerate();
    parts.map(move |(at, part)| match is_deletion && at == last {
        true => [b".wh.", name(part)].concat(),
        false => part.to_vec(),
    })
}

/// The size that counts; `None` for a deletion of nothing.
fn size_of(leaf: &Leaf<'_>, stacked: &Stacked<'_>) -> Option<u64> {
    if !leaf.is_deletion {
        return Some(leaf.size);
    }
    let (_, is_folder) = stacked.get(leaf.path)?;
    let mut size = 0;
    if *is_folder {
        size = below(stacked, leaf.path).map(|(_, (size, _))| size).sum();
    }
    Some(size)
}

fn below<'a, 'b>(
    stacked: &'b Stacked<'a>,
    folder: &[u8],
) -> impl Iterator<Item = (&'b &'a [u8], &'b (u64, bool))> {
    let start = [folder, b"/"].concat();
    let from = stacked.range::<[u8], _>((Bound::Included(&*start), Bound::Unbounded));
    from.take_while(move |(path, _)| path.starts_with(&start))
}

/// Puts a layer on the tree. What a folder held stays when a file takes its place, as in dive.
fn stack<'a>(stacked: &mut Stacked<'a>, layer: &'a ImageLayer) {
    for (entry, size) in tree(layer) {
        if entry.kind != EntryKind::Whiteout {
            stacked.insert(&entry.path, (size, entry.is_directory()));
            continue;
        }
        stacked.remove(&*entry.path);
        let gone: Vec<&[u8]> = below(stacked, &entry.path).map(|(path, _)| *path).collect();
        for path in gone {
            stacked.remove(path);
        }
    }
}
