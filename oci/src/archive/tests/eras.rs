//! Archives as other tools write them, or wrote them once.

use super::*;
use crate::media_type::OCI_INDEX;

fn id(n: u8) -> String {
    Digest::of(&[n]).hex()
}

fn config_name(image: &Image) -> String {
    format!("{}.json", Digest::of(&image.config).hex())
}

#[test]
fn docker_with_one_folder_a_layer_and_symbolic_links() {
    let image = Image::plain(&["base", "top", "base"]);
    let layers: Vec<_> = (0..3).map(|n| format!("{}/layer.tar", id(n))).collect();
    let entry = image.docker_entry(&config_name(&image), r#"["app:v1"]"#, &layers);
    let tar = Tar::default()
        .entry(id(0).as_bytes(), Kind::Directory, "")
        .file(&format!("{}/VERSION", id(0)), "1.0")
        .file(&format!("{}/json", id(0)), "{}")
        .file(&layers[0], &image.tars[0])
        .file(&layers[1], &image.tars[1])
        .entry(
            layers[2].as_bytes(),
            Kind::Symlink,
            &format!("../{}", layers[0]),
        )
        .file(&config_name(&image), &image.config)
        .file(DOCKER_FILE, format!("[{entry}]"))
        .file(
            REPOSITORIES_FILE,
            format!(r#"{{"app":{{"v1":"{}"}}}}"#, id(2)),
        )
        .end();
    let loaded = load_bytes(&tar);
    assert_eq!(names(&loaded, 0), ["docker.io/library/app:v1"]);
    assert_eq!(loaded.images[0].config, image.config);
    // What is made for it is what kiln itself would have written.
    assert_eq!(loaded.images[0].manifest, image.manifest);
    check_layers(&loaded, 0, &image);
}

#[test]
fn podman_with_layers_by_diff_id_and_links_to_them() {
    let image = Image::plain(&["base", "top"]);
    let layers: Vec<_> = image
        .tars
        .iter()
        .map(|tar| format!("{}.tar", Digest::of(tar).hex()))
        .collect();
    let entry = image.docker_entry(&config_name(&image), r#"["localhost/app:v1"]"#, &layers);
    let tar = Tar::default()
        .file(&layers[0], &image.tars[0])
        .entry(
            format!("{}/layer.tar", id(0)).as_bytes(),
            Kind::Symlink,
            &format!("../{}", layers[0]),
        )
        .file(&layers[1], &image.tars[1])
        .file(&config_name(&image), &image.config)
        .file(DOCKER_FILE, format!("[{entry}]"))
        .end();
    let loaded = load_bytes(&tar);
    assert_eq!(names(&loaded, 0), ["localhost/app:v1"]);
    check_layers(&loaded, 0, &image);
}

#[test]
fn hard_links_and_dotted_names() {
    let image = Image::plain(&["base", "base"]);
    let entry = image.docker_entry(
        "config.json",
        "null",
        &["./a/layer.tar".into(), "b/layer.tar".into()],
    );
    let tar = Tar::default()
        .entry(b"./", Kind::Directory, "")
        .file("./manifest.json", format!("[{entry}]"))
        .file("./config.json", &image.config)
        .file("./a/layer.tar", &image.tars[0])
        .entry(b"./b/layer.tar", Kind::HardLink, "./a/layer.tar")
        .end();
    let loaded = load_bytes(&tar);
    assert!(loaded.images[0].references.is_empty());
    check_layers(&loaded, 0, &image);
}

#[test]
fn kaniko_and_crane_with_compressed_layers() {
    let image = Image::new(&[
        ("base", Compression::Gzip),
        ("top", Compression::Zstd),
        ("base", Compression::Gzip),
    ]);
    let layers: Vec<_> = image
        .blobs
        .iter()
        .map(|blob| format!("{}.tar.gz", Digest::of(blob).hex()))
        .collect();
    let config = format!("sha256:{}", Digest::of(&image.config).hex());
    let tar = Tar::default()
        .file(&config, &image.config)
        .file(&layers[0], &image.blobs[0])
        .file(&layers[1], &image.blobs[1])
        .file(&layers[0], &image.blobs[0])
        .file(
            DOCKER_FILE,
            format!(
                "[{}]",
                image.docker_entry(&config, r#"["app:v1"]"#, &layers)
            ),
        )
        .end();
    let loaded = load_bytes(&tar);
    assert_eq!(loaded.images[0].manifest, image.manifest);
    check_layers(&loaded, 0, &image);
}

#[test]
fn docker_25_0_0_with_its_layers_only_in_manifest_json() {
    let image = Image::plain(&["base"]);
    let mut manifest = Manifest::parse(&image.manifest).unwrap();
    let layers = [blob_path(&manifest.layers[0].digest)];
    manifest.layers.clear();
    let empty = manifest.to_bytes();
    let descriptor = Descriptor::of(crate::media_type::OCI_MANIFEST, &empty);
    let named = annotated(
        descriptor,
        &[(IMAGE_NAME, "docker.io/library/app:v1"), (REF_NAME, "v1")],
    );
    let entry = image.docker_entry(
        &blob_path(&Digest::of(&image.config)),
        r#"["app:v1"]"#,
        &layers,
    );
    let layout = oci(&index_of(&[named]))
        .blob(&empty)
        .blob(&image.config)
        .blob(&image.blobs[0]);
    let loaded = load_bytes(&layout.file(DOCKER_FILE, format!("[{entry}]")).end());
    assert_eq!(loaded.images.len(), 1);
    assert_eq!(names(&loaded, 0), ["docker.io/library/app:v1"]);
    check_layers(&loaded, 0, &image);
}

#[test]
fn oci_names_are_read_as_each_tool_means_them() {
    for (annotations, expected) in [
        (
            &[(IMAGE_NAME, "docker.io/library/app:v1"), (REF_NAME, "v1")][..],
            &["docker.io/library/app:v1"][..],
        ),
        (&[(REF_NAME, "localhost/app:v1")], &["localhost/app:v1"]),
        (&[(REF_NAME, "v1")], &[]),
        (&[], &[]),
        (&[(IMAGE_NAME, "Not A Name")], &[]),
    ] {
        let image = Image::new(&[("one", Compression::Gzip)]);
        let index = index_of(&[annotated(image.descriptor(), annotations)]);
        let loaded = load_bytes(&oci(&index).image(&image).end());
        assert_eq!(names(&loaded, 0), expected);
        assert_eq!(
            loaded.images[0].manifest_digest,
            Digest::of(&image.manifest)
        );
        let is_unreadable = annotations
            .first()
            .is_some_and(|(_, name)| *name == "Not A Name");
        assert_eq!(
            loaded.images[0].unreadable_references.len(),
            usize::from(is_unreadable)
        );
    }
}

#[test]
fn oci_with_two_images_and_two_tags() {
    let (one, two) = (Image::plain(&["one"]), Image::plain(&["two"]));
    let index = index_of(&[
        annotated(
            one.descriptor(),
            &[(IMAGE_NAME, "docker.io/library/app:v1")],
        ),
        annotated(
            two.descriptor(),
            &[(IMAGE_NAME, "docker.io/library/other:v1")],
        ),
        annotated(
            one.descriptor(),
            &[(IMAGE_NAME, "docker.io/library/app:v2")],
        ),
    ]);
    let loaded = load_bytes(&oci(&index).image(&one).image(&two).end());
    assert_eq!(loaded.images.len(), 2);
    assert_eq!(
        names(&loaded, 0),
        ["docker.io/library/app:v1", "docker.io/library/app:v2"]
    );
    check_layers(&loaded, 0, &one);
    check_layers(&loaded, 1, &two);
}

/// What buildx and docker with containerd write: an index in the index, an attestation, and
/// platforms whose blobs are not there.
#[test]
fn nested_indexes_with_absent_platforms() {
    let amd = Image::plain(&["amd"]);
    let arm = Image::for_platform(&[("arm", Compression::None)], "linux/arm64");
    let absent = Image::for_platform(&[("s390x", Compression::None)], "linux/s390x");
    let mut attestation = annotated(
        Descriptor::of(crate::media_type::OCI_MANIFEST, b"x"),
        &[("vnd.docker.reference.type", "attestation-manifest")],
    );
    attestation.platform = Some(Platform::new("unknown", "unknown"));
    let platforms = [
        on(absent.descriptor(), "linux/s390x"),
        on(arm.descriptor(), "linux/arm64/v8"),
        on(amd.descriptor(), "linux/amd64"),
        attestation,
    ];
    let inner = index_of(&platforms);
    let outer = index_of(&[annotated(
        Descriptor::of(OCI_INDEX, inner.as_bytes()),
        &[(IMAGE_NAME, "docker.io/library/app:v1")],
    )]);
    let both = oci(&outer)
        .blob(inner.as_bytes())
        .image(&amd)
        .image(&arm)
        .end();
    let load_platform = |tar: &[u8], platform| {
        load_for(
            Input::Stream(Box::new(tar)),
            &std::env::temp_dir(),
            &Platform::parse(platform).unwrap(),
        )
    };
    check_layers(&load_platform(&both, "amd64").unwrap(), 0, &amd);
    check_layers(&load_platform(&both, "arm64").unwrap(), 0, &arm);
    assert!(matches!(
        load_platform(&both, "s390x"),
        Err(LoadError::Platform { .. })
    ));
    let one = oci(&outer).blob(inner.as_bytes()).image(&arm).end();
    let loaded = load_platform(&one, "amd64").unwrap();
    assert_eq!(names(&loaded, 0), ["docker.io/library/app:v1"]);
    check_layers(&loaded, 0, &arm);
    let none = oci(&outer).blob(inner.as_bytes()).end();
    assert!(matches!(
        load_platform(&none, "amd64"),
        Err(LoadError::Missing(_))
    ));
}

#[test]
fn platforms_side_by_side_in_the_index() {
    let amd = Image::plain(&["amd"]);
    let arm = Image::for_platform(&[("arm", Compression::None)], "linux/arm64");
    let index = index_of(&[
        on(arm.descriptor(), "linux/arm64"),
        on(amd.descriptor(), "linux/amd64"),
    ]);
    let loaded = load_bytes(&oci(&index).image(&arm).image(&amd).end());
    assert_eq!(loaded.images.len(), 1);
    check_layers(&loaded, 0, &amd);
}

#[test]
fn artifacts_are_no_images() {
    let image = Image::plain(&["one"]);
    let empty = Descriptor::of(crate::media_type::OCI_EMPTY, b"{}");
    let artifact = Manifest::for_layers(empty, vec![]).to_bytes();
    let index = index_of(&[
        Descriptor::of(crate::media_type::OCI_MANIFEST, &artifact),
        image.descriptor(),
    ]);
    let tar = oci(&index).blob(&artifact).blob(b"{}");
    assert!(matches!(
        try_load(&oci(&index_of(&[])).end()),
        Err(LoadError::Empty)
    ));
    assert_eq!(load_bytes(&tar.image(&image).end()).images.len(), 1);
}

#[test]
fn layers_may_be_left_out() {
    let image = Image::plain(&["base", "top"]);
    let tar = oci(&index_of(&[image.descriptor()]))
        .blob(&image.manifest)
        .blob(&image.config)
        .blob(&image.blobs[1]);
    let loaded = load_bytes(&tar.end());
    let present: Vec<_> = loaded.images[0]
        .layers
        .iter()
        .map(|layer| layer.present)
        .collect();
    assert_eq!(present, [false, true]);
    assert!(matches!(
        loaded.open_layer(0, 0).map(drop),
        Err(LoadError::Missing(_))
    ));
    assert!(loaded.open_layer(0, 1).is_ok());
    assert!(matches!(
        loaded.open_layer(0, 2).map(drop),
        Err(LoadError::NoSuchLayer { .. })
    ));
    assert!(matches!(
        loaded.open_layer(1, 0).map(drop),
        Err(LoadError::NoSuchLayer { .. })
    ));
}

#[test]
fn the_whole_may_be_compressed() {
    let image = Image::plain(&["one"]);
    let tar = oci(&index_of(&[image.descriptor()])).image(&image).end();
    let half = tar.len() / 2;
    let mut bzip2 = Vec::new();
    bzip2::bufread::BzEncoder::new(&tar[..], bzip2::Compression::fast())
        .read_to_end(&mut bzip2)
        .unwrap();
    let mut xz = Vec::new();
    liblzma::bufread::XzEncoder::new(&tar[..], 1)
        .read_to_end(&mut xz)
        .unwrap();
    let members = [
        compress(&tar[..half], Compression::Gzip),
        compress(&tar[half..], Compression::Gzip),
    ]
    .concat();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("archive");
    for bytes in [
        tar.clone(),
        compress(&tar, Compression::Zstd),
        bzip2,
        xz,
        members,
    ] {
        check_layers(&load_bytes(&bytes), 0, &image);
        std::fs::write(&path, &bytes).unwrap();
        check_layers(
            &load(Input::File(&path), directory.path()).unwrap(),
            0,
            &image,
        );
        assert_eq!(
            std::fs::read_dir(&directory).unwrap().count(),
            1,
            "scratch files have no name"
        );
    }
    std::fs::write(&path, &tar).unwrap();
    check_layers(
        &load(Input::File(&path), "/nonexistent".as_ref()).unwrap(),
        0,
        &image,
    );
}

#[test]
fn a_directory_is_read_where_it_is() {
    let image = Image::plain(&["one"]);
    let root = tempfile::tempdir().unwrap();
    let blobs = root.path().join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    for blob in [&image.manifest, &image.config, &image.blobs[0]] {
        std::fs::write(blobs.join(Digest::of(blob).hex()), blob).unwrap();
    }
    std::fs::write(
        root.path().join(INDEX_FILE),
        index_of(&[image.descriptor()]),
    )
    .unwrap();
    check_layers(
        &load(Input::File(root.path()), "/nonexistent".as_ref()).unwrap(),
        0,
        &image,
    );
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::fs::remove_file(root.path().join(INDEX_FILE)).unwrap();
    std::os::unix::fs::symlink(outside.path(), root.path().join(INDEX_FILE)).unwrap();
    assert!(matches!(
        load(Input::File(root.path()), "/nonexistent".as_ref()),
        Err(LoadError::Entry { .. })
    ));
}
