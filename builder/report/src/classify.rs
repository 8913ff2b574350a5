//! What became of every byte of an image: each byte of its layers' tars is in exactly one [`Class`], so that the classes of a layer add
//! up to its tar. Unaware of where layers come from, of compression, and of which instruction made them.
//!
//! A file's content is in its layer's tar once, however many hard links it has. It is live while one of its names shows in the
//! final tree; else its class says what happened to the name that showed longest. What is no content of a file is headers.

mod classes;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

use kiln_cache::{ContentDigest, Entry, EntryKind};

use crate::image::ImageLayer;

pub use classes::{Class, Classes};

/// What became of the layers of an image.
#[derive(Debug, Clone)]
pub struct Classified {
    /// Of each layer, the lowest first.
    pub layers: Vec<ClassifiedLayer>,
}

/// What became of a layer.
#[derive(Debug, Clone)]
pub struct ClassifiedLayer {
    /// Its bytes; they add up to its tar.
    pub classes: Classes,
    /// What became of each entry of its index, in the same order.
    pub fates: Vec<Fate>,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// The class of its content; hard links share it. Folders and whiteouts are [`Class::Headers`].
    pub class: Class,
    /// Bytes of content that count here: of the names of a file one has them, a name that shows where there is one.
    pub bytes: u64,
    /// The layer that overwrote or deleted this name.
    pub hidden_by: Option<usize>,
}

impl Classified {
    /// The classes of the whole image.
    #[must_use]
    pub fn total(&self) -> Classes {
        self.layers.iter().map(|layer| layer.classes).sum()
    }

    /// The classes of the layers from `base` up.
    #[must_use]
    pub fn own(&self, base: usize) -> Classes {
        let own = self.layers.iter().skip(base);
        own.map(|layer| layer.classes).sum()
    }
}

/// Says of every byte what became of it. `layers` is bottom first.
#[must_use]
pub fn classify(layers: &[ImageLayer]) -> Classified {
    let mut fates = names(layers);
    for (layer, fates) in layers.iter().zip(&mut fates) {
        join_links(layer.entries(), fates);
    }
    mark_duplicates(layers, &mut fates);
    let classified = layers.iter().zip(fates).map(|(layer, fates)| {
        let mut classes = Classes::default();
        for fate in &fates {
            classes.add(fate.class, fate.bytes);
        }
        let rest = layer.index.tar_size.saturating_sub(classes.total());
        classes.add(Class::Headers, rest);
        ClassifiedLayer { classes, fates }
    });
    Classified {
        layers: classified.collect(),
    }
}

/// A name that shows: layer, and position of its entry there.
type Place = (usize, usize);

/// The names that show so far; no folders.
type Shown<'a> = BTreeMap<&'a [u8], Place>;

/// What became of each name, hard links apart, as if every name had its own content.
fn names(layers: &[ImageLayer]) -> Vec<Vec<Fate>> {
    let fresh = |layer: &ImageLayer| layer.entries().iter().map(fate_of_new).collect();
    let mut fates: Vec<Vec<Fate>> = layers.iter().map(fresh).collect();
    let mut shown = Shown::new();
    for (at, layer) in layers.iter().enumerate() {
        let mut hide = |(lower, position): Place, class| fates[lower][position].end(class, at);
        for entry in replacing(layer) {
            if let Some(place) = shown.remove(&*entry.path) {
                let old = &layers[place.0].entries()[place.1];
                hide(place, overwritten(old, entry));
            }
        }
        for entry in layer.entries() {
            for place in take_below(&mut shown, entry) {
                hide(place, Class::Deleted);
            }
        }
        let names = layer.entries().iter().enumerate();
        let names = names.filter(|(_, entry)| is_name(entry));
        add(
            &mut shown,
            names
                .map(|(position, entry)| (&*entry.path, (at, position)))
                .collect(),
        );
    }
    fates
}

/// Adds names; those of a large layer all at once, since they are sorted.
fn add<'a>(shown: &mut Shown<'a>, mut names: Shown<'a>) {
    match names.len() * 4 > shown.len() {
        true => shown.append(&mut names),
        false => shown.extend(names),
    }
}

impl Fate {
    /// A layer hides the name.
    const fn end(&mut self, class: Class, layer: usize) {
        self.class = class;
        self.hidden_by = Some(layer);
    }
}

