//! Images of several platforms in archives, whole or one of them; what the verbs of images do with them; attestations.

use std::fs;

use kiln_oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use kiln_oci::{Descriptor, Digest, Index, LayerCompression, Manifest, Platform};
use serde_json::Value;

use crate::support::archive::{described, listed};
use crate::support::hostile::{listing, names, tar_of};
use crate::support::image::members;
use crate::support::tar::{Layers, Tar};
use crate::support::{Space, plain_cases};

plain_cases! {
    all_platforms_travel_together,
    one_platform_is_taken_out,
    one_platform_is_taken_in,
    platforms_without_this_machines,
    indexes_inside_indexes,
    a_platform_that_no_archive_has,
    lists_and_looks_at_an_index,
    names_of_an_index_come_and_go,
    attestations_travel_with_their_index,
    artifacts_travel_with_their_index,
    attestations_that_are_damaged_or_absent,
}

/// What docker calls this machine's architecture; of the two platforms, if it is one.
fn host() -> String {
    let host = Platform::host().architecture;
    if ["amd64", "arm64"].contains(&host.as_str()) {
        host
    } else {
        "amd64".to_owned()
    }
}

fn other() -> &'static str {
    if host() == "amd64" { "arm64" } else { "amd64" }
}

fn digest(archive: &[u8]) -> String {
    let listed = listed(archive);
    assert_eq!(listed.len(), 1, "{listed:?}");
    listed[0]["digest"].as_str().unwrap().to_owned()
}

/// The digests of the images for each platform.
fn children(archive: &[u8]) -> Vec<(String, String)> {
    let index = described(archive, &listed(archive)[0]);
    let of = |child: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (
            text(&child["platform"]["architecture"]),
            text(&child["digest"]),
        )
    };
    index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(of)
        .collect()
}

fn all_platforms_travel_together(space: &Space) {
    space.two_platforms();
    let first = fs::read(space.save(&["app"], "first.tar")).unwrap();
    let index = digest(&first);
    assert_eq!(listed(&first)[0]["mediaType"], OCI_INDEX);
    let architectures: Vec<String> = children(&first).into_iter().map(|(name, _)| name).collect();
    assert_eq!(architectures, ["amd64", "arm64"]);
    let docker: Value = serde_json::from_slice(&members(&first)["manifest.json"]).unwrap();
    assert_eq!(docker.as_array().unwrap().len(), 1, "docker knows one");
    let config = docker[0]["Config"].as_str().unwrap();
    let config: Value = serde_json::from_slice(&members(&first)[config]).unwrap();
    assert_eq!(config["architecture"], host());
    for (store, arguments) in [
        ("hybrid", &["app"][..]),
        ("oci", &["--format", "oci-archive", "app"]),
        ("piped", &["--compress", "zstd", "app"]),
        ("folder", &["--format", "oci-dir", "app"]),
    ] {
        let archive = space.save(arguments, store);
        let loaded = if store == "piped" {
            let bytes = fs::read(archive).unwrap();
            space.in_store("piped-store", &["load"]).stdin(bytes).ok()
        } else {
            let into = format!("{store}-store");
            space.in_store(&into, &["load", "-i"]).arg(archive).ok()
        };
        assert_eq!(loaded.stdout, "Loaded image: app:latest\n");
        let store = format!("{store}-store");
        let again = space.in_store(&store, &["save", "app"]).stdout();
        assert!(again == first, "{store}: {}", digest(&again));
        assert_eq!(space.in_store(&store, &["fsck"]).ok().stdout, "clean\n");
    }
    let child = format!("FROM app@{index}\nARG TARGETARCH\nLABEL child=$TARGETARCH\n");
    let platform = format!("linux/{}", other());
    space
        .build(&child)
        .args(["-t", "child", "--platform", &platform])
        .env("KILN_STORE", space.own().join("oci-store"))
        .ok();
    let arguments = ["inspect", "-f", "{{json .Config.Labels}}", "child"];
    let labels = space.in_store("oci-store", &arguments).ok().stdout;
    let expected = format!("{{\"child\":\"{0}\",\"for\":\"{0}\"}}\n", other());
    assert_eq!(labels, expected);
}

