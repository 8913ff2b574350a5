//! What the tests of this crate share.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kiln_oci::tarfile::{HeaderFields, Kind, write_end, write_header, write_padding};
use tempfile::TempDir;

use crate::{Chain, Entry, EntryKind, Layer, LayerWriter, Meta, OpenOptions, Store};

/// The time of the tests' clock.
pub(crate) const NOW: i64 = 1_700_000_000;

fn clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs())
}

pub(crate) fn options(root: &Path) -> OpenOptions {
    OpenOptions {
        root: root.to_owned(),
        id_map_key: "test".to_owned(),
        rootless: false,
        single_id: false,
        boot_id: "boot-1".to_owned(),
        read_only: false,
        now: clock,
        waiter: std::sync::Arc::new(crate::Silent),
    }
}

/// A fresh store, gone with the folder.
pub(crate) fn store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(&dir.path().join("store"))).unwrap();
    (dir, store)
}

/// Whether the test runs as root; says so when it does not.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: whiteouts, owners and devices need root");
    }
    root
}

/// One entry of a hand-made tar.
pub(crate) struct Item {
    pub(crate) path: &'static str,
    pub(crate) kind: Kind,
    pub(crate) link: &'static str,
    pub(crate) content: &'static str,
}

pub(crate) fn item(path: &'static str, kind: Kind, text: &'static str) -> Item {
    let is_link = matches!(kind, Kind::Symlink | Kind::HardLink);
    let (link, content) = if is_link { (text, "") } else { ("", text) };
    Item {
        path,
        kind,
        link,
        content,
    }
}

/// A tar of `items`, in their order.
pub(crate) fn tar(items: &[Item]) -> Vec<u8> {
    let mut out = Vec::new();
    for item in items {
        let fields = HeaderFields {
            path: item.path.as_bytes(),
            kind: item.kind,
            mode: if item.kind == Kind::Directory {
                0o755
            } else {
                0o644
            },
            uid: 0,
            gid: 0,
            size: item.content.len() as u64,
            mtime: 5,
            link: item.link.as_bytes(),
            device: (0, 0),
            xattrs: &[],
        };
        write_header(&mut out, &fields).unwrap();
        out.extend_from_slice(item.content.as_bytes());
        write_padding(&mut out, item.content.len() as u64).unwrap();
    }
    write_end(&mut out).unwrap();
    out
}

/// A tree to be written: entries with the content of files.
pub(crate) type Described = Vec<(Entry, Vec<u8>)>;

/// Writes the entries with a layer writer.
pub(crate) fn write_layer(store: &Store, below: &Chain, described: &Described) -> Option<Layer> {
    let mut writer = store.layers().writer(below).unwrap();
    let mut firsts: std::collections::HashMap<u32, Box<[u8]>> = std::collections::HashMap::new();
    for (entry, content) in described {
        match firsts.get(&entry.links).filter(|_| entry.links != 0) {
            Some(first) => writer.hardlink(&entry.path, first).unwrap(),
            None => write_entry(&mut writer, entry, content),
        }
        firsts
            .entry(entry.links)
            .or_insert_with(|| entry.path.clone());
    }
    writer.finish().unwrap()
}

fn write_entry(writer: &mut LayerWriter, entry: &Entry, content: &[u8]) {
    let (path, meta): (&[u8], Meta) = (&entry.path, entry.meta());
    match &entry.kind {
        EntryKind::Directory { opaque } => {
            writer.directory(path, &meta).unwrap();
            if *opaque {
                writer.opaque(path).unwrap();
            }
        }
        EntryKind::File { .. } => drop(
            writer
                .file(path, &meta, content.len() as u64, &mut &*content)
                .unwrap(),
        ),
        EntryKind::Symlink { target } => writer.symlink(path, &meta, target).unwrap(),
        EntryKind::Whiteout => writer.whiteout(path).unwrap(),
        kind => writer.special(path, &meta, kind).unwrap(),
    }
}

/// A file entry with its content.
pub(crate) fn file(path: &str, content: &str, mode: u32) -> (Entry, Vec<u8>) {
    let kind = EntryKind::File {
        size: content.len() as u64,
        offset: 0,
        content: crate::ContentDigest::of(content.as_bytes()),
    };
    (
        Entry::new(path.as_bytes(), kind, Meta::root(mode, 100)),
        content.as_bytes().to_vec(),
    )
}

/// A directory entry.
pub(crate) fn directory(path: &str, mode: u32) -> (Entry, Vec<u8>) {
    (
        Entry::new(
            path.as_bytes(),
            EntryKind::Directory { opaque: false },
            Meta::root(mode, 100),
        ),
        Vec::new(),
    )
}

/// Paths of a layer with a letter for their type.
pub(crate) fn paths(layer: &Layer) -> Vec<String> {
    let letter = |entry: &Entry| match entry.kind {
        EntryKind::Directory { opaque: true } => 'o',
        EntryKind::Directory { .. } => 'd',
        EntryKind::File { .. } => 'f',
        EntryKind::Symlink { .. } => 'l',
        EntryKind::Whiteout => 'w',
        _ => 's',
    };
    layer
        .index
        .tree
        .entries()
        .iter()
        .map(|entry| format!("{} {}", letter(entry), crate::path::display(&entry.path)))
        .collect()
}
