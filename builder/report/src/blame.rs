//! Who wrote a path: what each layer of an image does to it and to what is below it. Unaware of instructions and of where layers come
//! from.

use std::collections::BTreeMap;
use std::ops::Bound;

use kiln_cache::{Entry, EntryKind};

use crate::difference::{Field, Inodes, fields};
use crate::image::ImageLayer;

/// What one layer does to a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch<'a> {
    /// Position of the layer.
    pub layer: usize,
    /// What becomes of the path itself.
    pub action: Action,
    /// What is there afterwards.
    pub entry: Option<&'a Entry>,
    /// The folder above whose deletion or replacement takes the path away.
    pub by: Option<&'a [u8]>,
    /// What becomes of what is below it; folders are not counted.
    pub below: Below,
    /// Bytes of content that the layer has for it.
    pub written: u64,
    /// Bytes of content of lower layers that show no longer.
    pub hidden: u64,
}

/// What becomes of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The layer says nothing of it, only of what is below.
    Kept,
    /// It is new.
    Written,
    /// It is another; in what it differs, which may be nothing.
    Changed(Vec<Field>),
    /// It is gone: deleted, or with a folder above.
    Deleted,
}

/// Numbers of files below a folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Below {
    /// New ones.
    pub written: usize,
    /// Those with other content.
    pub changed: usize,
    /// Those of which only mode, owner, time or attributes are others, if anything is.
    pub touched: usize,
    /// Those that are gone.
    pub deleted: usize,
}

/// What shows: by path, the layer and its entry.
type Shown<'a> = BTreeMap<&'a [u8], (usize, &'a Entry)>;

/// What each layer does to a path (clean, without leading slash; empty is all), the lowest first; layers that do nothing are left out.
#[must_use]
pub fn blame<'a>(layers: &'a [ImageLayer], path: &[u8]) -> Vec<Touch<'a>> {
    let mut shown = Shown::new();
    let touches = layers.iter().enumerate().filter_map(|(at, layer)| {
        let touch = touch(at, layer, path, &mut shown);
        let is_nothing = touch.action == Action::Kept && touch.below == Below::default();
        (!is_nothing).then_some(touch)
    });
    touches.collect()
}

fn touch<'a>(at: usize, layer: &'a ImageLayer, path: &[u8], shown: &mut Shown<'a>) -> Touch<'a> {
    let named = named(layer.entries(), path);
    let by = hiding_above(layer, path);
    let mut gone = taken(named.clone(), by.is_some(), shown);
    let mut touch = Touch::of(at, by);
    let (mut written, mut hidden) = (Inodes::default(), Inodes::default());
    for entry in named.filter(|entry| entry.kind != EntryKind::Whiteout) {
        if is_only_implied(entry, shown) {
            continue;
        }
        let old = gone.remove(&*entry.path);
        let old = shown.insert(&entry.path, (at, entry)).or(old);
        touch.written += written.bytes(at, entry);
        touch.hidden += old.map_or(0, |(layer, old)| hidden.bytes(layer, old));
        touch.note(entry, *entry.path == *path, old.map(|(_, old)| old));
    }
    for (name, (layer, old)) in gone {
        touch.hidden += hidden.bytes(layer, old);
        touch.lose(name == path, old);
    }
    touch.entry = shown.get(path).map(|(_, entry)| *entry);
    touch.by = touch.by.filter(|_| touch.action == Action::Deleted);
    touch
}

/// Whether a folder that shows stands in the index only because something below it does.
fn is_only_implied(entry: &Entry, shown: &Shown<'_>) -> bool {
    let shown = shown.get(&*entry.path);
    shown.is_some_and(|(_, old)| old.is_directory())
        && *entry == Entry::implied_directory(&entry.path)
}

