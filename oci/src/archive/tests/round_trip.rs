//! What is saved is loaded again, and the bytes are always the same.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::tarfile::Entries;

const FORMATS: [Format; 3] = [Format::Hybrid, Format::OciArchive, Format::DockerArchive];

fn save_bytes(images: &[SaveImage], blobs: &Blobs, format: Format) -> Result<Vec<u8>, SaveError> {
    let mut out = Vec::new();
    save(&mut out, images, blobs, format, &|_| {}).map(|()| out)
}

fn entry_names(tar: &[u8]) -> Vec<String> {
    let mut entries = Entries::new(tar);
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().unwrap() {
        assert_eq!((entry.uid, entry.gid, entry.mtime), (0, 0, 0));
        names.push(String::from_utf8(entry.path).unwrap());
    }
    names
}

#[test]
fn a_hybrid_starts_with_its_documents() {
    let image = Image::plain(&["one", "two"]);
    let tar = save_bytes(
        &[image.to_save(&["app:v1"])],
        &Blobs::of(&[&image]),
        Format::Hybrid,
    )
    .unwrap();
    let names = entry_names(&tar);
    let start = [
        "oci-layout",
        "index.json",
        "manifest.json",
        "repositories",
        "blobs",
        "blobs/sha256",
    ];
    assert_eq!(names[..6], start);
    assert_eq!(names.len(), 6 + 4);
    // documents, then layers
    assert!(names[6..8].is_sorted() && names[8..].is_sorted());
    assert!(names[6..8].contains(&blob_path(&Digest::of(&image.config))));
}

