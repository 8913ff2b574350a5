//! Folders of an image by the bytes that all layers have below them. Unaware of how they are shown.

use std::collections::BTreeMap;

use kiln_cache::Entry;
use kiln_cache::path::name;
use kiln_parser::glob;

use crate::classify::{Class, Classes, Classified, Fate};
use crate::image::Image;

/// A folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its path; empty for the root.
    pub path: Box<[u8]>,
    /// Bytes of content below it, in all layers.
    pub classes: Classes,
    /// Files below it that have bytes.
    pub files: u64,
}

impl Folder {
    fn at(path: &[u8]) -> Self {
        Self {
            path: path.into(),
            classes: Classes::default(),
            files: 0,
        }
    }
}

/// The folders down to `depth` names, by path. Only content counts for which `admit` is true, and only layers from `from` up.
#[must_use]
pub fn folders(
    image: &Image,
    classified: &Classified,
    depth: usize,
    from: usize,
    admit: impl Fn(&Entry, &Fate) -> bool,
) -> Vec<Folder> {
    let mut found: BTreeMap<&[u8], Folder> = BTreeMap::new();
    let layers = image.layers.iter().zip(&classified.layers).skip(from);
    for (layer, classified) in layers {
        for (entry, fate) in layer.entries().iter().zip(&classified.fates) {
            if fate.class == Class::Headers || fate.bytes == 0 || !admit(entry, fate) {
                continue;
            }
            for path in above(&entry.path, depth) {
                let folder = found.entry(path).or_insert_with(|| Folder::at(path));
                folder.classes.add(fate.class, fate.bytes);
                folder.files += 1;
            }
        }
    }
    found.into_values().collect()
}

/// Whether a pattern fits the name of a path; the whole path if it has a slash. A broken one fits nothing.
#[must_use]
pub fn is_named(path: &[u8], pattern: &str) -> bool {
    let text = match pattern.contains('/') {
        true => String::from_utf8_lossy(path),
        false => String::from_utf8_lossy(name(path)),
    };
    glob::matches(pattern.trim_start_matches('/'), &text).unwrap_or_default()
}

/// The folders above a path, the root first.
fn above(path: &[u8], depth: usize) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let folders = slashes.map(|(at, _)| &path[..at]);
    std::iter::once(&path[..0]).chain(folders.take(depth))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_above_a_path() {
        let all: Vec<&[u8]> = above(b"usr/lib/x", 9).collect();
        assert_eq!(all, [&b""[..], b"usr", b"usr/lib"]);
        assert_eq!(above(b"usr/lib/x", 1).count(), 2);
        assert_eq!(above(b"x", 1).count(), 1);
    }
}
