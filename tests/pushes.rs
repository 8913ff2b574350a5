//! What pushes tell and pass on, and pulls of whole repositories.

use std::fs;

use kiln_oci::Digest;
use serde_json::{Value, json};

use crate::support::registry::{Fault, Guard, Registry};
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    a_build_tells_what_the_registry_has,
    an_index_goes_on_with_all_that_it_names,
    one_platform_of_several_goes_out_alone,
    all_tags_are_pulled,
    machines_push_without_a_name,
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Of the context's file, without a name: with `--push` all names are pushed.
fn build(space: &Space) -> Kiln {
    space.write("file", "text");
    space.write("Dockerfile", "FROM scratch\nCOPY file /\n");
    space.kiln(["build"]).arg(space.context())
}

fn a_build_tells_what_the_registry_has(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = format!("{}/app:v1", registry.host);
    for (platforms, kind) in [
        ("linux/amd64", MANIFEST),
        ("linux/amd64,linux/arm64", INDEX),
    ] {
        let made = space.own().join("made.json");
        let built = build(space).args(["--push", "-t", &name, "--platform", platforms]);
        let built = built.arg("--metadata-file").arg(&made).ok();
        let sent = registry.manifest_of("app/manifests/v1");
        let digest = Digest::of(&sent).to_string();
        let made: Value = serde_json::from_slice(&fs::read(made).unwrap()).unwrap();
        assert_eq!(made["containerimage.digest"], digest);
        let descriptor = &made["containerimage.descriptor"];
        assert_eq!(descriptor["digest"], digest);
        assert_eq!(descriptor["size"], sent.len());
        assert_eq!(descriptor["mediaType"], kind);
        built.says(&[&format!("{name} is {digest}")]);
    }
}

/// An image of one layer in the registry; its entry in an index.
fn image(registry: &Registry, platform: (&str, &str), layer_type: &str, layer: &[u8]) -> Value {
    let digest = registry.put_blob(layer).to_string();
    let (os, architecture) = platform;
    let config = json!({
        "os": os, "architecture": architecture, "config": {},
        "rootfs": { "type": "layers", "diff_ids": [digest] },
    });
    let config = config.to_string().into_bytes();
    let described = |kind: &str, bytes: &[u8]| json!({ "mediaType": kind, "digest": Digest::of(bytes).to_string(), "size": bytes.len() });
    registry.put_blob(&config);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": described("application/vnd.oci.image.config.v1+json", &config),
        "layers": [described(layer_type, layer)],
    });
    let manifest = manifest.to_string().into_bytes();
    registry.put_manifest(&format!("app:{architecture}"), MANIFEST, &manifest);
    let mut entry = described(MANIFEST, &manifest);
    entry["platform"] = json!({ "os": os, "architecture": architecture });
    entry
}

fn an_index_goes_on_with_all_that_it_names(space: &Space) {
    let (one, two) = (Registry::start(Guard::Open), Registry::start(Guard::Open));
    let tar = "application/vnd.oci.image.layer.v1.tar";
    let statement: &[u8] = br#"{"_type":"https://in-toto.io/Statement/v0.1"}"#;
    let mut attestation = image(
        &one,
        ("unknown", "unknown"),
        "application/vnd.in-toto+json",
        statement,
    );
    attestation["annotations"] = json!({ "vnd.docker.reference.type": "attestation-manifest" });
    let images = [
        image(&one, ("linux", "amd64"), tar, &[0; 1024]),
        image(&one, ("linux", "arm64"), tar, &[0; 2048]),
        attestation,
    ];
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": images });
    let index = format!("{index:#}").into_bytes();
    let digest = one.put_manifest("app:v1", INDEX, &index);
    let name = format!("{}/app:v1", one.host);
    space
        .kiln(["pull", "-q", "--platform", "linux/amd64", &name])
        .ok();
    let to = format!("{}/copy:v1", two.host);
    let before = space.kiln(["images", "-a", "--digests"]).ok().stdout;
    let push = || space.kiln(["push", "--compression", "none", &name, &to]);
    let pushed = push().ok();
    assert!(pushed.stdout.contains(&digest.to_string()), "{pushed}");
    assert_eq!(two.manifest_of("copy/manifests/v1"), index);
    assert!(two.has_blob(Digest::of(statement)) && two.has_blob(Digest::of(&[0; 2048])));
    // nothing of it stays here
    let after = space.kiln(["images", "-a", "--digests"]).ok().stdout;
    assert_eq!(after, before);
    space.is_clean();
    let other = ["pull", "-q", "--platform", "linux/arm64", &to];
    space.in_store("other", &other).ok();
    // sent once
    let before = two.seen().len();
    push().ok();
    assert!(
        two.seen()[before..]
            .iter()
            .all(|seen| seen.method == "HEAD")
    );
    // where nobody has it any more, it is named
    let gone = Fault::Answer(404, Vec::new(), Vec::new());
    for registry in [&one, &two] {
        registry.fault("GET", "/manifests/", 9, gone.clone());
    }
    let three = Registry::start(Guard::Open);
    let elsewhere = format!("{}/copy:v1", three.host);
    let failed = space.kiln(["push", &name, &elsewhere]).exits(1);
    failed.says(&["the index lists an image for linux/arm64"]);
}

