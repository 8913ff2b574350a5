//! One example of each class.

use super::{Member, layer};
use crate::classify::{Class, Classes, classify};

fn file(path: &str, letter: u8, size: usize) -> Member {
    Member::File(path.to_owned(), letter, size)
}

/// The bytes of each class but the headers, of the whole image.
fn bytes(layers: &[Vec<Member>]) -> Vec<(&'static str, u64)> {
    let layers: Vec<_> = layers.iter().map(|members| layer(members)).collect();
    let classified = classify(&layers);
    for (layer, classified) in layers.iter().zip(&classified.layers) {
        assert_eq!(classified.classes.total(), layer.index.tar_size);
    }
    let total: Classes = classified.total();
    let shown = Class::ALL
        .into_iter()
        .filter(|class| *class != Class::Headers);
    let shown = shown.map(|class| (class.name(), total.get(class)));
    shown.filter(|(_, bytes)| *bytes > 0).collect()
}

#[test]
fn a_later_layer_overwrites_rewrites_and_deletes() {
    let base = vec![
        file("etc/conf", b'a', 100),
        file("usr/bin/tool", b'b', 2000),
        file("var/list", b'c', 30_000),
        file("var/cache/one", b'd', 400_000),
        file("opt/x", b'e', 5_000_000),
    ];
    let above = vec![
        file("etc/conf", b'z', 90),
        file("usr/bin/tool", b'b', 2000),
        Member::Whiteout("var/list".into()),
        Member::Whiteout("var/cache".into()),
        Member::Opaque("opt".into()),
    ];
    let expected = [
        ("live", 2090),
        ("overwritten", 100),
        ("rewritten", 2000),
        ("deleted", 5_430_000),
    ];
    assert_eq!(bytes(&[base, above]), expected);
}

#[test]
fn a_file_in_the_place_of_a_folder_deletes_what_was_in_it() {
    let base = vec![file("a/b/c", b'a', 10), file("a-b", b'b', 7)];
    let above = vec![file("a", b'c', 3)];
    assert_eq!(bytes(&[base, above]), [("live", 10), ("deleted", 10)]);
}

#[test]
fn a_folder_that_is_made_anew_overwrites_what_it_has_again() {
    let base = vec![file("d/a", b'a', 10), file("d/b", b'b', 20)];
    let above = vec![Member::Opaque("d".into()), file("d/a", b'a', 10)];
    let expected = [("live", 10), ("rewritten", 10), ("deleted", 20)];
    assert_eq!(bytes(&[base, above]), expected);
}

#[test]
fn hard_links_have_their_bytes_once_and_the_last_name_decides() {
    let link = |path: &str| Member::Link(path.into(), "a".into());
    let base = || vec![file("a", b'a', 1000), link("b"), link("c")];
    let gone = |path: &str| Member::Whiteout(path.into());
    assert_eq!(bytes(&[base()]), [("live", 1000)]);
    assert_eq!(bytes(&[base(), vec![gone("a")]]), [("live", 1000)]);
    let all = vec![gone("a"), gone("b"), file("c", b'x', 1)];
    assert_eq!(bytes(&[base(), all]), [("live", 1), ("overwritten", 1000)]);
    let one_by_one = [base(), vec![gone("a"), file("c", b'x', 1)], vec![gone("b")]];
    assert_eq!(bytes(&one_by_one), [("live", 1), ("deleted", 1000)]);
}

#[test]
fn the_same_content_at_two_places_counts_once_as_live() {
    let base = vec![file("a", b'a', 1000), file("gone", b'b', 10)];
    let above = vec![
        file("0", b'a', 1000),
        file("b", b'b', 10),
        Member::Whiteout("gone".into()),
        file("empty", b'c', 0),
        file("empty too", b'c', 0),
    ];
    let expected = [("live", 1010), ("duplicate", 1000), ("deleted", 10)];
    assert_eq!(bytes(&[base, above]), expected);
}

#[test]
fn what_the_tar_itself_replaces_is_no_content_of_the_layer() {
    let twice = vec![file("a", b'a', 600), file("a", b'b', 10)];
    assert_eq!(bytes(&[twice]), [("live", 10)]);
}

#[test]
fn an_image_without_layers_wastes_nothing() {
    assert!((classify(&[]).total().efficiency() - 1.0).abs() < f64::EPSILON);
}
