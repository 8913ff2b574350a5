//! Images: names, ids, durability.

use kiln_oci::{Descriptor, Digest, ImageConfig, Index, Manifest, Platform, Reference, media_type};

use crate::tests::{file, options, store, write_layer};
use crate::{Chain, ID_DIGITS, ImageError, Layer, MemoBundle, Store, StoreError, is_whole_id};

/// Puts an image of kiln's own layers.
pub(crate) fn put(store: &Store, layers: &[&Layer]) -> Digest {
    put_by(store, layers, None)
}

/// The same, of an author: another config, and so another id.
fn put_by(store: &Store, layers: &[&Layer], author: Option<String>) -> Digest {
    let config = config(layers, author);
    let descriptor = |media_type: &str, digest, size| Descriptor::new(media_type, digest, size);
    let layers = layers
        .iter()
        .map(|layer| descriptor(media_type::OCI_LAYER, layer.diff_id(), layer.index.tar_size))
        .collect();
    let manifest = Manifest::for_layers(
        descriptor(
            media_type::OCI_CONFIG,
            Digest::of(&config),
            config.len() as u64,
        ),
        layers,
    );
    let (manifest, id) = store.images().put(&manifest.to_bytes(), &config).unwrap();
    assert_eq!(id, Digest::of(&config));
    manifest
}

fn config(layers: &[&Layer], author: Option<String>) -> Vec<u8> {
    let mut config = ImageConfig::new(&Platform::host());
    config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id()).collect();
    config.author = author;
    config.to_bytes()
}

fn layer(store: &Store, name: &str) -> Layer {
    write_layer(
        store,
        &Chain::new(Vec::new()),
        &vec![file(name, name, 0o644)],
    )
    .unwrap()
}

fn reference(name: &str) -> Reference {
    Reference::parse(name).unwrap()
}

#[test]
fn an_image_is_found_by_name_and_id() {
    let (_dir, store) = store();
    let (a, b) = (layer(&store, "a"), layer(&store, "b"));
    let image = put(&store, &[&a, &b]);
    store.images().tag(&reference("app"), &image).unwrap();
    store
        .images()
        .tag(&reference("localhost:5000/team/app:v2"), &image)
        .unwrap();
    let stored = store.images().find("app:latest").unwrap();
    assert_eq!(
        (stored.manifest_digest, stored.diff_ids.clone()),
        (image, vec![a.diff_id(), b.diff_id()])
    );
    assert_eq!(
        store.images().names_of(&image).unwrap(),
        [
            reference("app:latest"),
            reference("localhost:5000/team/app:v2")
        ]
    );
    let id = stored.config_digest;
    for name in [
        "docker.io/library/app",
        "localhost:5000/team/app:v2",
        &id.hex(),
        &id.hex()[..8],
        &id.to_string(),
        &image.to_string(),
    ] {
        assert_eq!(
            store.images().find(name).unwrap().manifest_digest,
            image,
            "{name}"
        );
    }
    assert!(matches!(
        store.images().find("none"),
        Err(ImageError::NotFound { .. })
    ));
    assert!(matches!(
        store.images().find("No Name"),
        Err(ImageError::BadName { .. })
    ));
    let listed = store.images().list().unwrap();
    assert_eq!(
        (listed.len(), listed[0].id, listed[0].size),
        (1, id, a.index.tar_size + b.index.tar_size)
    );
}

#[test]
fn the_start_of_two_ids_is_ambiguous() {
    let (_dir, store) = store();
    let layer = layer(&store, "a");
    let mut starts = std::collections::BTreeMap::new();
    let alike = (0..).find_map(|number: u32| {
        let id = Digest::of(&config(&[&layer], Some(number.to_string()))).hex();
        let start = id[..ID_DIGITS].to_owned();
        let other = starts.insert(start.clone(), number)?;
        Some((start, [other, number]))
    });
    let (shared, authors) = alike.unwrap();
    for author in authors {
        put_by(&store, &[&layer], Some(author.to_string()));
    }
    assert!(
        matches!(store.images().find(&shared), Err(ImageError::Ambiguous { candidates, .. }) if candidates.len() == 2)
    );
}

