//! Archives that were made to do harm.

use proptest::prelude::*;

use super::*;
use crate::document::MAX_DOCUMENT;
use crate::media_type::OCI_INDEX;
use crate::tarfile::TarError;

fn refusal(tar: Tar) -> LoadError {
    try_load(&tar.end()).expect_err("a refusal")
}

fn valid() -> (Image, Tar) {
    let image = Image::plain(&["one"]);
    let tar = oci(&index_of(&[image.descriptor()])).image(&image);
    (image, tar)
}

#[test]
fn names_and_links_that_leave_are_refused() {
    for (name, kind, link) in [
        (&b"../evil"[..], Kind::File, ""),
        (b"blobs/../../evil", Kind::File, ""),
        (b"/../etc/passwd", Kind::File, ""),
        (b"blobs/\xff", Kind::File, ""),
        (b"a", Kind::Symlink, "/../etc/passwd"),
        (b"a/b", Kind::Symlink, "../../etc/passwd"),
        (b"a", Kind::HardLink, "../etc/passwd"),
        (b"a", Kind::HardLink, "/../etc/passwd"),
        (b"a", Kind::CharDevice, ""),
        (b"a", Kind::BlockDevice, ""),
        (b"a", Kind::Fifo, ""),
    ] {
        let error = refusal(valid().1.entry(name, kind, link));
        let LoadError::Entry { name: told, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(*told, name.escape_ascii().to_string());
    }
}

#[test]
fn link_loops_end() {
    let loop_ = oci("").entry(b"manifest.json", Kind::Symlink, "x").entry(
        b"x",
        Kind::Symlink,
        "manifest.json",
    );
    assert!(matches!(
        refusal(loop_),
        LoadError::Entry {
            reason: "it goes through too many links",
            ..
        }
    ));
}

#[test]
fn a_link_to_nothing_is_a_layer_that_is_not_there() {
    let image = Image::plain(&["one"]);
    let entry = image.docker_entry("c.json", "null", &["l.tar".into()]);
    let tar = Tar::default()
        .file(DOCKER_FILE, format!("[{entry}]"))
        .file("c.json", &image.config);
    let tar = tar.entry(b"l.tar", Kind::Symlink, "nowhere").end();
    let loaded = try_load(&tar).expect("a store may have the layer");
    assert!(!loaded.images[0].layers[0].present);
}

#[test]
fn documents_stand_in_an_archive_once() {
    for name in [INDEX_FILE, LAYOUT_FILE] {
        assert!(matches!(
            refusal(valid().1.file(name, "{}")),
            LoadError::Entry { .. }
        ));
    }
    let hidden =
        valid()
            .1
            .file(DOCKER_FILE, "[]")
            .entry(b"./manifest.json", Kind::HardLink, "index.json");
    assert!(matches!(refusal(hidden), LoadError::Entry { .. }));
}

#[test]
fn sizes_and_digests_are_verified() {
    let image = Image::plain(&["one"]);
    let index = index_of(&[image.descriptor()]);
    let swap = |digest: &Digest, content: &[u8]| {
        oci(&index).image(&image).file(&blob_path(digest), content)
    };
    let mut manifest = image.manifest.clone();
    let last = manifest.len() - 1;
    manifest[last] = b' ';
    let (manifest_digest, config_digest) = (Digest::of(&image.manifest), Digest::of(&image.config));
    assert!(matches!(
        refusal(swap(&manifest_digest, &manifest)),
        LoadError::Digest { .. }
    ));
    assert!(matches!(
        refusal(swap(&manifest_digest, b"{}")),
        LoadError::Size { .. }
    ));
    let mut config = image.config.clone();
    config[0] = b' ';
    assert!(matches!(
        refusal(swap(&config_digest, &config)),
        LoadError::Digest { .. }
    ));
    assert!(matches!(
        refusal(swap(&Digest::of(&image.blobs[0]), b"short")),
        LoadError::Size { .. }
    ));
    let named = format!("{}.json", config_digest.hex());
    let entry = image.docker_entry(&named, "null", &["l.tar".into()]);
    let docker = Tar::default()
        .file(DOCKER_FILE, format!("[{entry}]"))
        .file(&named, &config);
    assert!(matches!(
        refusal(docker.file("l.tar", &image.tars[0])),
        LoadError::Digest { .. }
    ));
}

#[test]
fn layers_and_diff_ids_are_equally_many() {
    let image = Image::plain(&["one", "two"]);
    let entry = image.docker_entry("c.json", "null", &["l.tar".into()]);
    let docker = Tar::default()
        .file(DOCKER_FILE, format!("[{entry}]"))
        .file("c.json", &image.config);
    assert!(matches!(
        refusal(docker.file("l.tar", "")),
        LoadError::LayerCount {
            layers: 1,
            diff_ids: 2,
            ..
        }
    ));
    let mut manifest = Manifest::parse(&image.manifest).unwrap();
    manifest.layers.pop();
    let bytes = manifest.to_bytes();
    let descriptor = Descriptor::of(crate::media_type::OCI_MANIFEST, &bytes);
    let tar = oci(&index_of(&[descriptor])).image(&image).blob(&bytes);
    assert!(matches!(
        refusal(tar),
        LoadError::LayerCount {
            layers: 1,
            diff_ids: 2,
            ..
        }
    ));
}

#[test]
fn documents_are_limited() {
    let large = vec![b' '; MAX_DOCUMENT + 1];
    let deep = format!(
        r#"{{"schemaVersion":2,"manifests":[],"x":{}{}}}"#,
        "[".repeat(500),
        "]".repeat(500)
    );
    let odd =
        r#"{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:../../x","size":1}]}"#;
    let documents = [
        &large[..],
        deep.as_bytes(),
        odd.as_bytes(),
        b"",
        b"\xff",
        b"[]",
        b"{\"manifests\":7}",
    ];
    for document in documents {
        let tar = Tar::default().file(INDEX_FILE, document);
        assert!(matches!(refusal(tar), LoadError::Document { .. }));
        let tar = Tar::default().file(DOCKER_FILE, [document, b"x"].concat());
        assert!(matches!(refusal(tar), LoadError::Document { .. }));
    }
}

#[test]
fn indexes_nest_only_so_deep() {
    let (_, mut tar) = (0, Tar::default().file(LAYOUT_FILE, LAYOUT));
    let mut descriptor = Image::plain(&[]).descriptor();
    for _ in 0..=MAX_INDEX_DEPTH {
        let index = index_of(&[descriptor]);
        descriptor = Descriptor::of(OCI_INDEX, index.as_bytes());
        tar = tar.blob(index.as_bytes());
    }
    let tar = tar.file(INDEX_FILE, index_of(&[descriptor]));
    assert!(matches!(
        refusal(tar),
        LoadError::TooLarge {
            what: "indexes inside one another",
            ..
        }
    ));
}

#[test]
fn documents_together_are_limited() {
    let padding = vec![b' '; MAX_DOCUMENT - 100_000];
    let mut tar = Tar::default().file(LAYOUT_FILE, LAYOUT);
    let mut descriptors = Vec::new();
    for n in 0..20 {
        let index = [index_of(&[]).as_bytes(), &padding[n..]].concat();
        descriptors.push(Descriptor::of(OCI_INDEX, &index));
        tar = tar.blob(&index);
    }
    let tar = tar.file(INDEX_FILE, index_of(&descriptors));
    assert!(matches!(
        refusal(tar),
        LoadError::TooLarge {
            limit: MAX_DOCUMENTS,
            ..
        }
    ));
}

#[test]
fn images_are_limited() {
    let image = Image::plain(&[]);
    let tar = oci(&index_of(&vec![image.descriptor(); MAX_IMAGES + 1])).image(&image);
    assert!(matches!(
        refusal(tar),
        LoadError::TooLarge { what: "images", .. }
    ));
    let entry = image.docker_entry("c.json", "null", &[]);
    let entries = vec![entry; MAX_IMAGES + 1].join(",");
    let tar = Tar::default()
        .file(DOCKER_FILE, format!("[{entries}]"))
        .file("c.json", &image.config);
    assert!(matches!(
        refusal(tar),
        LoadError::TooLarge { what: "images", .. }
    ));
}

#[test]
fn what_is_no_archive_is_told_apart() {
    assert!(matches!(refusal(Tar::default()), LoadError::NoImageArchive));
    assert!(matches!(
        refusal(Tar::default().file("etc/passwd", "")),
        LoadError::NoImageArchive
    ));
    assert!(matches!(
        refusal(Tar::default().file(REPOSITORIES_FILE, "{}")),
        LoadError::NoImageArchive
    ));
    assert!(matches!(
        refusal(Tar::default().file(DOCKER_FILE, "[]")),
        LoadError::Empty { .. }
    ));
    assert!(matches!(try_load(&[b'x'; 2000]), Err(LoadError::Tar(_))));
    assert!(matches!(try_load(b""), Err(LoadError::NoImageArchive)));
    let missing = load(Input::File("/nonexistent".as_ref()), "/tmp".as_ref());
    assert!(matches!(missing, Err(LoadError::Open { .. })));
}

#[test]
fn cut_off_archives_are_refused() {
    let tar = valid().1.end();
    assert!(matches!(
        try_load(&tar[..700]),
        Err(LoadError::Tar(TarError::Truncated { .. }))
    ));
    let gzip = compress(&tar, Compression::Gzip);
    assert!(matches!(
        try_load(&gzip[..gzip.len() / 2]),
        Err(LoadError::Decompress { .. })
    ));
}

#[test]
fn compressed_archives_are_read_to_their_last_checksum() {
    let tar = valid().1.end();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let whole = compress(&tar, compression);
        assert!(stream(&whole, &amd64()).is_ok());
        for cut in [1, 4] {
            let refused = stream(&whole[..whole.len() - cut], &amd64());
            assert!(
                matches!(refused, Err(LoadError::Decompress { .. })),
                "{cut}"
            );
        }
    }
}

