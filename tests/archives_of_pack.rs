//! `load` of archives as Cloud Native Buildpacks write them: names from the root, and no layers that the other side has.

use kiln_oci::{Digest, ImageConfig, Platform};

use crate::support::hostile::tar_of;
use crate::support::tar::Tar;
use crate::support::{Space, plain_cases};

plain_cases! {
    names_may_begin_at_the_root,
    layers_that_are_here_need_no_file,
    layers_that_are_nowhere_are_named,
}

/// A docker archive of these layers under these names; the content of a layer, or none where there is no file.
fn archive(layers: &[(&str, Option<&[u8]>, Digest)], documents_first: bool) -> Vec<u8> {
    let mut config = ImageConfig::new(&Platform::host());
    config.rootfs.diff_ids = layers.iter().map(|(_, _, diff_id)| *diff_id).collect();
    let config = config.to_bytes();
    let name = format!("{}.json", Digest::of(&config).hex());
    let names: Vec<String> = layers
        .iter()
        .map(|(name, ..)| format!("{name:?}"))
        .collect();
    let manifest = format!(
        "[{{\"Config\":\"{name}\",\"RepoTags\":[\"packed:1\"],\"Layers\":[{}]}}]",
        names.join(",")
    );
    let documents = |tar: Tar| {
        tar.file(format!("/{name}"), &config)
            .file("/manifest.json", &manifest)
    };
    let files = |tar: Tar| {
        let there = layers
            .iter()
            .filter_map(|(name, content, _)| Some((name, (*content)?)));
        there.fold(tar, |tar, (name, content)| tar.file(name, content))
    };
    match documents_first {
        true => files(documents(Tar::default())),
        false => documents(files(Tar::default())),
    }
    .end()
}

/// From a file and through a pipe.
fn load(space: &Space, archive: &[u8]) -> [crate::support::Kiln; 2] {
    let path = space.write_in("own", "packed.tar", archive);
    [
        space.kiln(["load", "-i"]).arg(path),
        space.kiln(["load"]).stdin(archive),
    ]
}

fn names_may_begin_at_the_root(space: &Space) {
    let layer = tar_of("packed");
    for documents_first in [true, false] {
        let archive = archive(
            &[("/layer.tar", Some(&layer), Digest::of(&layer))],
            documents_first,
        );
        for loading in load(space, &archive) {
            assert_eq!(loading.ok().stdout, "Loaded image: packed:1\n");
            assert_eq!(space.image("packed:1").text("file"), "packed");
            space.remove_store();
        }
    }
}

fn layers_that_are_here_need_no_file(space: &Space) {
    let top = tar_of("top");
    for base in [
        "FROM scratch\nCOPY below /below\n",
        "FROM scratch\nCOPY below /below\nCOPY below /second\n",
    ] {
        space.write("below", "below");
        space.build(base).ok();
        let config = space.image("app").config;
        let ids = config["rootfs"]["diff_ids"].as_array().unwrap();
        let ids: Vec<Digest> = ids
            .iter()
            .map(|id| id.as_str().unwrap().parse().unwrap())
            .collect();
        // an empty name, a name without a file, an empty file
        for (name, content) in [("", None), ("/gone.tar", None), ("blank_0", Some(&b""[..]))] {
            for documents_first in [true, false] {
                let mut layers: Vec<_> = ids.iter().map(|id| (name, None, *id)).collect();
                layers[0].1 = content;
                layers.push(("/top.tar", Some(&top[..]), Digest::of(&top)));
                for loading in load(space, &archive(&layers, documents_first)) {
                    loading.ok();
                    let image = space.image("packed:1");
                    assert_eq!(
                        (image.text("below"), image.text("file")),
                        ("below".to_owned(), "top".to_owned())
                    );
                    space.kiln(["rmi", "packed:1"]).ok();
                }
            }
        }
    }
    space.is_clean();
}

fn layers_that_are_nowhere_are_named(space: &Space) {
    let (there, nowhere) = (tar_of("there"), Digest::of(b"nowhere"));
    for documents_first in [true, false] {
        let layers = [
            ("", None, nowhere),
            ("top.tar", Some(&there[..]), Digest::of(&there)),
        ];
        for loading in load(space, &archive(&layers, documents_first)) {
            let ended = loading.run();
            assert!(matches!(ended.status.code(), Some(1 | 3)), "{ended}");
            ended.says(&[&nowhere.to_string()]);
        }
    }
    assert_eq!(space.kiln(["images", "-q"]).ok().stdout, "");
    space.is_clean();
}