#[test]
fn what_is_too_short_for_an_id_is_only_a_name() {
    let (_dir, store) = store();
    let manifest = put(&store, &[&layer(&store, "a")]);
    let id = store.images().get(&manifest).unwrap().config_digest.hex();
    let is_found = |name: &str, least: usize| match least {
        12 => store.images().find_base(name, None).is_ok(),
        _ => store.images().find(name).is_ok(),
    };
    for whole in [id.clone(), manifest.hex()] {
        for digits in [1, 3, 4, 11, 12, 63, 64] {
            for name in [
                whole[..digits].to_owned(),
                format!("sha256:{}", &whole[..digits]),
            ] {
                assert_eq!(is_found(&name, 12), digits >= 12, "{name}");
                assert_eq!(is_found(&name, 4), digits >= 4, "{name}");
                let by_id = store.images().meant_by_id(&name).unwrap();
                assert_eq!(by_id.is_some(), digits >= 12, "{name}");
                assert_eq!(is_whole_id(&name), digits == 64, "{name}");
            }
        }
    }
    let named = put(&store, &[&layer(&store, "b")]);
    store.images().tag(&reference(&id[..12]), &named).unwrap();
    let found = store.images().find_base(&id[..12], None).unwrap();
    assert_eq!(found.manifest_digest, named, "a name comes first");
}

#[test]
fn a_tag_moves_and_goes() {
    let (_dir, store) = store();
    let (one, two) = (
        put(&store, &[&layer(&store, "1")]),
        put(&store, &[&layer(&store, "2")]),
    );
    store.images().tag(&reference("app"), &one).unwrap();
    store.images().tag(&reference("app:latest"), &two).unwrap();
    assert_eq!(store.images().find("app").unwrap().manifest_digest, two);
    assert!(store.images().names_of(&one).unwrap().is_empty());
    assert!(
        store.images().untag(&reference("app")).unwrap()
            && !store.images().untag(&reference("app")).unwrap()
    );
    store.images().remove(&one).unwrap();
    assert!(matches!(
        store.images().remove(&one),
        Err(ImageError::NotFound { .. })
    ));
    assert_eq!(store.images().list().unwrap().len(), 1);
}

#[test]
fn an_image_without_its_layer_is_refused() {
    let (_dir, store) = store();
    let here = layer(&store, "here");
    let mut elsewhere = layer(&store, "gone");
    std::sync::Arc::make_mut(&mut elsewhere.index).diff_id = Digest::of(b"never stored");
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        put(&store, &[&here, &elsewhere])
    }));
    assert!(outcome.is_err());
    assert!(store.images().list().unwrap().is_empty());
    let refused = store
        .images()
        .tag(&reference("app"), &Digest::of(b"no image"));
    assert!(matches!(refused, Err(ImageError::NotFound { .. })));
    assert!(matches!(
        store.images().put(b"{}", b"{}"),
        Err(ImageError::Malformed { .. })
    ));
    assert!(matches!(
        store.layers().get(&elsewhere.diff_id()),
        Err(StoreError::Missing { .. })
    ));
}

#[test]
fn a_memo_lives_as_long_as_its_image() {
    let (dir, store) = store();
    let layer = layer(&store, "a");
    let manifest = put(&store, &[&layer]);
    let config = store.images().get(&manifest).unwrap().config_digest;
    let memo = MemoBundle {
        manifest,
        config,
        records: vec![Digest::of(b"r")],
        created: 3,
        caches: crate::Caches::default(),
        isolation: crate::Isolation::default(),
    };
    let key = Digest::of(b"memo");
    store.records().put_memo(&key, &memo).unwrap();
    assert_eq!(store.records().memo(&key).unwrap(), Some(memo));
    assert_eq!(store.records().memo(&config).unwrap(), None);
    drop(store);
    std::fs::remove_file(layer.tar.path()).unwrap();
    let store = Store::open(options(&dir.path().join("store"))).unwrap();
    assert_eq!(store.records().memo(&key).unwrap(), None);
}

/// An index of images that may be here or not.
fn put_index(store: &Store, images: &[(&str, Digest)]) -> Digest {
    let describe = |(platform, image): &(&str, Digest)| Descriptor {
        platform: Some(Platform::parse(platform).unwrap()),
        ..Descriptor::new(media_type::OCI_MANIFEST, *image, 1)
    };
    let index = Index::of(images.iter().map(describe).collect());
    let digest = store.indexes().put(&index.to_bytes()).unwrap();
    assert_eq!(
        store.indexes().get(&digest).unwrap(),
        Some(index.to_bytes())
    );
    digest
}