fn fate_of_new(entry: &Entry) -> Fate {
    let class = match is_name(entry) {
        true => Class::Live,
        false => Class::Headers,
    };
    Fate {
        class,
        bytes: entry.size(),
        hidden_by: None,
    }
}

/// Whether it is something other than a folder.
fn is_name(entry: &Entry) -> bool {
    !entry.is_directory() && entry.kind != EntryKind::Whiteout
}

/// The entries that put something where a lower layer may have a file.
fn replacing(layer: &ImageLayer) -> impl Iterator<Item = &Entry> {
    let entries = layer.entries().iter();
    entries.filter(|entry| entry.kind != EntryKind::Whiteout)
}

fn overwritten(old: &Entry, new: &Entry) -> Class {
    match is_same(&old.kind, &new.kind) {
        true => Class::Rewritten,
        false => Class::Overwritten,
    }
}

/// Whether two entries have the same content, wherever that lies in a tar.
fn is_same(old: &EntryKind, new: &EntryKind) -> bool {
    match (old, new) {
        (EntryKind::File { content: old, .. }, EntryKind::File { content: new, .. }) => old == new,
        (old, new) => old == new,
    }
}

/// Takes what an entry of a higher layer hides, but for the name itself where it puts something there.
fn take_below(shown: &mut Shown<'_>, entry: &Entry) -> Vec<Place> {
    if entry.kind == (EntryKind::Directory { opaque: false }) {
        return Vec::new();
    }
    let mut taken = Vec::new();
    if entry.kind == EntryKind::Whiteout {
        taken.extend(shown.remove(&*entry.path));
    }
    let names = below(shown, &entry.path);
    taken.extend(names.iter().filter_map(|name| shown.remove(name)));
    taken
}

/// The names below a folder, itself not included.
fn below<'a>(shown: &Shown<'a>, folder: &[u8]) -> Vec<&'a [u8]> {
    let start = match folder {
        b"" => Vec::new(),
        folder => [folder, b"/"].concat(),
    };
    let from = shown.range::<[u8], _>((Bound::Included(&*start), Bound::Unbounded));
    let names = from.map(|(name, _)| *name);
    names.take_while(|name| name.starts_with(&start)).collect()
}

/// Gives the names of each file one class, and its bytes to one of them.
fn join_links(entries: &[Entry], fates: &mut [Fate]) {
    let mut groups: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        if entry.links != 0 && is_name(entry) {
            groups.entry(entry.links).or_default().push(at);
        }
    }
    for names in groups.into_values() {
        let longer = |best: usize, next: usize| match lasted(&fates[next]) > lasted(&fates[best]) {
            true => next,
            false => best,
        };
        let Some(holder) = names.iter().copied().reduce(longer) else {
            continue;
        };
        let class = fates[holder].class;
        for name in names {
            fates[name].class = class;
            if name != holder {
                fates[name].bytes = 0;
            }
        }
    }
}

/// How long a name showed, to be compared; of those that were hidden in one layer, the one that was overwritten by the same content counts
/// first, then one by another, then one that was deleted.
fn lasted(fate: &Fate) -> (usize, u8) {
    let rank = match fate.class {
        Class::Rewritten => 2,
        Class::Overwritten => 1,
        _ => 0,
    };
    (fate.hidden_by.unwrap_or(usize::MAX), rank)
}

/// Of live files with the same content, the first counts as live: the one of the lowest layer, there the first by path.
fn mark_duplicates(layers: &[ImageLayer], fates: &mut [Vec<Fate>]) {
    let mut seen: HashSet<ContentDigest> = HashSet::new();
    for (layer, fates) in layers.iter().zip(fates) {
        let entries = layer.entries();
        let mut groups: BTreeMap<u32, Class> = BTreeMap::new();
        for (entry, fate) in entries.iter().zip(fates.iter_mut()) {
            let EntryKind::File { content, .. } = entry.kind else {
                continue;
            };
            if fate.class == Class::Live && fate.bytes > 0 && !seen.insert(content) {
                fate.class = Class::Duplicate;
                groups.insert(entry.links, Class::Duplicate);
            }
        }
        groups.remove(&0);
        for (entry, fate) in entries.iter().zip(fates) {
            if let Some(class) = groups.get(&entry.links) {
                fate.class = *class;
            }
        }
    }
}
