//! Examples, and random layers: what was written and is not hidden is what shows.

use super::*;
use crate::classify::tests::Member::{File, Folder, Opaque, Whiteout};
use crate::classify::tests::{Member, layer, tar_of};
use kiln_cache::{Chain, Origin, index_tar};
use proptest::prelude::*;

fn file(path: &str, letter: u8, size: usize) -> Member {
    File(path.to_owned(), letter, size)
}

/// Layer, action, written, hidden.
fn told(layers: &[ImageLayer], path: &str) -> Vec<(usize, String, u64, u64)> {
    let touches = blame(layers, path.as_bytes());
    let told = touches.iter().map(|touch| {
        let fields = match &touch.action {
            Action::Changed(fields) => fields.iter().map(|field| field.name()).collect(),
            _ => Vec::new(),
        };
        let action = match &touch.action {
            Action::Kept => "kept".to_owned(),
            Action::Written => "written".to_owned(),
            Action::Changed(_) => format!("changed {}", fields.join(" ")),
            Action::Deleted => format!(
                "deleted {}",
                String::from_utf8_lossy(touch.by.unwrap_or(b"-"))
            ),
        };
        (touch.layer, action, touch.written, touch.hidden)
    });
    told.collect()
}

fn row(layer: usize, action: &str, written: u64, hidden: u64) -> (usize, String, u64, u64) {
    (layer, action.to_owned(), written, hidden)
}

#[test]
fn a_file_is_followed_from_layer_to_layer() {
    let chmod = index_tar(&*tar_of(&[file("d/a", b'y', 7)], 0o600)).unwrap();
    let layers = [
        layer(&[file("d/a", b'x', 5), file("d/b", b'x', 50)]),
        layer(&[file("other", b'x', 5)]),
        layer(&[file("d/a", b'y', 7)]),
        ImageLayer::plain(chmod),
        layer(&[Whiteout("d/a".to_owned())]),
        layer(&[file("d/a", b'z', 1)]),
        layer(&[Opaque("d".to_owned())]),
        layer(&[file("d/a", b'z', 2)]),
        layer(&[Whiteout("d".to_owned())]),
    ];
    let wanted = [
        row(0, "written", 5, 0),
        row(2, "changed content", 7, 5),
        row(3, "changed mode", 7, 7),
        row(4, "deleted -", 0, 7),
        row(5, "written", 1, 0),
        row(6, "deleted d", 0, 1),
        row(7, "written", 2, 0),
        row(8, "deleted d", 0, 2),
    ];
    assert_eq!(told(&layers, "d/a"), wanted);
    assert_eq!(told(&layers, "nothing"), []);
}

#[test]
fn a_folder_tells_what_is_below_it() {
    let layers = [
        layer(&[
            Folder("d".to_owned()),
            file("d/a", b'x', 5),
            file("d-b", b'x', 50),
        ]),
        layer(&[
            Folder("d".to_owned()),
            file("d/s/b", b'x', 6),
            file("d/a", b'x', 5),
        ]),
        layer(&[Whiteout("d/s".to_owned())]),
        layer(&[file("d", b'x', 1)]),
    ];
    let wanted = [
        row(0, "written", 5, 0),
        row(1, "kept", 11, 5),
        row(2, "kept", 0, 6),
        row(3, "changed type", 1, 5),
    ];
    assert_eq!(told(&layers, "d"), wanted);
    let below = blame(&layers, b"d")[1].below;
    assert_eq!((below.written, below.touched, below.changed), (1, 1, 0));
}

fn member() -> impl Strategy<Value = Member> {
    let path = prop_oneof!["[ab]", "[ab]/[cd]", "[ab]/[cd]/[ef]"];
    let file = (path.clone(), 0_u8..3, 0_usize..5)
        .prop_map(|(path, letter, size)| File(path, letter, size));
    let other = (path, 0..3).prop_map(|(path, kind)| match kind {
        0 => Whiteout(path),
        1 => Opaque(path),
        _ => Folder(path),
    });
    prop_oneof![3 => file, 2 => other]
}

proptest! {
    #[test]
    fn what_was_written_and_is_not_hidden_shows(
        layers in proptest::collection::vec(proptest::collection::vec(member(), 0..6), 1..6),
        path in prop_oneof!["", "[ab]", "[ab]/[cd]"],
    ) {
        // a tar whose names exclude each other is another topic
        let layers: Vec<ImageLayer> = layers
            .iter()
            .filter_map(|members| index_tar(&*tar_of(members, 0o644)).ok())
            .map(ImageLayer::plain)
            .collect();
        let trees = layers.iter().map(|layer| (layer.index.tree.clone(), Origin::Nowhere));
        let chain = Chain::new(trees.collect());
        let shown: u64 = chain.walk(path.as_bytes()).iter().map(|found| found.entry.size()).sum();
        let touches = blame(&layers, path.as_bytes());
        let written: u64 = touches.iter().map(|touch| touch.written).sum();
        let hidden: u64 = touches.iter().map(|touch| touch.hidden).sum();
        prop_assert_eq!(written - hidden, shown);
        let last = touches.iter().rev().find(|touch| touch.action != Action::Kept);
        let is_there = last.is_some_and(|touch| touch.action != Action::Deleted);
        prop_assert!(path.is_empty() || is_there == chain.lookup(path.as_bytes()).is_some());
    }
}