fn one_platform_is_taken_out(space: &Space) {
    space.two_platforms();
    let whole = children(&fs::read(space.save(&["app"], "whole.tar")).unwrap());
    for (architecture, manifest) in whole {
        let platform = format!("linux/{architecture}");
        let archive = space.save(&["--platform", &platform, "app"], "one.tar");
        assert_eq!(digest(&fs::read(&archive).unwrap()), manifest);
        space.load_in(&architecture, &archive);
        let template = ["inspect", "-f", "{{.Architecture}} {{.RepoDigests}}", "app"];
        let shown = space.in_store(&architecture, &template).ok().stdout;
        assert_eq!(shown, format!("{architecture} [app@{manifest}]\n"));
    }
    let refused = space
        .kiln(["save", "--platform", "linux/s390x", "-o", "none.tar", "app"])
        .exits(1);
    refused.says(&["linux/s390x", "linux/amd64, linux/arm64"]);
    assert!(!space.own().join("none.tar").exists());
}

fn one_platform_is_taken_in(space: &Space) {
    space.two_platforms();
    let path = space.save(&["app"], "whole.tar");
    let whole = fs::read(&path).unwrap();
    let manifest = |wanted: &str| {
        let mut children = children(&whole).into_iter();
        children.find(|(name, _)| name == wanted).unwrap().1
    };
    let platform = format!("linux/{}", other());
    for store in ["file", "pipe"] {
        let load = space.in_store(store, &["load", "--platform", &platform]);
        if store == "pipe" {
            load.stdin(whole.clone()).ok();
        } else {
            load.arg("-i").arg(&path).ok();
        }
        assert_eq!(space.in_store(store, &["fsck"]).ok().stdout, "clean\n");
        let ids = space.in_store(store, &["images", "-q"]).ok().stdout;
        assert_eq!(ids.lines().count(), 1);
        let template = ["inspect", "-f", "{{.Digest}} {{.Architecture}}", "app"];
        let shown = space.in_store(store, &template).ok().stdout;
        assert_eq!(shown, format!("{} {}\n", manifest(other()), other()));
        let layers = listing(&space.own().join(store).join("layers"));
        assert_eq!(layers.len(), 2, "layers of the other platform were kept");
        // alone it goes out as an image of its own
        let alone = space.in_store(store, &["save", "app"]).stdout();
        assert_eq!(digest(&alone), manifest(other()));
        // the rest comes later, and then it is whole
        space.load_in(store, &path);
        let again = space.in_store(store, &["save", "app"]).stdout();
        assert!(again == whole, "{store}");
    }
}

fn platforms_without_this_machines(space: &Space) {
    space.write("x", "x");
    space
        .build("FROM scratch\nCOPY x /\nARG TARGETARCH\nLABEL for=$TARGETARCH\n")
        .args(["--platform", "linux/s390x,linux/riscv64"])
        .ok();
    let archive = space.save(&["app"], "foreign.tar");
    let whole = fs::read(&archive).unwrap();
    space.load_in("foreign", &archive);
    assert!(space.in_store("foreign", &["save", "app"]).stdout() == whole);
    let refused = space.in_store("foreign", &["inspect", "app"]).exits(1);
    refused.says(&["linux/s390x, linux/riscv64", "--platform"]);
    let arguments = ["inspect", "--platform", "linux/s390x", "app"];
    space.in_store("foreign", &arguments).ok();
    let removed = space.in_store("foreign", &["rmi", "app"]).ok().stdout;
    assert_eq!(removed.matches("Deleted: sha256:").count(), 2, "{removed}");
    let left = space.in_store("foreign", &["images", "-q"]).ok().stdout;
    assert_eq!(left, "");
}

/// An image for a platform.
fn image(platform: &str, content: &str) -> (Descriptor, Layers) {
    let platform = Platform::parse(platform).unwrap();
    let mut config = kiln_oci::ImageConfig::new(&platform);
    let tar = tar_of(content);
    config.rootfs.diff_ids = vec![Digest::of(&tar)];
    let image = Layers::of_blobs(&config, vec![tar], LayerCompression::None);
    let mut descriptor = Descriptor::of(OCI_MANIFEST, &image.manifest);
    descriptor.platform = Some(platform);
    (descriptor, image)
}

fn blobs<'a>(tar: Tar, blobs: impl IntoIterator<Item = &'a [u8]>) -> Tar {
    blobs.into_iter().fold(tar, |tar, blob| {
        tar.file(format!("blobs/sha256/{}", Digest::of(blob).hex()), blob)
    })
}

