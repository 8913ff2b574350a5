//! Whether two images show the same files, but for what an edit was to change. Times count for nothing, and neither do files that differ
//! after every build. Unaware of why the images should be the same.

use super::subject::is_within;
use crate::image::Image;
use kiln_cache::{Entry, EntryKind};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Files that differ after every build of the same thing: logs, caches of the linker, and what Python compiled with times in it.
const CHANGING: [&str; 8] = [
    "var/log",
    "tmp",
    "var/tmp",
    "var/cache/ldconfig",
    "var/cache/debconf",
    "run",
    "etc/.pwd.lock",
    "root/.npm/_logs",
];

/// What the database of packages keeps, which differs where packages do.
pub const PACKAGES: [&str; 7] = [
    "var/lib/dpkg",
    "var/lib/apt",
    "var/cache/apt",
    "etc/ld.so.cache",
    "etc/alternatives",
    "var/lib/systemd",
    "usr/share/mime",
];

/// The paths that differ, each with how; those in `allowed` and below do not count.
#[must_use]
pub fn differences(before: &Image, after: &Image, allowed: &[String]) -> Vec<String> {
    let (before, after) = (shown(before), shown(after));
    let changed = before.iter().filter_map(|(path, old)| {
        let how = match after.get(path) {
            None if old.is_directory() && holds(path, allowed) => None,
            None => Some("is gone"),
            Some(new) => difference(old, new),
        };
        how.map(|how| (*path, how))
    });
    let added = after.keys().filter(|path| !before.contains_key(*path));
    let added = added.map(|path| (*path, "is new"));
    let all = changed.chain(added);
    let all = all.map(|(path, how)| (String::from_utf8_lossy(path), how));
    let counts = all.filter(|(path, _)| !may_differ(path, allowed));
    counts.map(|(path, how)| format!("/{path} {how}")).collect()
}

/// Whether one of those paths is below a folder, which may be there only because of it.
fn holds(folder: &[u8], allowed: &[String]) -> bool {
    let folder = String::from_utf8_lossy(folder);
    allowed.iter().any(|path| is_within(path, &folder))
}

/// Whether a path is one of those, or differs after every build.
fn may_differ(path: &str, allowed: &[String]) -> bool {
    let changing = CHANGING.iter().copied();
    let mut all = allowed.iter().map(String::as_str).chain(changing);
    let is_python = path.split('/').any(|part| part == "__pycache__");
    is_python || all.any(|folder| is_within(path, folder))
}

/// How two entries of a path differ.
fn difference(old: &Entry, new: &Entry) -> Option<&'static str> {
    let content = |kind: &EntryKind| match kind {
        EntryKind::File { content, .. } => Some(*content),
        _ => None,
    };
    match (&old.kind, &new.kind) {
        (EntryKind::Directory { .. }, EntryKind::Directory { .. }) => {}
        (old, new) if old == new => {}
        (old, new) if content(old).is_some() && content(old) == content(new) => {}
        _ => return Some("has other content"),
    }
    if old.mode != new.mode {
        return Some("has another mode");
    }
    if (old.uid, old.gid) != (new.uid, new.gid) {
        return Some("has another owner");
    }
    (old.xattrs != new.xattrs).then_some("has other attributes")
}

/// The entries that a container sees.
fn shown(image: &Image) -> BTreeMap<&[u8], &Entry> {
    let mut shown: BTreeMap<&[u8], &Entry> = BTreeMap::new();
    for layer in &image.layers {
        for entry in layer.entries() {
            hide(&mut shown, entry);
        }
        let entries = layer.entries().iter();
        let there = entries.filter(|entry| entry.kind != EntryKind::Whiteout);
        shown.extend(there.map(|entry| (&*entry.path, entry)));
    }
    shown
}

/// Takes away what an entry of a higher layer hides.
fn hide(shown: &mut BTreeMap<&[u8], &Entry>, entry: &Entry) {
    if entry.kind == (EntryKind::Directory { opaque: false }) {
        return;
    }
    shown.remove(&*entry.path);
    let mut start = entry.path.to_vec();
    if !start.is_empty() {
        start.push(b'/');
    }
    let from = (Bound::Included(start.as_slice()), Bound::Unbounded);
    let below = shown.range::<[u8], _>(from).map(|(path, _)| *path);
    let below: Vec<&[u8]> = below.take_while(|path| path.starts_with(&start)).collect();
    for path in below {
        shown.remove(path);
    }
}