#[test]
fn the_documents_are_as_documented() {
    let image = Image::plain(&["one"]);
    let tar = save_bytes(
        &[image.to_save(&["app", "ghcr.io/o/x:v1"])],
        &Blobs::of(&[&image]),
        Format::Hybrid,
    )
    .unwrap();
    let text = String::from_utf8_lossy(&tar);
    let (config, top) = (Digest::of(&image.config), Digest::of(&image.blobs[0]));
    let expected = image.docker_entry(
        &blob_path(&config),
        r#"["app:latest","ghcr.io/o/x:v1"]"#,
        &[blob_path(&top)],
    );
    assert!(text.contains(&format!("[{expected}]\0")));
    let top = top.hex();
    let repositories = format!(r#"{{"app":{{"latest":"{top}"}},"ghcr.io/o/x":{{"v1":"{top}"}}}}"#);
    assert!(text.contains(&repositories));
    let annotations = r#""annotations":{"io.containerd.image.name":"ghcr.io/o/x:v1","org.opencontainers.image.ref.name":"v1"}"#;
    assert!(text.contains(annotations));
}

#[test]
fn every_format_comes_back() {
    let first = Image::new(&[("base", Compression::None), ("gzip", Compression::Gzip)]);
    let second = Image::new(&[("base", Compression::None), ("zstd", Compression::Zstd)]);
    let blobs = Blobs::of(&[&first, &second]);
    let images = [
        first.to_save(&["app:v1", "app:v2"]),
        second.to_save(&["localhost:5000/other"]),
    ];
    for format in FORMATS {
        let tar = save_bytes(&images, &blobs, format).unwrap();
        assert_eq!(
            tar,
            save_bytes(&images, &blobs, format).unwrap(),
            "{format:?}"
        );
        let loaded = load_bytes(&tar);
        assert_eq!(
            names(&loaded, 0),
            ["docker.io/library/app:v1", "docker.io/library/app:v2"]
        );
        assert_eq!(names(&loaded, 1), ["localhost:5000/other:latest"]);
        for (at, image) in [&first, &second].into_iter().enumerate() {
            assert_eq!(loaded.images[at].config, image.config);
            assert_eq!(
                loaded.images[at].manifest == image.manifest,
                format != Format::DockerArchive
            );
            check_layers(&loaded, at, image);
        }
    }
}

#[test]
fn docker_archives_have_plain_layers_named_by_diff_id() {
    let image = Image::new(&[("gzip", Compression::Gzip), ("zstd", Compression::Zstd)]);
    let tar = save_bytes(
        &[image.to_save(&["app"])],
        &Blobs::of(&[&image]),
        Format::DockerArchive,
    )
    .unwrap();
    let mut layers: Vec<_> = image
        .tars
        .iter()
        .map(|tar| format!("{}.tar", Digest::of(tar).hex()))
        .collect();
    layers.sort();
    let config = format!("{}.json", Digest::of(&image.config).hex());
    let expected = [
        &["manifest.json".into(), "repositories".into(), config],
        &layers[..],
    ]
    .concat();
    assert_eq!(entry_names(&tar), expected);
}

#[test]
fn untagged_and_pinned_images_have_no_tag() {
    let (untagged, pinned) = (Image::plain(&["one"]), Image::plain(&["two"]));
    let name = format!("app@{}", Digest::of(b"registry's manifest"));
    let images = [untagged.to_save(&[]), pinned.to_save(&[&name])];
    for format in FORMATS {
        let tar = save_bytes(&images, &Blobs::of(&[&untagged, &pinned]), format).unwrap();
        assert!(!entry_names(&tar).contains(&"repositories".into()));
        let loaded = load_bytes(&tar);
        assert_eq!(loaded.images.len(), 2);
        assert!(loaded.images[0].references.is_empty());
        assert_eq!(
            loaded.images[1].references.len(),
            usize::from(format != Format::DockerArchive)
        );
    }
}

#[test]
fn images_without_layers_are_images() {
    let image = Image::plain(&[]);
    for format in FORMATS {
        let loaded =
            load_bytes(&save_bytes(&[image.to_save(&["empty"])], &Blobs::of(&[]), format).unwrap());
        assert_eq!(loaded.images[0].config, image.config);
    }
}

#[test]
fn one_image_given_twice_is_one() {
    let image = Image::plain(&["one"]);
    let images = [
        image.to_save(&["app:v1"]),
        image.to_save(&["app:v2", "app:v1"]),
    ];
    let loaded = load_bytes(&save_bytes(&images, &Blobs::of(&[&image]), Format::Hybrid).unwrap());
    assert_eq!(loaded.images.len(), 1);
    assert_eq!(
        names(&loaded, 0),
        ["docker.io/library/app:v1", "docker.io/library/app:v2"]
    );
}

fn write_bytes(saving: &Saving, blobs: &Blobs) -> Vec<u8> {
    let mut out = Vec::new();
    write(Target::Tar(&mut out), saving, blobs, &|_| {}).unwrap();
    out
}

#[test]
fn indexes_are_saved_whole_and_docker_sees_one_of_them() {
    let amd = Image::plain(&["base", "amd"]);
    let arm = Image::for_platform(&[("arm", Compression::None)], "linux/arm64");
    let index = index_of(&[
        on(amd.descriptor(), "linux/amd64"),
        on(arm.descriptor(), "linux/arm64"),
    ]);
    let name = Reference::parse("app:v1").unwrap();
    let mut saving = Saving {
        images: vec![amd.to_save(&[]), arm.to_save(&[])],
        indexes: vec![SaveIndex {
            references: vec![name.clone()],
            bytes: index.clone().into_bytes(),
            preferred: Digest::of(&amd.manifest),
            manifests: vec![Digest::of(&amd.manifest), Digest::of(&arm.manifest)],
            companions: Vec::new(),
        }],
        ..Saving::default()
    };
    let blobs = Blobs::of(&[&amd, &arm]);
    let whole = Selection::Whole {
        host: Platform::new("linux", "amd64"),
        only: None,
    };
    for format in [Format::Hybrid, Format::OciArchive] {
        saving.format = format;
        let contents = stream(&write_bytes(&saving, &blobs), &whole).unwrap();
        assert_eq!(contents.images.len(), 2);
        assert_eq!(contents.indexes[0].bytes, index.as_bytes());
        assert_eq!(contents.indexes[0].references, std::slice::from_ref(&name));
    }
    saving.format = Format::DockerArchive;
    let loaded = load_bytes(&write_bytes(&saving, &blobs));
    assert_eq!(loaded.images.len(), 1);
    assert_eq!(loaded.images[0].config, amd.config);
    assert_eq!(names(&loaded, 0), ["docker.io/library/app:v1"]);
}

#[test]
fn a_delta_leaves_out_what_its_receipt_lists() {
    let image = Image::new(&[("base", Compression::None), ("top", Compression::Gzip)]);
    let receipt = Receipt {
        version: 1,
        bases: vec!["base".into()],
        layers: vec![LeftOut {
            digest: Digest::of(&image.blobs[0]),
            diff_id: Digest::of(&image.tars[0]),
            size: image.blobs[0].len() as u64,
        }],
    };
    for format in FORMATS {
        let saving = Saving {
            images: vec![image.to_save(&["app"])],
            receipt: Some(receipt.clone()),
            format,
            ..Saving::default()
        };
        let tar = write_bytes(&saving, &Blobs::of(&[&image]));
        let names = entry_names(&tar);
        assert!(names.contains(&RECEIPT_FILE.to_owned()));
        let base = Digest::of(&image.tars[0]).hex();
        assert!(!names.iter().any(|name| name.contains(&base)), "{names:?}");
        if format != Format::DockerArchive {
            let loaded = load_bytes(&tar);
            let present: Vec<_> = loaded.images[0].layers.iter().map(|l| l.present).collect();
            assert_eq!(present, [false, true]);
        }
    }
}

#[test]
fn a_layout_is_written_to_a_folder() {
    let image = Image::plain(&["one"]);
    let saving = Saving {
        images: vec![image.to_save(&["app"])],
        format: Format::OciArchive,
        ..Saving::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let target = Target::Directory(folder.path());
    write(target, &saving, &Blobs::of(&[&image]), &|_| {}).unwrap();
    let loaded = load(Input::File(folder.path()), "/nonexistent".as_ref()).unwrap();
    check_layers(&loaded, 0, &image);
    let again = Target::Directory(folder.path());
    assert!(write(again, &saving, &Blobs::of(&[&image]), &|_| {}).is_err());
}

#[test]
fn impossible_images_are_refused() {
    let (one, two) = (Image::plain(&["one"]), Image::plain(&["two"]));
    let blobs = Blobs::of(&[&one, &two]);
    let refuse = |images: &[SaveImage]| save_bytes(images, &blobs, Format::Hybrid).unwrap_err();
    assert!(matches!(
        refuse(&[one.to_save(&["a"]), two.to_save(&["a:latest", "a"])]),
        SaveError::Reference(_)
    ));
    let other = SaveImage {
        config: two.config.clone(),
        ..one.to_save(&[])
    };
    assert!(matches!(refuse(&[other]), SaveError::OtherConfig { .. }));
    let malformed = SaveImage {
        manifest: b"{}".to_vec(),
        ..one.to_save(&[])
    };
    assert!(matches!(refuse(&[malformed]), SaveError::Document { .. }));
    let mut manifest = Manifest::parse(&one.manifest).unwrap();
    manifest.layers.clear();
    let fewer = SaveImage {
        manifest: manifest.to_bytes(),
        ..one.to_save(&[])
    };
    assert!(matches!(refuse(&[fewer]), SaveError::LayerCount { .. }));
}

#[test]
fn corrupt_blobs_are_found_while_saving() {
    let image = Image::new(&[("gzip", Compression::Gzip)]);
    let digest = Digest::of(&image.blobs[0]);
    let with = |blob: Option<Vec<u8>>| Blobs(blob.into_iter().map(|blob| (digest, blob)).collect());
    let images = [image.to_save(&[])];
    let mut flipped = image.blobs[0].clone();
    flipped[20] ^= 1;
    for format in FORMATS {
        let corrupt = save_bytes(&images, &with(Some(flipped.clone())), format).unwrap_err();
        assert!(
            matches!(
                corrupt,
                SaveError::BlobDigest { .. } | SaveError::Blob { .. }
            ),
            "{corrupt:?}"
        );
        assert!(matches!(
            save_bytes(&images, &with(None), format),
            Err(SaveError::Blob { .. })
        ));
    }
    let longer = with(Some([&image.blobs[0][..], b"x"].concat()));
    assert!(matches!(
        save_bytes(&images, &longer, Format::Hybrid),
        Err(SaveError::BlobSize { .. })
    ));
    let other = with(Some(compress(&layer("other"), Compression::Gzip)));
    assert!(matches!(
        save_bytes(&images, &other, Format::DockerArchive),
        Err(SaveError::BlobDigest { .. })
    ));
}

#[test]
fn progress_ends_at_the_size() {
    let image = Image::plain(&["one"]);
    let seen = Cell::new(0);
    let mut out = Vec::new();
    save(
        &mut out,
        &[image.to_save(&[])],
        &Blobs::of(&[&image]),
        Format::Hybrid,
        &|n| seen.set(n),
    )
    .unwrap();
    assert_eq!(seen.get(), out.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_images_round_trip(
        images in proptest::collection::vec(proptest::collection::vec(("[a-c]{0,600}", 0..3_u8), 0..4), 1..4),
        format in 0..3_usize,
    ) {
        let compression = |n: u8| [Compression::None, Compression::Gzip, Compression::Zstd][usize::from(n)];
        let images: Vec<Image> = images.iter().enumerate().map(|(at, layers)| {
            let named = layers.iter().map(|(text, c)| (format!("{at}{text}"), compression(*c))).collect::<Vec<_>>();
            let mut layers: Vec<_> = named.iter().map(|(text, c)| (text.as_str(), *c)).collect();
            let unique = format!("unique {at}");
            layers.push((&unique, Compression::None));
            Image::new(&layers)
        }).collect();
        let to_save: Vec<_> = images.iter().enumerate().map(|(at, image)| image.to_save(&[&format!("app:{at}")])).collect();
        let tar = save_bytes(&to_save, &Blobs::of(&images.iter().collect::<Vec<_>>()), FORMATS[format]).unwrap();
        let loaded = load_bytes(&tar);
        prop_assert_eq!(loaded.images.len(), images.len());
        for (at, image) in images.iter().enumerate() {
            prop_assert_eq!(&loaded.images[at].config, &image.config);
            check_layers(&loaded, at, image);
        }
    }
}