/// A layout whose index is called `app`: its documents, then its other blobs.
fn layout(index: &[u8], documents: &[&[u8]], others: &[&[u8]]) -> Vec<u8> {
    let mut named = Descriptor::of(OCI_INDEX, index);
    let name = "docker.io/library/app:latest".to_owned();
    named
        .annotations
        .insert("io.containerd.image.name".to_owned(), name);
    let tar = Tar::default().file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    let tar = tar.file("index.json", Index::of(vec![named]).to_bytes());
    let tar = blobs(tar, [index]);
    let tar = blobs(tar, documents.iter().copied());
    blobs(tar, others.iter().copied()).end()
}

fn indexes_inside_indexes(space: &Space) {
    let (amd, one) = image("linux/amd64", "one");
    let (arm, two) = image("linux/arm64", "two");
    let inner = Index::of(vec![arm.clone()]).to_bytes();
    let middle = Index::of(vec![Descriptor::of(OCI_INDEX, &inner)]).to_bytes();
    // spaces that no serialiser of ours writes
    let middle = [b" ", &middle[..]].concat();
    let outer = Index::of(vec![amd, Descriptor::of(OCI_INDEX, &middle)]).to_bytes();
    let documents = [
        &inner,
        &middle,
        &one.manifest,
        &one.config,
        &two.manifest,
        &two.config,
    ];
    let documents: Vec<&[u8]> = documents.iter().map(|blob| &blob[..]).collect();
    let archive = layout(&outer, &documents, &[&one.blobs[0], &two.blobs[0]]);
    let path = space.write_in("own", "nested.tar", &archive);
    space.load_in("whole", &path);
    let saved = space.in_store("whole", &["save", "app"]).stdout();
    assert_eq!(digest(&saved), Digest::of(&outer).to_string());
    for blob in [&inner, &middle] {
        let name = format!("blobs/sha256/{}", Digest::of(blob).hex());
        assert!(members(&saved)[&name] == *blob, "an inner index changed");
    }
    space.in_store("again", &["load"]).stdin(saved.clone()).ok();
    assert!(space.in_store("again", &["save", "app"]).stdout() == saved);
    space
        .in_store("arm", &["load", "--platform", "linux/arm64"])
        .stdin(archive)
        .ok();
    let template = ["inspect", "-f", "{{.Digest}}", "app"];
    let shown = space.in_store("arm", &template).ok().stdout;
    assert_eq!(shown.trim(), arm.digest.to_string());
    space.in_store("whole", &["rmi", "app"]).ok();
    space.in_store("whole", &["prune"]).ok();
    let left = listing(&space.own().join("whole/blobs"));
    assert!(left.is_empty(), "{left:?}");
}

fn a_platform_that_no_archive_has(space: &Space) {
    space.two_platforms();
    let path = space.save(&["app"], "app.tar");
    let before = (listing(&space.store()), names(space));
    let arguments = ["load", "--platform", "linux/s390x"];
    let says = ["linux/s390x", "linux/amd64", "linux/arm64"];
    space
        .kiln(arguments)
        .arg("-i")
        .arg(&path)
        .exits(1)
        .says(&says);
    let piped = space.kiln(arguments).stdin(fs::read(&path).unwrap());
    piped.exits(1).says(&says);
    let one = space.save(&["--platform", "linux/arm64", "app"], "one.tar");
    let refused = space
        .kiln(["load", "--platform", "linux/amd64", "-i"])
        .arg(&one);
    refused.exits(1).says(&["linux/amd64", "linux/arm64"]);
    assert_eq!((listing(&space.store()), names(space)), before);
    space.is_clean();
}

fn lists_and_looks_at_an_index(space: &Space) {
    space.two_platforms();
    let index = digest(&fs::read(space.save(&["app"], "app.tar")).unwrap());
    let arguments = ["images", "--format", "{{.Repository}}:{{.Tag}} {{.Digest}}"];
    let shown = space.kiln(arguments).ok().stdout;
    assert_eq!(shown, format!("app:latest {index}\n"), "one row a name");
    let mut seen = Vec::new();
    for architecture in [host().as_str(), other()] {
        let platform = format!("linux/{architecture}");
        let template = "{{.Architecture}} {{.Config.Labels.for}} {{.RepoDigests}}";
        let arguments = ["inspect", "--platform", &platform, "-f", template, "app"];
        let shown = space.kiln(arguments).ok().stdout;
        let expected = format!("{architecture} {architecture} [app@{index}]\n");
        assert_eq!(shown, expected);
        let arguments = ["history", "--platform", &platform, "--format", "json"];
        let history = space.kiln(arguments).arg("app").ok().stdout;
        assert!(
            history.contains(&format!("LABEL for={architecture}")),
            "{history}"
        );
        let arguments = ["export", "--platform", &platform, "app"];
        let files = space.kiln(arguments).stdout();
        seen.push(members(&files)["own"].clone());
    }
    seen.sort();
    assert_eq!(seen, [b"arm".to_vec(), b"intel".to_vec()]);
    // without a platform: this machine's, by any of its names
    for name in ["app", &index, &index[7..19]] {
        let shown = space
            .kiln(["inspect", "-f", "{{.Architecture}}", name])
            .ok();
        assert_eq!(shown.stdout, format!("{}\n", host()), "{name}");
    }
    let refused = space
        .kiln(["inspect", "--platform", "linux/s390x", "app"])
        .exits(1);
    refused.says(&["linux/s390x", "linux/amd64, linux/arm64"]);
}

