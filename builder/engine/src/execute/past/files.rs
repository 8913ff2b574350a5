//! The files that a step reads as tables, and what differs between two of them. Unaware of contexts and layers.

use kiln_cache::{Change, Entry, EntryKind, FileChange, FileTable, KeyBuilder, Reason};
use std::collections::BTreeSet;

/// Digits of the digest of what a file is besides its mode and owner.
const DIGITS: usize = 16;
/// How many files a reason names.
const TOLD: usize = 4;
/// Of more files no table is made.
const MOST: usize = 50_000;

/// The table of these entries; empty where there are too many to be kept.
pub fn table<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> FileTable {
    let line = |entry: &Entry| {
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        let (mode, uid, gid) = (entry.mode, entry.uid, entry.gid);
        (path, format!("{mode:o} {uid}:{gid} {}", content(entry)))
    };
    let table: FileTable = entries.into_iter().take(MOST + 1).map(line).collect();
    match table.len() {
        0..=MOST => table,
        _ => FileTable::new(),
    }
}

/// What an entry is, besides its name, its mode and its owner.
fn content(entry: &Entry) -> String {
    let (kind, content): (&str, Vec<u8>) = match &entry.kind {
        EntryKind::File { size, content, .. } => (
            "file",
            [&size.to_le_bytes()[..], content.as_bytes()].concat(),
        ),
        EntryKind::Symlink { target } => ("link", target.to_vec()),
        EntryKind::Char { major, minor } => ("char", device(*major, *minor)),
        EntryKind::Block { major, minor } => ("block", device(*major, *minor)),
        EntryKind::Directory { .. } => ("directory", Vec::new()),
        EntryKind::Fifo => ("pipe", Vec::new()),
        EntryKind::Whiteout => ("whiteout", Vec::new()),
    };
    let xattrs = entry.xattrs.iter();
    let xattrs = xattrs.flat_map(|(name, value)| [&name[..], &value[..]]);
    let key = KeyBuilder::new("entry").bytes(kind, &content);
    let mut hex = key.list("xattrs", xattrs).finish().0.hex();
    hex.truncate(DIGITS);
    hex
}

fn device(major: u32, minor: u32) -> Vec<u8> {
    [major.to_le_bytes(), minor.to_le_bytes()].concat()
}

/// What differs between two tables; none where they do not tell.
pub fn difference(old: &FileTable, new: &FileTable, of: Option<&String>) -> Option<Reason> {
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let is_changed = |path: &&String| old.get(*path) != new.get(*path);
    let mut changed: Vec<&String> = paths.into_iter().filter(is_changed).collect();
    let count = changed.len();
    changed.truncate(TOLD);
    let change = |path: &String| FileChange {
        path: match path.as_str() {
            "" => ".".to_owned(),
            path => path.to_owned(),
        },
        changes: changes(old.get(path), new.get(path)),
    };
    (count > 0).then(|| Reason::Files {
        of: of.cloned(),
        files: changed.into_iter().map(change).collect(),
        count,
    })
}

fn changes(old: Option<&String>, new: Option<&String>) -> Vec<Change> {
    let (Some(old), Some(new)) = (old, new) else {
        return vec![if new.is_some() {
            Change::Added
        } else {
            Change::Removed
        }];
    };
    let mut pairs = old.split(' ').zip(new.split(' '));
    let mut next = || {
        let pair = pairs.next().filter(|(old, new)| old != new);
        pair.map(|(old, new)| (old.to_owned(), new.to_owned()))
    };
    let mode = next().map(|(old, new)| Change::Mode(old, new));
    let owner = next().map(|(old, new)| Change::Owner(old, new));
    let content = next().map(|_| Change::Content);
    content.into_iter().chain(mode).chain(owner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_cache::{ContentDigest, Meta};

    fn file(path: &str, text: &str, mode: u32) -> Entry {
        let kind = EntryKind::File {
            size: text.len() as u64,
            offset: 0,
            content: ContentDigest::of(text.as_bytes()),
        };
        Entry::new(path.as_bytes(), kind, Meta::root(mode, 0))
    }

    fn told(old: &[Entry], new: &[Entry]) -> Option<String> {
        let reason = difference(&table(old), &table(new), None);
        reason.map(|reason| reason.to_string())
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        let old = [
            file("a", "1", 0o644),
            file("b", "1", 0o644),
            file("d", "1", 0o644),
        ];
        let mut new = [
            file("a", "2", 0o644),
            file("c", "1", 0o644),
            file("d", "1", 0o755),
        ];
        let expected = "a changed, b removed, c added, d mode 644 → 755";
        assert_eq!(told(&old, &new).as_deref(), Some(expected));
        new[2].uid = 7;
        new[0] = Entry::new(b"a", EntryKind::Fifo, Meta::root(0o644, 0));
        let expected = "a changed, b removed, c added, d mode 644 → 755 and owner 0:0 → 7:0";
        assert_eq!(told(&old, &new).as_deref(), Some(expected));
        assert_eq!(told(&old, &old), None);
    }

    #[test]
    fn the_first_are_named_and_all_are_counted() {
        let many: Vec<Entry> = (0..9).map(|at| file(&format!("{at}"), "", 0o600)).collect();
        let expected = "0 removed, 1 removed, 2 removed, 3 removed and 5 more";
        assert_eq!(told(&many, &[]).as_deref(), Some(expected));
    }
}
