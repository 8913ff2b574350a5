//! The files of two images compared, as a container would see them: one walk over both, sorted by path. Unaware of instructions.

use std::collections::{BTreeMap, HashMap};

use kiln_cache::{Chain, ContentDigest, Entry, EntryKind, Found, Origin, path};

use crate::difference::{Field, Inodes, fields};
use crate::image::Image;

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// The path, of a renamed file the new one; without leading slash.
    pub path: Box<[u8]>,
    /// What the first image has.
    pub old: Option<Side>,
    /// What the second image has.
    pub new: Option<Side>,
}

/// How a path differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only the second image has it.
    Added,
    /// Only the first image has it.
    Removed,
    /// Other bytes, another target, another type.
    Content,
    /// The same content; these differ.
    Metadata(Vec<Field>),
    /// A file that the first image has elsewhere, with the same content, and no longer there.
    Renamed {
        /// Its path in the first image.
        from: Box<[u8]>,
    },
}

/// A path in one of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    /// Position of the layer that it shows from; `None` for a root that no layer describes.
    pub layer: Option<usize>,
    /// Bytes of content; 0 for a further name of an inode.
    pub bytes: u64,
    /// BLAKE3 of the content of a file that has any.
    pub content: Option<ContentDigest>,
}

/// All that differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileChanges {
    /// By path.
    pub changes: Vec<Change>,
    /// Paths that are the same in both.
    pub same: usize,
    /// Paths of which only the time differs; they are not among the changes.
    pub retimed: usize,
}

/// Numbers and bytes of one kind of change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Paths.
    pub count: usize,
    /// Bytes in the first image.
    pub old: u64,
    /// Bytes in the second image.
    pub new: u64,
}

impl Totals {
    /// Counts a change.
    pub fn add(&mut self, change: &Change) {
        self.count += 1;
        self.old += change.old.map_or(0, |side| side.bytes);
        self.new += change.new.map_or(0, |side| side.bytes);
    }

    /// How many bytes more there are in the second image.
    #[must_use]
    pub const fn growth(&self) -> i64 {
        self.new.cast_signed() - self.old.cast_signed()
    }
}

impl ChangeKind {
    /// The words of reports, in their order.
    pub const NAMES: [&str; 5] = ["added", "removed", "content", "metadata", "renamed"];

    /// The word of reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Content => "content",
            Self::Metadata(_) => "metadata",
            Self::Renamed { .. } => "renamed",
        }
    }
}

impl Change {
    /// Bytes that it is about: what was there, or what is, whichever is more.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let bytes = |side: Option<Side>| side.map_or(0, |side| side.bytes);
        bytes(self.old).max(bytes(self.new))
    }
}

impl FileChanges {
    /// The sums of each kind, by the names of [`ChangeKind::NAMES`].
    #[must_use]
    pub fn totals(&self) -> [(&'static str, Totals); 5] {
        ChangeKind::NAMES.map(|name| {
            let mut totals = Totals::default();
            let changes = self.changes.iter();
            let of_kind = changes.filter(|change| change.kind.name() == name);
            of_kind.for_each(|change| totals.add(change));
            (name, totals)
        })
    }

    /// The sums of each folder so many components below the root, by path; what lies higher counts for its own folder.
    #[must_use]
    pub fn folders(&self, depth: usize) -> BTreeMap<Vec<u8>, Totals> {
        let mut folders: BTreeMap<Vec<u8>, Totals> = BTreeMap::new();
        for change in &self.changes {
            let parent = path::parent(&change.path).unwrap_or_default();
            let parts: Vec<&[u8]> = path::components(parent).take(depth).collect();
            folders.entry(parts.join(&b'/')).or_default().add(change);
        }
        folders
    }
}

/// Compares two images.
#[must_use]
pub fn files(old: &Image, new: &Image) -> FileChanges {
    let (old, new) = (chain(old), chain(new));
    let (old_names, new_names) = (old.walk(b""), new.walk(b""));
    let mut compared = Compared::default();
    let (mut olds, mut news) = (old_names.iter().peekable(), new_names.iter().peekable());
    loop {
        let order = match (olds.peek(), news.peek()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(old), Some(new)) => old.entry.path.cmp(&new.entry.path),
        };
        let old = if order.is_le() { olds.next() } else { None };
        let new = if order.is_ge() { news.next() } else { None };
        compared.add(old, new);
    }
    let mut found = compared.found;
    join_renamed(&mut found.changes);
    found
}