fn names_of_an_index_come_and_go(space: &Space) {
    space.two_platforms();
    let whole = fs::read(space.save(&["app"], "app.tar")).unwrap();
    space.kiln(["tag", "app", "other:v1"]).ok();
    let both = fs::read(space.save(&["app", "other:v1"], "both.tar")).unwrap();
    let digests: Vec<Value> = listed(&both)
        .iter()
        .map(|descriptor| descriptor["digest"].clone())
        .collect();
    assert_eq!(digests, [digest(&whole), digest(&whole)]);
    assert_eq!(
        space.kiln(["rmi", "app"]).ok().stdout,
        "Untagged: app:latest\n"
    );
    space.kiln(["prune"]).ok();
    let again = fs::read(space.save(&["other:v1"], "other.tar")).unwrap();
    assert_eq!(digest(&again), digest(&whole));
    // an image of it with a name of its own outlives it
    let platform = format!("linux/{}", other());
    let one = space.save(&["--platform", &platform, "other:v1"], "one.tar");
    space.kiln(["rmi", "other:v1"]).ok();
    space.kiln(["load", "-i"]).arg(&one).ok();
    space.kiln(["tag", "other:v1", "own"]).ok();
    let path = space.own().join("app.tar");
    space.kiln(["load", "-i"]).arg(&path).ok();
    let id = space.id("own");
    let removed = space.kiln(["rmi", "app"]).ok().stdout;
    assert_eq!(removed.matches("Deleted: ").count(), 1, "{removed}");
    assert!(!removed.contains(&id), "{removed}");
    assert_eq!(space.id("own"), id);
    // by its digest it goes with all of its names only by force
    space.kiln(["load", "-i"]).arg(&path).ok();
    space.kiln(["tag", "app", "more"]).ok();
    let index = digest(&whole);
    let refused = space.kiln(["rmi", &index]).exits(1);
    refused.says(&["app", "more", "--force"]);
    space.kiln(["rmi", "--force", &index]).ok();
    let left = space.kiln(["images", "--format", "{{.Repository}}"]).ok();
    assert_eq!(left.stdout, "other\nown\n");
    space.kiln(["prune", "-a"]).ok();
    let left = listing(&space.store().join("blobs"));
    assert!(left.is_empty(), "{left:?}");
    space.is_clean();
}

/// An image with what BuildKit says of how it was made: the index, documents, and further blobs.
struct Attested {
    index: Vec<u8>,
    attestation: Vec<u8>,
    config: Vec<u8>,
    statement: Vec<u8>,
    image: Layers,
}

impl Attested {
    fn new(statement: Vec<u8>) -> Self {
        let (descriptor, image) = image(&format!("linux/{}", host()), "attested");
        let config = br#"{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#.to_vec();
        let layer = Descriptor::of("application/vnd.in-toto+json", &statement);
        let attestation =
            Manifest::for_layers(Descriptor::of(OCI_CONFIG, &config), vec![layer]).to_bytes();
        let mut second = Descriptor::of(OCI_MANIFEST, &attestation);
        second.platform = Some(Platform::new("unknown", "unknown"));
        let subject = descriptor.digest.to_string();
        for (key, value) in [
            ("vnd.docker.reference.digest", subject.as_str()),
            ("vnd.docker.reference.type", "attestation-manifest"),
        ] {
            second.annotations.insert(key.to_owned(), value.to_owned());
        }
        Attested {
            index: Index::of(vec![descriptor, second]).to_bytes(),
            attestation,
            config,
            statement,
            image,
        }
    }

    fn archive(&self, statement: &[u8]) -> Vec<u8> {
        let documents: [&[u8]; 4] = [
            &self.image.manifest,
            &self.image.config,
            &self.attestation,
            &self.config,
        ];
        layout(&self.index, &documents, &[statement, &self.image.blobs[0]])
    }