#[test]
fn layers_of_the_oldest_archives_do_not_go_in_circles() {
    let folder = |tar: Tar, id: &str, parent: &str| {
        tar.file(
            &format!("{id}/json"),
            format!(r#"{{"id":"{id}","parent":"{parent}"}}"#),
        )
        .file(&format!("{id}/layer.tar"), layer(id))
    };
    let named = |id: &str| format!(r#"{{"app":{{"v1":"{id}"}}}}"#);
    let circle = || folder(folder(Tar::default(), "a", "b"), "b", "a");
    let names = circle().file(REPOSITORIES_FILE, named("a"));
    assert!(matches!(refusal(names), LoadError::TooLarge { .. }));
    assert!(matches!(refusal(circle()), LoadError::NoImageArchive));
    for (tar, id) in [
        (folder(Tar::default(), "a", "none"), "a"),
        (folder(Tar::default(), "a", ""), "../a"),
        (folder(Tar::default(), "a", ""), "b"),
    ] {
        let refused = refusal(tar.file(REPOSITORIES_FILE, named(id)));
        assert!(matches!(refused, LoadError::Missing(_)), "{refused}");
    }
    let text = Tar::default()
        .file("a/json", "{")
        .file("a/layer.tar", layer("a"));
    assert!(matches!(refusal(text), LoadError::Document { .. }));
}

#[test]
fn layers_in_other_encodings_are_refused() {
    let image = Image::plain(&["one"]);
    let mut xz = Vec::new();
    liblzma::bufread::XzEncoder::new(&image.tars[0][..], 1)
        .read_to_end(&mut xz)
        .unwrap();
    let entry = image.docker_entry("c.json", "null", &["l.tar".into()]);
    let docker = Tar::default()
        .file(DOCKER_FILE, format!("[{entry}]"))
        .file("c.json", &image.config);
    assert!(matches!(
        refusal(docker.file("l.tar", &xz)),
        LoadError::LayerEncoding { .. }
    ));
}

/// What a damaged archive gives, read once and at any place: what it held before, or nothing. Names
/// have no digest.
#[track_caller]
fn same_or_nothing(tar: &[u8], images: &[LoadedImage], what: &str) {
    let both = [
        try_load(tar).map(|loaded| loaded.images),
        stream(tar, &amd64()).map(|contents| contents.images),
    ];
    for found in both.into_iter().flatten() {
        let nameless = found.into_iter().map(|image| LoadedImage {
            references: Vec::new(),
            unreadable_references: Vec::new(),
            // A bit of its header may say that a layer is not there; `load` refuses that.
            layers: image
                .layers
                .into_iter()
                .map(|layer| LoadedLayer {
                    present: true,
                    ..layer
                })
                .collect(),
            ..image
        });
        assert!(nameless.eq(images.iter().cloned()), "{what}");
    }
}

/// Every byte with one bit flipped, and every length.
#[test]
fn each_damage_is_refused_or_harmless() {
    let image = Image::new(&[("one", Compression::Gzip), ("two", Compression::None)]);
    let tar = oci(&index_of(&[image.descriptor()])).image(&image).end();
    let images = load_bytes(&tar).images;
    for at in 0..tar.len() {
        let mut damaged = tar.clone();
        damaged[at] ^= 1 << (at % 8);
        same_or_nothing(&damaged, &images, &format!("a bit of byte {at}"));
        if at % 64 == 0 {
            same_or_nothing(&tar[..at], &images, &format!("cut off at {at}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is damaged: no panic, and never another manifest or config than the index names.
    #[test]
    fn damage_is_refused_or_harmless(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let (image, tar) = valid();
        let mut tar = tar.end();
        let at = at.index(tar.len());
        tar[at] = byte;
        let _ = try_load(&tar[..cut.index(tar.len())]);
        if let Ok(loaded) = try_load(&tar) {
            let image_is = |found: &LoadedImage| found.manifest == image.manifest && found.config == image.config;
            prop_assert!(loaded.images.iter().all(image_is));
        }
    }
}