fn chain(image: &Image) -> Chain {
    let layers = image.layers.iter();
    let trees = layers.map(|layer| (layer.index.tree.clone(), Origin::Nowhere));
    Chain::new(trees.collect())
}

#[derive(Default)]
struct Compared {
    found: FileChanges,
    old_inodes: Inodes,
    new_inodes: Inodes,
}

impl Compared {
    fn add(&mut self, old: Option<&Found<'_>>, new: Option<&Found<'_>>) {
        let old_side = old.map(|found| side(found, &mut self.old_inodes));
        let new_side = new.map(|found| side(found, &mut self.new_inodes));
        let kind = match (old, new) {
            (Some(old), Some(new)) => match changed(old.entry, new.entry) {
                Some(kind) => kind,
                None if old.entry.mtime != new.entry.mtime => return self.found.retimed += 1,
                None => return self.found.same += 1,
            },
            (Some(_), None) => ChangeKind::Removed,
            (None, _) => ChangeKind::Added,
        };
        let path = old.or(new).map(|found| found.entry.path.clone());
        self.found.changes.push(Change {
            kind,
            path: path.unwrap_or_default(),
            old: old_side,
            new: new_side,
        });
    }
}

fn side(found: &Found<'_>, inodes: &mut Inodes) -> Side {
    let content = match found.entry.kind {
        EntryKind::File { content, size, .. } if size > 0 => Some(content),
        _ => None,
    };
    Side {
        layer: found.layer,
        bytes: inodes.bytes(found.layer.unwrap_or(usize::MAX), found.entry),
        content,
    }
}

/// How an entry differs, times aside.
fn changed(old: &Entry, new: &Entry) -> Option<ChangeKind> {
    let mut fields = fields(old, new);
    match fields.first() {
        None | Some(Field::Time) => None,
        Some(Field::Type | Field::Content) => Some(ChangeKind::Content),
        Some(_) => {
            fields.retain(|field| *field != Field::Time);
            Some(ChangeKind::Metadata(fields))
        }
    }
}

/// Files that are gone, by content, the first last.
fn gone(changes: &[Change]) -> HashMap<ContentDigest, Vec<usize>> {
    let mut gone: HashMap<ContentDigest, Vec<usize>> = HashMap::new();
    for (at, change) in changes.iter().enumerate().rev() {
        let content = change.old.and_then(|side| side.content);
        if let (ChangeKind::Removed, Some(content)) = (&change.kind, content) {
            gone.entry(content).or_default().push(at);
        }
    }
    gone
}

/// Joins files that are gone with new ones of the same content: of several those of the same name, else the first.
fn join_renamed(changes: &mut Vec<Change>) {
    let mut gone = gone(changes);
    let mut joined = vec![false; changes.len()];
    for at in 0..changes.len() {
        let content = changes[at].new.and_then(|side| side.content);
        let content = content.filter(|_| changes[at].kind == ChangeKind::Added);
        let Some(candidates) = content.and_then(|content| gone.get_mut(&content)) else {
            continue;
        };
        let name = path::name(&changes[at].path);
        let same = |from: &usize| path::name(&changes[*from].path) == name;
        let best = candidates.iter().rposition(same);
        let Some(from) = best.or(candidates.len().checked_sub(1)) else {
            continue;
        };
        let from = candidates.remove(from);
        joined[from] = true;
        changes[at].old = changes[from].old;
        let from = changes[from].path.clone();
        changes[at].kind = ChangeKind::Renamed { from };
    }
    let mut joined = joined.into_iter();
    changes.retain(|_| !joined.next().unwrap_or_default());
}

#[cfg(test)]
mod tests;