    fn digest(&self) -> String {
        Digest::of(&self.index).to_string()
    }
}

fn attestations_travel_with_their_index(space: &Space) {
    let large = format!("[\"{}\"]", "sbom ".repeat(1 << 20)).into_bytes();
    for (number, statement) in [br#"{"predicate":1}"#.to_vec(), large]
        .into_iter()
        .enumerate()
    {
        let attested = Attested::new(statement);
        let archive = attested.archive(&attested.statement);
        let path = space.write_in("own", "attested.tar", &archive);
        let (file, pipe) = (format!("file-{number}"), format!("pipe-{number}"));
        space.load_in(&file, &path);
        space.in_store(&pipe, &["load"]).stdin(archive.clone()).ok();
        space.kiln(["verify"]).arg(&path).ok();
        for store in [&file, &pipe] {
            // what a build or prune leaves alone
            space.in_store(store, &["prune"]).ok();
            let saved = space.in_store(store, &["save", "app"]).stdout();
            assert_eq!(digest(&saved), attested.digest(), "{store}");
            let statement = format!("blobs/sha256/{}", Digest::of(&attested.statement).hex());
            assert!(members(&saved)[&statement] == attested.statement);
            let back = space.in_store(&format!("back-{store}"), &["load"]);
            back.stdin(saved.clone()).ok();
            let again = space.in_store(&format!("back-{store}"), &["save", "app"]);
            assert!(again.stdout() == saved, "{store}");
            // it is no platform, and no image
            let ids = space.in_store(store, &["images", "-a", "-q"]).ok().stdout;
            assert_eq!(ids.lines().count(), 1);
            let unknown = ["inspect", "--platform", "unknown/unknown", "app"];
            space.in_store(store, &unknown).exits(1);
            space.in_store(store, &["rmi", "app"]).ok();
            space.in_store(store, &["prune"]).ok();
            let left = listing(&space.own().join(store).join("blobs"));
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

/// What is in an index without being an image stays there, so that the index keeps its digest.
fn artifacts_travel_with_their_index(space: &Space) {
    let (descriptor, image) = image(&format!("linux/{}", host()), "beside");
    let chart = br#"{"name":"chart"}"#.to_vec();
    let typed = Descriptor::of("application/vnd.cncf.helm.config.v1+json", &chart);
    let plain = Descriptor::of(kiln_oci::media_type::OCI_EMPTY, &chart);
    for (number, config) in [typed, plain].into_iter().enumerate() {
        let artifact = Manifest::for_layers(config, vec![]).to_bytes();
        let beside = Descriptor::of(OCI_MANIFEST, &artifact);
        let index = Index::of(vec![beside, descriptor.clone()]).to_bytes();
        let documents: [&[u8]; 4] = [&image.manifest, &image.config, &artifact, &chart];
        let archive = layout(&index, &documents, &[&image.blobs[0]]);
        let path = space.write_in("own", "artifact.tar", &archive);
        let store = format!("store-{number}");
        space.load_in(&store, &path);
        let saved = space.in_store(&store, &["save", "app"]).stdout();
        assert_eq!(digest(&saved), Digest::of(&index).to_string());
        let ids = space.in_store(&store, &["images", "-a", "-q"]).ok().stdout;
        assert_eq!(ids.lines().count(), 1);
    }
}

fn attestations_that_are_damaged_or_absent(space: &Space) {
    let attested = Attested::new(br#"{"predicate":1}"#.to_vec());
    // a wrong byte: nothing is taken
    let mut damaged = attested.archive(&attested.statement);
    let at = damaged
        .windows(11)
        .position(|part| part == b"\"predicate\"")
        .unwrap();
    damaged[at + 1] = b'P';
    let path = space.write_in("own", "damaged.tar", &damaged);
    space.kiln(["images"]).ok();
    let before = listing(&space.store());
    space.kiln(["load", "-i"]).arg(&path).exits(1);
    space.kiln(["load"]).stdin(damaged).exits(1);
    space.kiln(["verify"]).arg(&path).exits(1);
    assert_eq!(listing(&space.store()), before);
    assert_eq!(names(space), "");
    // not there at all: the image is taken, and goes out alone
    let absent = attested.archive(b"{}");
    space.kiln(["load"]).stdin(absent).ok();
    let saved = space.kiln(["save", "app"]).stdout();
    let manifest = Digest::of(&attested.image.manifest).to_string();
    assert_eq!(digest(&saved), manifest);
    space.is_clean();
}
