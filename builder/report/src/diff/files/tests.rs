//! Examples, and random images against a comparison of two maps.

use super::*;
use crate::classify::tests::Member::{File, Link, Symlink, Whiteout};
use crate::classify::tests::{Member, layer, tar_of};
use crate::image::ImageLayer;
use kiln_cache::index_tar;
use kiln_oci::{Digest, ImageConfig};
use proptest::prelude::*;

fn image(layers: Vec<ImageLayer>) -> Image {
    Image {
        id: Digest::of(b"image"),
        config: ImageConfig::default(),
        layers,
        base: 0,
    }
}

fn file(path: &str, letter: u8, size: usize) -> Member {
    File(path.to_owned(), letter, size)
}

fn told(changes: &FileChanges) -> Vec<String> {
    let told = changes.changes.iter().map(|change| {
        let bytes = |side: Option<Side>| side.map_or("-".to_owned(), |side| side.bytes.to_string());
        let from = match &change.kind {
            ChangeKind::Renamed { from } => String::from_utf8_lossy(from).into_owned(),
            ChangeKind::Metadata(fields) => format!("{fields:?}"),
            _ => String::new(),
        };
        let path = String::from_utf8_lossy(&change.path);
        format!(
            "{} {path} {} {} {from}",
            change.kind.name(),
            bytes(change.old),
            bytes(change.new)
        )
    });
    told.collect()
}

#[test]
fn each_kind_of_change() {
    let old = image(vec![layer(&[
        file("same", b'x', 3),
        file("gone", b'x', 4),
        file("grown", b'x', 5),
        file("mode", b'x', 6),
        file("a/moved", b'm', 7),
        file("a/other", b'm', 7),
        Symlink("link".to_owned()),
        file("type", b'x', 1),
    ])]);
    let mode = index_tar(&*tar_of(&[file("mode", b'x', 6)], 0o600)).unwrap();
    let new = image(vec![
        layer(&[
            file("same", b'x', 3),
            file("mode", b'x', 6),
            file("never", b'n', 9),
        ]),
        layer(&[
            file("grown", b'y', 50),
            file("b/moved", b'm', 7),
            file("new", b'x', 8),
            Link("z".to_owned(), "new".to_owned()),
            Symlink("link".to_owned()),
            Symlink("type".to_owned()),
            Whiteout("never".to_owned()),
        ]),
        ImageLayer::plain(mode),
    ]);
    let changes = files(&old, &new);
    let wanted = [
        "removed a - -",
        "removed a/other 7 - ",
        "added b - 0 ",
        "renamed b/moved 7 7 a/moved",
        "removed gone 4 - ",
        "content grown 5 50 ",
        "metadata mode 6 6 [Mode]",
        "added new - 8 ",
        "content type 1 0 ",
        "added z - 0 ",
    ];
    let wanted = wanted.map(|line| {
        if line == "removed a - -" {
            "removed a 0 - "
        } else {
            line
        }
    });
    assert_eq!(told(&changes), wanted);
    // the root is a path too
    assert_eq!((changes.same, changes.retimed), (3, 0));
    assert_eq!(changes.folders(1)[&b"a"[..]].old, 7);
    let own = super::super::layers::layers(&old, &new, &changes);
    assert_eq!((own.shared, own.old.len(), own.new.len()), (0, 1, 3));
    assert_eq!((own.new[1].paths, own.new[1].content), (6, 65));
    assert_eq!(files(&old, &old).changes, []);
}

proptest! {
    #[test]
    fn it_is_what_maps_say(
        old in proptest::collection::btree_map("[a-d]/[a-d]", (0_u8..3, 0_usize..4), 0..8),
        new in proptest::collection::btree_map("[a-d]/[a-d]", (0_u8..3, 0_usize..4), 0..8),
    ) {
        let of = |files: &BTreeMap<String, (u8, usize)>| {
            let members: Vec<Member> = files.iter().map(|(path, (letter, size))| file(path, *letter, *size)).collect();
            image(vec![layer(&members)])
        };
        let changes = files(&of(&old), &of(&new));
        let sum = |files: &BTreeMap<String, (u8, usize)>| files.values().map(|(_, size)| *size as i64).sum::<i64>();
        let growth: i64 = changes.totals().iter().map(|(_, totals)| totals.growth()).sum();
        prop_assert_eq!(growth, sum(&new) - sum(&old));
        let content = |file: &(u8, usize)| vec![file.0; file.1];
        for (path, file) in &new {
            let change = changes.changes.iter().find(|change| *change.path == *path.as_bytes());
            let is_same = old.get(path).is_some_and(|old| content(old) == content(file));
            prop_assert_eq!(change.is_none(), is_same);
            match change.map(|change| &change.kind) {
                Some(ChangeKind::Renamed { from }) => {
                    let from = std::str::from_utf8(from).unwrap();
                    prop_assert_eq!(content(&old[from]), content(file));
                    prop_assert!(!new.contains_key(from));
                }
                Some(ChangeKind::Content) => prop_assert!(old.contains_key(path)),
                Some(other) => prop_assert_eq!(other, &ChangeKind::Added),
                None => {}
            }
        }
    }
}
