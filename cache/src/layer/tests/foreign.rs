//! Tars from outside: what counts is what unpacking would give.

use kiln_oci::tarfile::Kind::{CharDevice, Directory, File, HardLink, Symlink};

use crate::tests::{Item, item, tar};
use crate::{ContentDigest, EntryKind, LayerError, LayerIndex, index_tar};

fn index(items: &[Item]) -> LayerIndex {
    index_tar(tar(items).as_slice()).unwrap()
}

fn listed(items: &[Item]) -> Vec<String> {
    let letter = |kind: &EntryKind| match kind {
        EntryKind::Directory { opaque: true } => 'o',
        EntryKind::Directory { .. } => 'd',
        EntryKind::File { .. } => 'f',
        EntryKind::Symlink { .. } => 'l',
        EntryKind::Whiteout => 'w',
        _ => 's',
    };
    index(items)
        .tree
        .entries()
        .iter()
        .map(|entry| {
            format!(
                "{} {}",
                letter(&entry.kind),
                crate::path::display(&entry.path)
            )
        })
        .collect()
}

fn content(index: &LayerIndex, path: &str) -> ContentDigest {
    match index.tree.get(path.as_bytes()).unwrap().kind {
        EntryKind::File { content, .. } => content,
        _ => panic!("{path} is no file"),
    }
}

#[test]
fn names_are_made_clean_and_stay_inside() {
    let shown = listed(&[
        item("./a/", Directory, ""),
        item("/a/../b", File, "1"),
        item("x/y/z", File, "1"),
    ]);
    assert_eq!(shown, ["d a", "f b", "d x", "d x/y", "f x/y/z"]);
}

#[test]
fn the_last_entry_of_a_path_wins() {
    let layer = index(&[
        item("a", File, "old"),
        item("a", File, "new"),
        item("d/x", File, ""),
        item("d", File, ""),
        item("e", File, ""),
        item("e/x", File, ""),
    ]);
    assert_eq!(content(&layer, "a"), ContentDigest::of(b"new"));
    assert!(layer.tree.get(b"d").unwrap().is_file() && layer.tree.get(b"d/x").is_none());
    assert!(layer.tree.get(b"e").unwrap().is_directory() && layer.tree.get(b"e/x").is_some());
}

#[test]
fn a_directory_given_twice_keeps_its_content() {
    assert_eq!(
        listed(&[
            item("d", Directory, ""),
            item("d/x", File, ""),
            item("d", Directory, "")
        ]),
        ["d d", "f d/x"]
    );
}

#[test]
fn whiteouts_hide_lower_layers_only() {
    let shown = listed(&[
        item("a/.wh.gone", File, ""),
        item("a/.wh.kept", File, ""),
        item("a/kept", File, ""),
        item("b/.wh..wh..opq", File, ""),
        item("b/x", File, ""),
        item(".wh.c", File, ""),
        item("c/y", File, ""),
        item(".wh..wh.plnk/12", File, ""),
        item(".wh...", File, ""),
    ]);
    assert_eq!(
        shown,
        [
            "d a", "w a/gone", "f a/kept", "o b", "f b/x", "o c", "f c/y"
        ]
    );
}

#[test]
fn links_through_links_are_followed_within_the_layer() {
    let shown = listed(&[
        item("usr/lib", Directory, ""),
        item("lib", Symlink, "/usr/./lib"),
        item("lib/x", File, ""),
        item("lib/.wh.y", File, ""),
    ]);
    assert_eq!(
        shown,
        ["l lib", "d usr", "d usr/lib", "f usr/lib/x", "w usr/lib/y"]
    );
    let looped = index_tar(tar(&[item("a", Symlink, "a"), item("a/x", File, "")]).as_slice());
    assert!(matches!(looped, Err(LayerError::BadName { .. })));
}

#[test]
fn hard_links_are_inodes() {
    let layer = index(&[
        item("z", HardLink, "a"),
        item("a", File, "1"),
        item("b", HardLink, "./a"),
        item("a", File, "2"),
    ]);
    let group = |path: &str| layer.tree.get(path.as_bytes()).unwrap().links;
    // `b` is the old `a`, whose other names are gone; `z` came to the new one
    assert_eq!(
        (content(&layer, "b"), group("b")),
        (ContentDigest::of(b"1"), 0)
    );
    assert_eq!(
        (content(&layer, "z"), group("z")),
        (ContentDigest::of(b"2"), group("a"))
    );
    assert_ne!(group("a"), 0);
}

#[test]
fn a_hard_link_into_a_lower_layer_is_refused() {
    let refused = index_tar(tar(&[item("b", HardLink, "elsewhere")]).as_slice());
    assert!(matches!(refused, Err(LayerError::LinkTarget { .. })));
}

#[test]
fn an_overlay_whiteout_device_is_skipped() {
    assert_eq!(
        listed(&[item("dev/x", CharDevice, ""), item("a", File, "")]),
        ["f a"]
    );
}

#[test]
fn long_names_are_refused() {
    let long: &'static str = Box::leak("x".repeat(300).into_boxed_str());
    assert!(matches!(
        index_tar(tar(&[item(long, File, "")]).as_slice()),
        Err(LayerError::BadName { .. })
    ));
}

#[test]
fn the_diff_id_covers_every_byte() {
    let mut bytes = tar(&[item("a", File, "x")]);
    bytes.extend_from_slice(&[0; 10_240]);
    let layer = index_tar(bytes.as_slice()).unwrap();
    assert_eq!(
        (layer.diff_id, layer.tar_size),
        (kiln_oci::Digest::of(&bytes), bytes.len() as u64)
    );
}

#[test]
fn a_cut_off_tar_is_an_error() {
    let bytes = tar(&[item("a", File, "hello")]);
    for length in [100, 513, 514] {
        assert!(
            matches!(index_tar(&bytes[..length]), Err(LayerError::Tar(_))),
            "{length}"
        );
    }
}
