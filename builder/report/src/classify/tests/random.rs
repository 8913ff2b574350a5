//! Random stacks of layers: overwrites, deletions, opaque folders, hard links, changes of metadata alone, duplicates.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Member, layer, reference};
use crate::classify::classify;
use crate::image::ImageLayer;

/// Few names, so that they meet.
fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("a"), Just("b"), Just("a-b"), Just("c")];
    vec(name, 1..4).prop_map(|names| names.join("/"))
}

/// Few contents; one is empty, two have the same length.
fn content() -> impl Strategy<Value = (u8, usize)> {
    prop_oneof![
        Just((b'x', 0)),
        Just((b'x', 5)),
        Just((b'y', 5)),
        Just((b'z', 513)),
        Just((b'z', 1024)),
    ]
}

pub(crate) fn members() -> impl Strategy<Value = Vec<Member>> {
    let file = || (path(), content()).prop_map(|(path, (letter, size))| (path, letter, size));
    let one = prop_oneof![
        6 => file().prop_map(|(path, letter, size)| vec![Member::File(path, letter, size)]),
        2 => (file(), path(), path()).prop_map(|((path, letter, size), first, second)| vec![
            Member::File(path.clone(), letter, size),
            Member::Link(first, path.clone()),
            Member::Link(second, path),
        ]),
        1 => path().prop_map(|path| vec![Member::Symlink(format!("{path}/link"))]),
        1 => path().prop_map(|path| vec![Member::Folder(path)]),
        3 => path().prop_map(|path| vec![Member::Whiteout(path)]),
        1 => path().prop_map(|path| vec![Member::Opaque(path)]),
    ];
    vec(one, 0..8).prop_map(|members| members.concat())
}

/// A layer, if its tar is sound: a random hard link may lead to what another member replaced.
pub(crate) fn sound(members: &[Member], mode: u32) -> ImageLayer {
    let tar = super::tar_of(members, mode);
    match kiln_cache::index_tar(&*tar) {
        Ok(index) => {
            assert_eq!(index.tar_size, tar.len() as u64);
            ImageLayer::plain(index)
        }
        Err(_) => layer(&without_links(members)),
    }
}

fn without_links(members: &[Member]) -> Vec<Member> {
    let others = members.iter();
    let others = others.filter(|member| !matches!(member, Member::Link(..)));
    others.cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn classes_are_those_of_the_reference_and_add_up(layers in vec(members(), 0..6)) {
        let modes = [0o600, 0o755].into_iter().cycle();
        let layers = layers.iter().zip(modes).map(|(members, mode)| sound(members, mode));
        let layers: Vec<ImageLayer> = layers.collect();
        let classified = classify(&layers);
        let expected = reference::classes(&layers);
        for (at, layer) in layers.iter().enumerate() {
            let found = &classified.layers[at];
            prop_assert_eq!(found.classes.total(), layer.index.tar_size);
            prop_assert_eq!(found.classes, expected[at], "layer {}", at);
            let of_fates: u64 = found.fates.iter().map(|fate| fate.bytes).sum();
            prop_assert_eq!(of_fates, reference::content(layer));
        }
        reference::check_names(&layers, &classified);
    }
}
