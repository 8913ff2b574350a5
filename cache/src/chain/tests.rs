//! Chains against an obvious reference: a map to which the layers are applied one by one.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use proptest::prelude::*;

use crate::path::{is_within, join, parent};
use crate::{Chain, ContentDigest, Entry, EntryKind, Meta, Origin, Tree};

fn directory(path: &str) -> Entry {
    Entry::implied_directory(path.as_bytes())
}

fn file(path: &str, content: &str) -> Entry {
    let kind = EntryKind::File {
        size: content.len() as u64,
        offset: 0,
        content: ContentDigest::of(content.as_bytes()),
    };
    Entry::new(path.as_bytes(), kind, Meta::root(0o644, 7))
}

fn link(path: &str, target: &str) -> Entry {
    Entry::new(
        path.as_bytes(),
        EntryKind::Symlink {
            target: target.as_bytes().into(),
        },
        Meta::root(0o777, 7),
    )
}

fn whiteout(path: &str) -> Entry {
    Entry::whiteout(path.as_bytes())
}

fn opaque(path: &str) -> Entry {
    Entry {
        kind: EntryKind::Directory { opaque: true },
        ..directory(path)
    }
}

fn chain(layers: Vec<Vec<Entry>>) -> Chain {
    Chain::new(
        layers
            .into_iter()
            .map(|entries| (Arc::new(Tree::new(entries)), Origin::Nowhere))
            .collect(),
    )
}

fn resolved(chain: &Chain, path: &str) -> String {
    String::from_utf8(chain.resolve(path.as_bytes(), true).unwrap().path).unwrap()
}

#[test]
fn upper_layers_hide_lower_ones() {
    let chain = chain(vec![
        vec![
            file("a/x", "1"),
            file("a/y", "1"),
            file("b/x", "1"),
            file("c", "1"),
        ],
        vec![
            whiteout("a/x"),
            opaque("b"),
            file("b/z", "2"),
            file("c/d", "2"),
        ],
    ]);
    let shown: Vec<_> = chain
        .walk(b"")
        .iter()
        .map(|found| String::from_utf8_lossy(&found.entry.path).into_owned())
        .collect();
    assert_eq!(shown, ["", "a", "a/y", "b", "b/z", "c", "c/d"]);
    assert!(chain.lookup(b"b/x").is_none() && chain.lookup(b"a/x").is_none());
    let names: Vec<_> = chain
        .children(b"a")
        .into_iter()
        .map(|(name, found)| (name, found.layer))
        .collect();
    assert_eq!(names, [(&b"y"[..], Some(0))]);
}

#[test]
fn an_opaque_root_hides_everything_below() {
    let chain = chain(vec![
        vec![file("old", "")],
        vec![opaque(""), file("new", "")],
    ]);
    assert!(chain.lookup(b"old").is_none() && chain.lookup(b"new").is_some());
}

#[test]
fn links_stay_inside_the_root() {
    let chain = chain(vec![vec![
        file("usr/lib/libc", ""),
        link("lib", "usr/lib"),
        link("abs", "/lib/libc"),
        link("up", "../../../usr"),
        link("a/rel", "../lib/./libc"),
    ]]);
    assert_eq!(resolved(&chain, "/lib/libc"), "usr/lib/libc");
    assert_eq!(resolved(&chain, "abs"), "usr/lib/libc");
    assert_eq!(resolved(&chain, "up/lib"), "usr/lib");
    assert_eq!(resolved(&chain, "a/rel"), "usr/lib/libc");
    assert_eq!(resolved(&chain, "lib/new/../file"), "usr/lib/file");
    assert_eq!(chain.resolve(b"abs", false).unwrap().path, b"abs");
    assert_eq!(resolved(&chain, "../.."), "");
}

#[test]
fn a_loop_is_an_error() {
    let chain = chain(vec![vec![link("a", "b"), link("b", "a")]]);
    assert!(chain.resolve(b"a/x", true).is_err());
    assert!(chain.resolve(b"a", false).is_ok());
}

#[test]
fn content_of_a_folder_is_read_without_following_links() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "hello").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("l")).unwrap();
    let tree = Tree::new(vec![file("f", "hello"), file("l", "x")]);
    let chain = Chain::new(vec![(
        Arc::new(tree),
        Origin::Directory(Arc::new(dir.path().to_owned())),
    )]);
    let mut text = String::new();
    chain
        .read(&chain.lookup(b"f").unwrap())
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "hello");
    assert!(chain.read(&chain.lookup(b"l").unwrap()).is_err());
}

/// The reference: applies a layer to a map of what shows.
fn apply(shown: &mut BTreeMap<Vec<u8>, Entry>, layer: &Tree) {
    for entry in layer.entries() {
        let path = entry.path.to_vec();
        let replaces = match entry.kind {
            EntryKind::Directory { opaque: false } => {
                shown.get(&path).is_some_and(|old| !old.is_directory())
            }
            _ => true,
        };
        if replaces {
            shown.retain(|old, _| !is_within(old, &path));
        }
        if entry.kind != EntryKind::Whiteout {
            shown.insert(path, entry.clone());
        }
    }
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let name = prop::sample::select(vec!["a", "b", "a-b", "a0", "c"]);
    let path = prop::collection::vec(name, 1..4).prop_map(|parts| parts.join("/"));
    let entry = (path, 0..6u8).prop_map(|(path, kind)| match kind {
        0 => directory(&path),
        1 => opaque(&path),
        2 => whiteout(&path),
        3 => link(&path, "a"),
        _ => file(&path, "content"),
    });
    prop::collection::vec(entry, 0..12).prop_map(consistent)
}

/// Drops entries below things that are no directories: real layers hold none.
fn consistent(entries: Vec<Entry>) -> Vec<Entry> {
    let mut kept: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
    for entry in entries {
        let mut above = parent(&entry.path);
        let mut fits = !kept
            .keys()
            .any(|path| path.starts_with(&join(&entry.path, b"")));
        while let Some(path) = above {
            fits &= kept.get(path).is_none_or(Entry::is_directory);
            above = parent(path);
        }
        if fits {
            kept.insert(entry.path.to_vec(), entry);
        }
    }
    kept.into_values().collect()
}

proptest! {
    #[test]
    fn look_ups_agree_with_the_reference(layers in prop::collection::vec(entries(), 1..5)) {
        let trees: Vec<_> = layers.into_iter().map(|entries| Arc::new(Tree::new(entries))).collect();
        let mut shown = BTreeMap::new();
        trees.iter().for_each(|tree| apply(&mut shown, tree));
        let chain = Chain::new(trees.iter().map(|tree| (tree.clone(), Origin::Nowhere)).collect());
        let walked: Vec<_> = chain.walk(b"").into_iter().skip(1).map(|found| found.entry.clone()).collect();
        prop_assert_eq!(&walked, &shown.values().cloned().collect::<Vec<_>>());
        for tree in &trees {
            for entry in tree.entries() {
                prop_assert_eq!(chain.lookup(&entry.path).map(|found| found.entry), shown.get(&*entry.path));
                let children: Vec<_> = chain.children(&entry.path).into_iter().map(|(_, found)| found.entry).collect();
                let expected: Vec<_> = shown.values().filter(|child| parent(&child.path) == Some(&*entry.path)).collect();
                prop_assert_eq!(children, expected);
            }
        }
    }
}
