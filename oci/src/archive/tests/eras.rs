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

/// Config and layer of one folder, from the lowest.
const OLDEST: [(&str, &str); 3] = [
    (
        "a",
        r##"{"id":"ID","created":"2015-10-01T00:00:00.5Z","container_config":{"Cmd":["/bin/sh","-c","#(nop) ADD file:x in /"]},"docker_version":"1.9.1","config":{"Env":null},"architecture":"amd64","os":"linux","Size":4}"##,
    ),
    (
        "b",
        r##"{"id":"ID","parent":"PARENT","created":"2015-10-02T00:00:00Z","author":"A <a@b>","container_config":{"Cmd":["/bin/sh","-c","#(nop) ENV A=1"]},"docker_version":"1.9.1","config":{"Env":["A=1"]},"architecture":"amd64","os":"linux"}"##,
    ),
    (
        "c",
        r#"{"id":"ID","parent":"PARENT","created":"2015-10-03T00:00:00Z","container":"c0","container_config":{"Cmd":["/bin/sh","-c","echo 1 \u003e /x && true"]},"docker_version":"1.9.1","config":{"Env":["A=1"],"Cmd":["sh"]},"architecture":"amd64","os":"linux","Size":3}"#,
    ),
];

fn oldest(tars: &[Vec<u8>; 3]) -> Tar {
    let mut below = String::new();
    OLDEST
        .iter()
        .zip(tars)
        .fold(Tar::default(), |tar, ((letter, json), layer)| {
            let id = letter.repeat(64);
            let json = json.replace("ID", &id).replace("PARENT", &below);
            below.clone_from(&id);
            tar.file(&format!("{id}/VERSION"), "1.0")
                .file(&format!("{id}/json"), json)
                .file(&format!("{id}/layer.tar"), layer)
        })
}

/// The image ID is the one that docker 20.10 gives this archive.
#[test]
fn docker_1_9_with_a_config_for_each_layer() {
    let tars = [layer("base"), Tar::default().end(), layer("top")];
    let top = "c".repeat(64);
    let tags = format!(r#"{{"app":{{"v1":"{top}"}},"reg.io/other":{{"v2":"{top}"}}}}"#);
    let loaded = load_bytes(&oldest(&tars).file(REPOSITORIES_FILE, tags).end());
    let expected = ["docker.io/library/app:v1", "reg.io/other:v2"];
    assert_eq!(names(&loaded, 0), expected);
    let image = &loaded.images[0];
    let id = "sha256:b5a69a4218780a0febce592caf4a6131217aab652f5f1adf1528352ba92dc1f8";
    assert_eq!(Digest::of(&image.config).to_string(), id);
    let diff_ids: Vec<_> = tars.iter().map(|tar| Digest::of(tar)).collect();
    assert_eq!(image.config_parsed.rootfs.diff_ids, diff_ids);
    assert_eq!(image.layers.len(), 3);
    // docker save ID wrote no names
    let nameless = load_bytes(&oldest(&tars).end());
    assert_eq!(nameless.images.len(), 1);
    assert_eq!(nameless.images[0].config, image.config);
    assert!(nameless.images[0].references.is_empty());
    // a name for a layer below is an image of its own
    let lower = format!(r#"{{"app":{{"v0":"{}"}}}}"#, "a".repeat(64));
    let two = load_bytes(&oldest(&tars).file(REPOSITORIES_FILE, lower).end());
    let counts: Vec<_> = two.images.iter().map(|image| image.layers.len()).collect();
    assert_eq!(counts, [1, 3]);
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
        crate::archive::load::load_for(
            Input::Stream(Box::new(tar)),
            &std::env::temp_dir(),
            Platform::parse(platform).unwrap(),
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
        Err(LoadError::Empty { .. })
    ));
    assert_eq!(load_bytes(&tar.image(&image).end()).images.len(), 1);
}

/// Before artifacts had a type of their own, their config had one.
#[test]
fn what_has_another_config_is_no_image() {
    let image = Image::plain(&["one"]);
    let config = br#"{"name":"chart","rootfs":7}"#;
    let chart_type = "application/vnd.cncf.helm.config.v1+json";
    let chart = Manifest::for_layers(Descriptor::of(chart_type, config), vec![]).to_bytes();
    let chart_descriptor = Descriptor::of(crate::media_type::OCI_MANIFEST, &chart);
    let with = |descriptors: &[Descriptor]| oci(&index_of(descriptors)).blob(&chart).blob(config);
    let both = with(&[chart_descriptor.clone(), image.descriptor()]);
    assert_eq!(load_bytes(&both.image(&image).end()).images.len(), 1);
    let foreign = Descriptor::of("application/x-other", b"x");
    for (descriptors, kind) in [
        (&[chart_descriptor][..], chart_type),
        (&[foreign], "application/x-other"),
    ] {
        let refused = try_load(&with(descriptors).end()).unwrap_err().to_string();
        assert_eq!(refused, format!("the archive has no image, only {kind:?}"));
    }
    // an unknown type for what is an image all the same
    let mut manifest = Manifest::parse(&image.manifest).unwrap();
    manifest.config.media_type = "application/octet-stream".into();
    let odd = manifest.to_bytes();
    let index = index_of(&[Descriptor::of(crate::media_type::OCI_MANIFEST, &odd)]);
    let tar = oci(&index)
        .blob(&odd)
        .blob(&image.config)
        .blob(&image.blobs[0]);
    check_layers(&load_bytes(&tar.end()), 0, &image);
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
    // What leads out is refused; what is absolute begins at the archive's root, where this file is not.
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(outside.path(), index_of(&[image.descriptor()])).unwrap();
    let through = |link: &std::path::Path| {
        std::fs::remove_file(root.path().join(INDEX_FILE)).unwrap();
        std::os::unix::fs::symlink(link, root.path().join(INDEX_FILE)).unwrap();
        load(Input::File(root.path()), "/nonexistent".as_ref())
    };
    let outwards = through("../../etc/passwd".as_ref());
    assert!(matches!(outwards, Err(LoadError::Entry { .. })));
    assert!(through(outside.path()).is_err());
}