#[test]
fn a_name_of_an_index_finds_the_image_for_the_platform() {
    let (_dir, store) = store();
    let here = put(&store, &[&layer(&store, "here")]);
    let other = put(&store, &[&layer(&store, "other")]);
    let absent = Digest::of(b"never stored");
    let host = Platform::host().to_string();
    let index = put_index(
        &store,
        &[
            ("linux/mips64", other),
            ("linux/s390x", absent),
            (&host, here),
        ],
    );
    store.images().tag(&reference("app"), &index).unwrap();
    let found = store.images().find("app").unwrap();
    assert_eq!((found.manifest_digest, found.index), (here, Some(index)));
    assert_eq!(
        store.images().names_of(&here).unwrap(),
        [reference("app:latest")]
    );
    let platform = |text| Platform::parse(text).unwrap();
    let found = store
        .images()
        .find_for("app", &platform("linux/mips64"))
        .unwrap();
    assert_eq!(found.manifest_digest, other);
    for gone in ["linux/s390x", "linux/riscv64"] {
        let refused = store.images().find_for("app", &platform(gone));
        assert!(
            matches!(refused, Err(ImageError::NoPlatform { available, .. }) if available.contains("mips64"))
        );
    }
    assert_eq!(
        store.images().find(&index.to_string()).unwrap().index,
        Some(index)
    );
    assert_eq!(
        store
            .images()
            .find(&index.hex()[..12])
            .unwrap()
            .manifest_digest,
        here
    );
    assert_eq!(store.images().list().unwrap()[0].indexes, [index]);
    let images: Vec<Digest> = store
        .indexes()
        .images_of(&index)
        .unwrap()
        .into_iter()
        .map(|(_, image)| image)
        .collect();
    assert_eq!(images, [other, here]);
    assert!(store.fsck(false).unwrap().is_empty());
    assert!(matches!(
        store.indexes().put(b"[]"),
        Err(ImageError::Malformed { .. })
    ));
}

#[test]
fn what_an_index_lists_lives_as_long_as_its_name() {
    let (dir, store) = store();
    let one = put(&store, &[&layer(&store, "1")]);
    let two = put(&store, &[&layer(&store, "2")]);
    let shared = put(&store, &[&layer(&store, "shared")]);
    let index = put_index(&store, &[("linux/amd64", one), ("linux/arm64", shared)]);
    store.images().tag(&reference("app"), &index).unwrap();
    store.images().tag(&reference("own"), &shared).unwrap();
    put_index(&store, &[("linux/amd64", two)]);
    drop(store);
    // another process: nothing is pinned any more
    let store = Store::open(options(&dir.path().join("store"))).unwrap();
    assert_eq!(store.garbage().prune(None).unwrap().images, 1);
    assert_eq!(store.indexes().list().unwrap(), [index]);
    assert_eq!(
        store
            .images()
            .find_for("app", &Platform::parse("amd64").unwrap())
            .unwrap()
            .manifest_digest,
        one
    );
    store.images().remove(&index).unwrap();
    let left: Vec<Digest> = store
        .images()
        .list()
        .unwrap()
        .iter()
        .map(|image| image.manifest)
        .collect();
    assert_eq!(left, [shared]);
    assert!(matches!(
        store.images().find("app"),
        Err(ImageError::NotFound { .. })
    ));
    assert!(store.fsck(false).unwrap().is_empty());
}

#[test]
fn a_lost_index_is_found_and_dropped() {
    let (_dir, store) = store();
    let one = put(&store, &[&layer(&store, "1")]);
    let index = put_index(&store, &[("linux/amd64", one)]);
    store.images().tag(&reference("app"), &index).unwrap();
    std::fs::remove_file(store.blobs().path(&index)).unwrap();
    assert_eq!(
        store.fsck(true).unwrap(),
        [
            crate::fsck::Finding::MissingBlob(index),
            crate::fsck::Finding::BrokenImage(
                index,
                vec![reference("app").with_default_tag().to_string()]
            ),
        ]
    );
    assert!(store.fsck(false).unwrap().is_empty());
    assert!(store.images().list().unwrap()[0].references.is_empty());
}
