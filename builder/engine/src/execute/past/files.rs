//! The files that a step reads as tables, and what differs between two of them. Unaware of contexts and layers.

use kiln_cache::{Change, Entry, EntryKind, FileChange, FileTable, KeyBuilder, Reason};
use std::collections::{BTreeMap, BTreeSet};

/// How many files a reason names.
const TOLD: usize = 4;
/// Of more files no table is made.
const MOST: usize = 200_000;

/// The table of these entries; empty where there are too many to be kept.
pub fn table<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> FileTable {
    let mut count = 0;
    let file = |entry: &'a Entry| {
        count += 1;
        let attributes = (entry.mode, entry.uid, entry.gid);
        (
            String::from_utf8_lossy(&entry.path),
            attributes,
            content(entry),
        )
    };
    let table = FileTable::of(entries.into_iter().take(MOST + 1).map(file));
    match count {
        0..=MOST => table,
        _ => FileTable::default(),
    }
}

/// A digest of what an entry is, besides its name, its mode and its owner. Most are files, whose content has one already.
fn content(entry: &Entry) -> [u8; 32] {
    let (kind, content): (&str, Vec<u8>) = match &entry.kind {
        EntryKind::File { content, .. } if entry.xattrs.is_empty() => return *content.as_bytes(),
        EntryKind::File { content, .. } => ("file", content.as_bytes().to_vec()),
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
    key.list("xattrs", xattrs).finish().0.as_bytes().to_owned()
}

fn device(major: u32, minor: u32) -> Vec<u8> {
    [major.to_le_bytes(), minor.to_le_bytes()].concat()
}

/// What differs between two tables; none where they do not tell.
pub fn difference(old: &FileTable, new: &FileTable, of: Option<&String>) -> Option<Reason> {
    let (old, new) = differing(old, new);
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let is_changed = |path: &&String| old.get(*path) != new.get(*path);
    let mut changed: Vec<&String> = paths.into_iter().filter(is_changed).collect();
    let count = changed.len();
    changed.truncate(TOLD);
    let change = |path: &String| FileChange {
        path: if path.is_empty() {
            ".".to_owned()
        } else {
            path.clone()
        },
        changes: changes(old.get(path), new.get(path)),
    };
    (count > 0).then(|| Reason::Files {
        of: of.cloned(),
        files: changed.into_iter().map(change).collect(),
        count,
    })
}

/// Mode, owner and a digest of the rest.
type Known<'t> = [&'t str; 3];
type Files<'t> = BTreeMap<String, Known<'t>>;

/// The files between the first and the last line in which two tables differ: mostly few of many.
fn differing<'t>(old: &'t FileTable, new: &'t FileTable) -> (Files<'t>, Files<'t>) {
    let (mut old, mut new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let equal = |(old, new): &(&&str, &&str)| old == new;
    let last = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(equal)
        .count();
    old.truncate(old.len() - last);
    new.truncate(new.len() - last);
    let first = old.iter().zip(&new).take_while(equal).count();
    let files = |lines: &[&'t str]| {
        lines[first..]
            .iter()
            .filter_map(|line| FileTable::file(line))
            .collect()
    };
    (files(&old), files(&new))
}

fn changes(old: Option<&Known<'_>>, new: Option<&Known<'_>>) -> Vec<Change> {
    let (Some(old), Some(new)) = (old, new) else {
        return vec![if new.is_some() {
            Change::Added
        } else {
            Change::Removed
        }];
    };
    let mut pairs = old.iter().zip(new);
    let mut next = || {
        let pair = pairs.next().filter(|(old, new)| old != new);
        pair.map(|(old, new)| ((*old).to_owned(), (*new).to_owned()))
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