impl<'a> Touch<'a> {
    /// Nothing so far.
    const fn of(layer: usize, by: Option<&'a [u8]>) -> Self {
        Touch {
            layer,
            action: Action::Kept,
            entry: None,
            by,
            below: Below {
                written: 0,
                changed: 0,
                touched: 0,
                deleted: 0,
            },
            written: 0,
            hidden: 0,
        }
    }

    /// Counts what is gone.
    fn lose(&mut self, is_itself: bool, old: &Entry) {
        match is_itself {
            true => self.action = Action::Deleted,
            false => self.below.deleted += usize::from(!old.is_directory()),
        }
    }

    /// Counts an entry of the layer.
    fn note(&mut self, entry: &Entry, is_itself: bool, old: Option<&Entry>) {
        let changed = old.map(|old| fields(old, entry));
        match (is_itself, changed) {
            (true, None) => self.action = Action::Written,
            // a tar names the folders above what it holds
            (true, Some(changed)) if changed.is_empty() && entry.is_directory() => {}
            (true, Some(changed)) => self.action = Action::Changed(changed),
            (false, None) => self.below.written += usize::from(!entry.is_directory()),
            (false, Some(changed)) => match changed.first() {
                Some(Field::Type | Field::Content) => self.below.changed += 1,
                _ => self.below.touched += usize::from(!entry.is_directory()),
            },
        }
    }
}

/// A layer's entries of a path and of what is below it.
fn named<'a>(entries: &'a [Entry], path: &[u8]) -> impl Iterator<Item = &'a Entry> + Clone {
    let prefix = match path {
        b"" => Vec::new(),
        path => [path, b"/"].concat(),
    };
    let own = entries.binary_search_by(|entry| (*entry.path).cmp(path));
    let own = own.ok().and_then(|at| entries.get(at));
    let first = entries.partition_point(|entry| *entry.path < *prefix || entry.path.is_empty());
    let rest = &entries[first..];
    let below = rest.partition_point(|entry| entry.path.starts_with(&prefix));
    own.into_iter().chain(&rest[..below])
}

/// The folder above a path that the layer deletes, replaces or empties.
fn hiding_above<'a>(layer: &'a ImageLayer, path: &[u8]) -> Option<&'a [u8]> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let above = ends.map(|(at, _)| &path[..at]);
    let root = (!path.is_empty()).then_some(&b""[..]);
    let mut entries = root
        .into_iter()
        .chain(above)
        .filter_map(|folder| layer.index.tree.get(folder));
    let hides = |entry: &&Entry| entry.kind != EntryKind::Directory { opaque: false };
    entries.find(hides).map(|entry| &*entry.path)
}

/// Takes out what the layer hides, whatever it puts in its place.
fn taken<'a>(
    named: impl Iterator<Item = &'a Entry>,
    all: bool,
    shown: &mut Shown<'a>,
) -> Shown<'a> {
    if all {
        return std::mem::take(shown);
    }
    let mut taken = Shown::new();
    for entry in named {
        if entry.kind == (EntryKind::Directory { opaque: false }) {
            continue;
        }
        if entry.kind == EntryKind::Whiteout {
            taken.extend(shown.remove_entry(&*entry.path));
        }
        taken.extend(take_below(shown, &entry.path));
    }
    taken
}

/// Takes out what is below a folder.
fn take_below<'a>(shown: &mut Shown<'a>, folder: &[u8]) -> Vec<(&'a [u8], (usize, &'a Entry))> {
    let prefix = match folder {
        b"" => Vec::new(),
        folder => [folder, b"/"].concat(),
    };
    let from = (Bound::Included(&*prefix), Bound::Unbounded);
    let names = shown.range::<[u8], _>(from).map(|(name, _)| *name);
    let names = names.filter(|name| !name.is_empty());
    let names: Vec<&[u8]> = names.take_while(|name| name.starts_with(&prefix)).collect();
    let taken = names
        .into_iter()
        .filter_map(|name| shown.remove_entry(name));
    taken.collect()
}

#[cfg(test)]
mod tests;
