//! Trees: sorted entries, and the digest that says whether two trees are the same.
//!
//! Unaware of layers, files and disks.

use kiln_oci::{Digest, Hasher};

use crate::{Entry, EntryKind};

/// Entries sorted by the bytes of their paths, each path once. Parents of an entry are in the tree too, except the root `""`,
/// which is only there when somebody described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    digest: Digest,
    entries: Vec<Entry>,
    /// See [`Tree::climbing`].
    climbing: Option<Box<str>>,
}

impl Tree {
    /// Sorts `entries`, adds missing parents (0755, root's) and digests the whole. Of entries with the same path the last
    /// stays.
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> Self {
        let entries = complete(entries);
        Self {
            digest: tree_digest(&entries),
            entries,
            climbing: None,
        }
    }

    /// Takes entries that are sorted and complete, with their digest: for decoders that have checked both.
    pub(crate) fn from_parts(digest: Digest, entries: Vec<Entry>) -> Self {
        Self {
            digest,
            entries,
            climbing: None,
        }
    }

    /// The same, read from a tar that had such a name.
    pub(crate) fn with_climbing(self, climbing: Option<Box<str>>) -> Self {
        Self { climbing, ..self }
    }

    /// A name with `..` in it, for a message, if this was read from a tar that has one just now: an index does not say.
    #[must_use]
    pub fn climbing(&self) -> Option<&str> {
        self.climbing.as_deref()
    }

    /// Digest of everything but times; see [`tree_digest`].
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The entries in path order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry at `path`, if the tree has one (whiteouts too).
    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        let at = self
            .entries
            .binary_search_by(|entry| (*entry.path).cmp(path))
            .ok()?;
        self.entries.get(at)
    }
}

fn complete(mut entries: Vec<Entry>) -> Vec<Entry> {
    if !entries.is_sorted_by(|a, b| a.path < b.path) {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries.reverse();
        entries.dedup_by(|later, kept| later.path == kept.path);
        entries.reverse();
    }
    let mut missing = missing_parents(&entries);
    if !missing.is_empty() {
        entries.append(&mut missing);
        entries.sort_by(|a, b| a.path.cmp(&b.path));
    }
    entries
}

/// Directories that sorted `entries` need and do not hold.
fn missing_parents(entries: &[Entry]) -> Vec<Entry> {
    let mut missing = std::collections::BTreeSet::new();
    let mut last: &[u8] = b"";
    for entry in entries {
        let mut path: &[u8] = &entry.path;
        while let Some(parent) =
            crate::path::parent(path).filter(|parent| !parent.is_empty() && *parent != last)
        {
            if missing.contains(parent)
                || entries
                    .binary_search_by(|entry| (*entry.path).cmp(parent))
                    .is_ok()
            {
                break;
            }
            missing.insert(parent);
            path = parent;
        }
        last = crate::path::parent(&entry.path).unwrap_or_default();
    }
    missing.into_iter().map(Entry::implied_directory).collect()
}

/// Digest over `entries` in the order given (sort them first): path, type, mode, uid, gid, size, content, link target, device,
/// xattrs and which entries are one inode; never times, never offsets.
///
/// Written per entry, numbers little endian, byte strings with a u64 length before them: path, type (1 byte), mode, uid, gid
/// (u32 each), what belongs to the type, number of xattrs (u64), names and values, and the position (u64, from 1) of the first
/// entry of its link group if it is a later one, else 0.
#[must_use]
pub fn tree_digest<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(b"kiln tree 1\n");
    let mut first_of_group = std::collections::HashMap::new();
    let mut line = Vec::with_capacity(512);
    for (position, entry) in entries.into_iter().enumerate() {
        line.clear();
        write_entry(&mut line, entry);
        let first = match entry.links {
            0 => None,
            group => first_of_group.insert(group, position).inspect(|&first| {
                first_of_group.insert(group, first);
            }),
        };
        let link = first.map_or(0, |first| first as u64 + 1);
        line.extend_from_slice(&link.to_le_bytes());
        hasher.update(&line);
    }
    hasher.finish()
}

fn write_entry(out: &mut Vec<u8>, entry: &Entry) {
    write_bytes(out, &entry.path);
    out.push(entry.kind.code());
    for number in [entry.mode, entry.uid, entry.gid] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    match &entry.kind {
        EntryKind::File { size, content, .. } => {
            out.extend_from_slice(&size.to_le_bytes());
            out.extend_from_slice(content.as_bytes());
        }
        EntryKind::Symlink { target } => write_bytes(out, target),
        EntryKind::Char { major, minor } | EntryKind::Block { major, minor } => {
            out.extend_from_slice(&major.to_le_bytes());
            out.extend_from_slice(&minor.to_le_bytes());
        }
        EntryKind::Directory { .. } | EntryKind::Fifo | EntryKind::Whiteout => {}
    }
    out.extend_from_slice(&(entry.xattrs.len() as u64).to_le_bytes());
    for (name, value) in &entry.xattrs {
        write_bytes(out, name);
        write_bytes(out, value);
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}
