//! Examples, and random layers: what each layer writes adds up to it, and what is not removed is what shows.

use super::*;
use crate::classify::classify;
use crate::classify::tests::Member::{self, File, Folder, Opaque, Whiteout};
use crate::classify::tests::layer;
use crate::classify::tests::random::{members, sound};
use kiln_cache::{Chain, Origin};
use proptest::prelude::*;

fn file(path: &str, letter: u8, size: usize) -> Member {
    File(path.to_owned(), letter, size)
}

fn example() -> Vec<ImageLayer> {
    vec![
        layer(&[file("d/a", b'x', 5), file("d/b", b'x', 50)]),
        layer(&[file("d/a", b'y', 7), file("e", b'z', 1)]),
        layer(&[Whiteout("d".to_owned()), Folder("new".to_owned())]),
        layer(&[Opaque("new".to_owned()), file("e", b'z', 1)]),
    ]
}

/// State, bytes and hidden bytes of each path that a scope has.
fn told(layers: &[ImageLayer], from: usize, to: usize) -> Vec<(String, State, u64, u64)> {
    let (all, classified) = (Lifetimes::new(layers), classify(layers));
    let alone = all.measure(&classified, Scope { from, to });
    let sum = all.sum(&alone, |_, _| true);
    let told = sum.iter().enumerate().filter_map(|(id, measure)| {
        let path = String::from_utf8(all.path(id)).unwrap();
        let bytes = measure.classes.total();
        Some((path, measure.state?, bytes, measure.hidden))
    });
    let mut told: Vec<_> = told.filter(|(path, ..)| !path.is_empty()).collect();
    told.sort();
    told
}

#[test]
fn a_layer_adds_changes_and_removes() {
    let layers = example();
    let row = |path: &str, state, bytes, hidden| (path.to_owned(), state, bytes, hidden);
    use State::{Added, Changed, Removed, Unchanged};
    let wanted = [
        row("d", Changed, 7, 5),
        row("d/a", Changed, 7, 5),
        row("d/b", Unchanged, 0, 0),
        row("e", Added, 1, 0),
    ];
    assert_eq!(told(&layers, 1, 1), wanted);
    let wanted = [
        row("d", Removed, 0, 57),
        row("d/a", Removed, 0, 7),
        row("d/b", Removed, 0, 50),
        row("e", Unchanged, 0, 0),
        row("new", Added, 0, 0),
    ];
    assert_eq!(told(&layers, 2, 2), wanted);
    let all = told(&layers, 0, 3);
    assert_eq!(all[0], row("d", Removed, 62, 0));
    assert_eq!(all[3], row("e", Changed, 2, 0));
}

#[test]
fn each_layer_tells_what_it_does_to_a_path() {
    let layers = example();
    let (all, classified) = (Lifetimes::new(&layers), classify(&layers));
    let id = all.find(b"d").unwrap();
    let touches = all.touches(&layers, &classified, id);
    let told: Vec<_> = touches
        .iter()
        .map(|(at, touch)| (*at, touch.state, touch.written, touch.hidden, touch.below))
        .collect();
    let wanted = [
        (0, Some(State::Added), 55, 0, [2, 0, 0]),
        (1, None, 7, 5, [0, 1, 0]),
        (2, Some(State::Removed), 0, 57, [0, 0, 2]),
    ];
    assert_eq!(told, wanted);
}

proptest! {
    #[test]
    fn bytes_add_up_and_what_is_not_removed_shows(layers in proptest::collection::vec(members(), 1..6)) {
        let layers: Vec<ImageLayer> = layers.iter().map(|members| sound(members, 0o600)).collect();
        let (all, classified) = (Lifetimes::new(&layers), classify(&layers));
        for (at, layer) in classified.layers.iter().enumerate() {
            let alone = all.measure(&classified, Scope { from: at, to: at });
            let sum = all.sum(&alone, |_, _| true)[0].classes;
            prop_assert_eq!(sum.waste() + sum.get(crate::classify::Class::Live),
                layer.fates.iter().map(|fate| fate.bytes).sum::<u64>());
        }
        let trees = layers.iter().map(|layer| (layer.index.tree.clone(), Origin::Nowhere));
        let chain = Chain::new(trees.collect());
        let last = layers.len() - 1;
        let alone = all.measure(&classified, Scope { from: 0, to: last });
        for (id, measure) in alone.iter().enumerate().skip(1) {
            let is_there = chain.lookup(&all.path(id)).is_some();
            prop_assert_eq!(measure.state.is_some_and(|state| state != State::Removed), is_there);
        }
    }
}
