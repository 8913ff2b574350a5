//! `unpack(pack(tree)) == tree`, and the index file.

use std::collections::BTreeMap;
use std::io::Read;

use proptest::prelude::*;

use crate::layer::codec;
use crate::tests::{Described, directory, file, is_root, store, write_layer};
use crate::{Chain, CommitOptions, ContentDigest, Entry, EntryKind, LayerError, Meta, index_tar};

fn meta() -> impl Strategy<Value = Meta> {
    let xattr = prop::sample::select(vec!["user.a", "user.long-name", "security.capability"]);
    let value = prop_oneof![
        Just(b"value".to_vec()),
        Just(Vec::new()),
        Just(vec![0xff, 0, b'\n'])
    ];
    let xattrs = prop::collection::btree_map(xattr, value, 0..2);
    (
        0..0o10000u32,
        0..70_000u32,
        prop::sample::select(vec![0u32, 5, 3_000_000]),
        -5i64..9_000_000_000,
        xattrs,
    )
        .prop_map(|(mode, uid, gid, mtime, xattrs)| {
            // a capability has its own format, which the kernel checks
            let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let value = |name: &str, value: Vec<u8>| {
                if name.starts_with("security") {
                    capability.to_vec()
                } else {
                    value
                }
            };
            let xattrs = xattrs
                .into_iter()
                .map(|(name, bytes)| (name.as_bytes().into(), value(name, bytes).into()))
                .collect();
            Meta {
                mode,
                uid,
                gid,
                mtime,
                xattrs,
            }
        })
}

fn entry() -> impl Strategy<Value = (Vec<String>, u8, Meta, Vec<u8>)> {
    let long = "n".repeat(120);
    let name = prop_oneof![
        prop::sample::select(vec!["a", "b", "a-b", "a0", "\u{fc}\n"]).prop_map(str::to_owned),
        Just(long)
    ];
    (
        prop::collection::vec(name, 1..5),
        0..8u8,
        meta(),
        prop::collection::vec(any::<u8>(), 0..2000),
    )
}

/// A tree as a file system can hold it, with parents, in path order.
fn tree() -> impl Strategy<Value = Described> {
    prop::collection::vec(entry(), 0..25).prop_map(|drafts| {
        let mut entries: BTreeMap<Vec<u8>, (Entry, Vec<u8>)> = BTreeMap::new();
        for (parts, kind, meta, content) in drafts {
            let path = parts.join("/").into_bytes();
            let mut above = crate::path::parent(&path);
            let mut fits = !entries.contains_key(&path);
            while let Some(directory) = above.filter(|directory| !directory.is_empty()) {
                fits &= entries
                    .get(directory)
                    .is_none_or(|(entry, _)| entry.is_directory());
                above = crate::path::parent(directory);
            }
            if fits {
                let mut above = crate::path::parent(&path);
                while let Some(directory) = above.filter(|directory| !directory.is_empty()) {
                    entries
                        .entry(directory.to_vec())
                        .or_insert_with(|| (Entry::implied_directory(directory), Vec::new()));
                    above = crate::path::parent(directory);
                }
                entries.insert(path.clone(), described(&path, kind, meta, content));
            }
        }
        link_some(entries.into_values().collect())
    })
}

fn described(path: &[u8], kind: u8, meta: Meta, content: Vec<u8>) -> (Entry, Vec<u8>) {
    let plain = Meta {
        xattrs: Vec::new(),
        ..meta.clone()
    };
    match kind {
        0 | 1 => {
            let xattrs = meta
                .xattrs
                .into_iter()
                .filter(|(name, _)| name.starts_with(b"user."))
                .collect();
            (
                Entry::new(
                    path,
                    EntryKind::Directory { opaque: false },
                    Meta { xattrs, ..plain },
                ),
                Vec::new(),
            )
        }
        2 => (
            Entry::new(
                path,
                EntryKind::Symlink {
                    target: b"../some/where".as_slice().into(),
                },
                Meta {
                    mode: 0o777,
                    ..plain
                },
            ),
            Vec::new(),
        ),
        3 => (Entry::new(path, EntryKind::Fifo, plain), Vec::new()),
        4 => (
            Entry::new(path, EntryKind::Char { major: 1, minor: 3 }, plain),
            Vec::new(),
        ),
        _ => {
            let kind = EntryKind::File {
                size: content.len() as u64,
                offset: 0,
                content: ContentDigest::of(&content),
            };
            (Entry::new(path, kind, meta), content)
        }
    }
}

/// Makes the second of two neighbouring files another name of the first.
fn link_some(mut entries: Described) -> Described {
    let mut group = 0;
    for at in 1..entries.len() {
        let (before, after) = entries.split_at_mut(at);
        let (first, second) = (&mut before[at - 1], &mut after[0]);
        if first.0.is_file() && second.0.is_file() && first.0.mode % 3 == 0 {
            if first.0.links == 0 {
                group += 1;
                first.0.links = group;
            }
            let path = second.0.path.clone();
            *second = (
                Entry {
                    path,
                    ..first.0.clone()
                },
                first.1.clone(),
            );
        }
    }
    entries
}