fn one_platform_of_several_goes_out_alone(space: &Space) {
    let registry = Registry::start(Guard::Open);
    space.two_platforms();
    let to = format!("{}/app:arm", registry.host);
    let push = |platform: &str| space.kiln(["push", "--platform", platform, "app", &to]);
    push("linux/arm64").ok();
    let sent = registry.manifest_of("app/manifests/arm");
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    assert!(sent["manifests"].is_null(), "{sent}");
    space.in_store("other", &["pull", "-q", &to]).ok();
    let is_for = ["inspect", "-f", "{{.Architecture}}", &to];
    assert_eq!(space.in_store("other", &is_for).ok().stdout, "arm64\n");
    push("linux/s390x").exits(1).says(&["linux/s390x"]);
}

fn all_tags_are_pulled(space: &Space) {
    let registry = Registry::start(Guard::Open);
    for tag in ["a", "b", "c"] {
        let name = format!("{}/app:{tag}", registry.host);
        build(space).args(["--push", "-t", &name]).ok();
    }
    let repository = format!("{}/app", registry.host);
    let pulled = space
        .in_store("other", &["pull", "-q", "-a", &repository])
        .ok();
    let names: Vec<String> = ["a", "b", "c"]
        .map(|tag| format!("{repository}:{tag}"))
        .into();
    assert_eq!(pulled.stdout.lines().collect::<Vec<_>>(), names);
    let tagged = format!("{repository}:a");
    space
        .kiln(["pull", "-a", &tagged])
        .exits(2)
        .says(&["without a tag"]);
    let missing = format!("{}/missing", registry.host);
    space
        .kiln(["pull", "-a", &missing])
        .exits(1)
        .says(&["is not in"]);
}

/// As pipelines do that build each platform on a machine of its own, and name the index at the end.
fn machines_push_without_a_name(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let made = space.own().join("made.json");
    let output = format!(
        "type=image,name={}/app,push-by-digest=true,name-canonical=true,push=true",
        registry.host
    );
    let built = build(space).args(["-o", &output, "--metadata-file"]);
    let built = built.arg(&made).ok();
    let made: Value = serde_json::from_slice(&fs::read(made).unwrap()).unwrap();
    let digest = made["containerimage.digest"].as_str().unwrap();
    built.says(&[&format!("{}/app@{digest}", registry.host)]);
    let sent = registry.manifest_of(&format!("app/manifests/{digest}"));
    assert_eq!(Digest::of(&sent).to_string(), digest);
    let puts = registry.count("PUT", "/manifests/");
    assert_eq!((puts, registry.count("PUT", "/manifests/latest")), (1, 0));
    // Once more: it is there.
    build(space).args(["-o", &output]).ok();
    assert_eq!(registry.count("PUT", "/manifests/"), 1);
    let tagged = output.replace("/app,", "/app:v1,");
    let refused = build(space).args(["-o", &tagged]).exits(2);
    refused.says(&["pushes without a tag"]);
}