fn without_offsets(entries: &[Entry]) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    for entry in &mut entries {
        if let EntryKind::File { offset, .. } = &mut entry.kind {
            *offset = 0;
        }
    }
    entries
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_tree_survives_packing_and_unpacking(described in tree()) {
        if !is_root() {
            return Ok(());
        }
        let (_dir, store) = store();
        let empty = Chain::new(Vec::new());
        let Some(layer) = write_layer(&store, &empty, &described) else {
            prop_assert!(described.is_empty());
            return Ok(());
        };
        let written: Vec<Entry> = described.iter().map(|(entry, _)| entry.clone()).collect();
        prop_assert_eq!(&without_offsets(layer.index.tree.entries()), &written);
        // what we write is what we read
        let mut bytes = Vec::new();
        std::fs::File::open(layer.tar.path()).unwrap().read_to_end(&mut bytes).unwrap();
        prop_assert_eq!(&index_tar(bytes.as_slice()).unwrap(), &*layer.index);
        prop_assert_eq!(&codec::decode(&codec::encode(&layer.index)).unwrap(), &*layer.index);
        // as a directory it is the same tree, and packs to the same bytes
        let view = store.views().get(&[layer.diff_id()]).unwrap();
        let again = store.layers().commit_upper(view.lowers[0].path(), &empty, &CommitOptions::default()).unwrap();
        prop_assert_eq!(again.layer.unwrap().diff_id(), layer.diff_id());
        // and nothing of it differs from itself
        let chain = store.layers().chain(&[layer.diff_id()]).unwrap();
        let unchanged: Vec<_> = written.iter().filter(|entry| entry.links == 0).collect();
        let same = store.layers().commit_upper(view.lowers[0].path(), &chain, &CommitOptions::default()).unwrap();
        prop_assert!(same.layer.is_none() || unchanged.len() < written.len());
        for found in chain.walk(b"").iter().filter(|found| found.entry.is_file()) {
            let mut content = Vec::new();
            chain.read(found).unwrap().read_to_end(&mut content).unwrap();
            let EntryKind::File { content: digest, .. } = found.entry.kind else { unreachable!() };
            prop_assert_eq!(ContentDigest::of(&content), digest);
        }
    }

    #[test]
    fn a_damaged_index_is_refused(at in 0usize..400, bit in 0u8..8) {
        let (_dir, store) = store();
        let layer = write_layer(&store, &Chain::new(Vec::new()), &vec![directory("d", 0o755), file("d/f", "text", 0o644)]).unwrap();
        let mut bytes = codec::encode(&layer.index);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(matches!(codec::decode(&bytes), Err(LayerError::Index(_))));
        prop_assert!(codec::decode(&bytes[..at]).is_err());
    }
}

#[test]
fn parents_come_from_below() {
    let (_dir, store) = store();
    let empty = Chain::new(Vec::new());
    let below = write_layer(
        &store,
        &empty,
        &vec![directory("etc", 0o700), file("etc/old", "", 0o600)],
    )
    .unwrap();
    let chain = store.layers().chain(&[below.diff_id()]).unwrap();
    let above = write_layer(
        &store,
        &chain,
        &vec![file("etc-2/x", "", 0o600), file("etc/new/x", "", 0o600)],
    );
    assert!(above.is_some());
    let tree = &above.unwrap().index.tree;
    assert_eq!(
        (
            tree.get(b"etc").unwrap().mode,
            tree.get(b"etc/new").unwrap().mode
        ),
        (0o700, 0o755)
    );
}

#[test]
fn order_and_sizes_are_enforced() {
    let (_dir, store) = store();
    let mut writer = store.layers().writer(&Chain::new(Vec::new())).unwrap();
    let meta = Meta::root(0o644, 0);
    writer.file(b"b", &meta, 1, &mut &b"1"[..]).unwrap();
    for path in ["a", "b", "../x", "x//y", "x/"] {
        assert!(
            writer
                .file(path.as_bytes(), &meta, 0, &mut &b""[..])
                .is_err(),
            "{path}"
        );
    }
    for (path, content) in [("c", "1"), ("d", "123")] {
        let outcome = writer.file(path.as_bytes(), &meta, 2, &mut content.as_bytes());
        assert!(
            matches!(outcome, Err(LayerError::FileSize { .. })),
            "{path}"
        );
    }
    assert!(matches!(
        writer.hardlink(b"e", b"none"),
        Err(LayerError::LinkTarget { .. })
    ));
}

#[test]
fn a_layer_without_entries_is_none() {
    let (_dir, store) = store();
    assert!(
        store
            .layers()
            .writer(&Chain::new(Vec::new()))
            .unwrap()
            .finish()
            .unwrap()
            .is_none()
    );
}
