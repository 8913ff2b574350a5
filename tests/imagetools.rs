//! `kiln builder imagetools`, which is `docker buildx imagetools`: what registries have is shown and put together.

use kiln_oci::Digest;
use serde_json::{Value, json};

use crate::support::registry::{Guard, Registry};
use crate::support::{Finished, Kiln, Space, plain_cases};

plain_cases! {
    an_index_is_shown_in_lines,
    templates_see_manifests_and_configs,
    attestations_are_found,
    images_become_one,
    what_cannot_be_combined_is_told,
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn tools<const N: usize>(space: &Space, arguments: [&str; N]) -> Kiln {
    space.kiln(["builder", "imagetools"]).args(arguments)
}

fn printed(kiln: Kiln) -> String {
    kiln.ok().stdout
}

/// An image of the context's file for these platforms, in a registry; its name.
fn pushed(space: &Space, registry: &Registry, name: &str, platforms: &str) -> String {
    let name = format!("{}/{name}", registry.host);
    space.write("file", "text");
    space.write("Dockerfile", "FROM scratch\nCOPY file /\nENV A=b\n");
    let build = space.kiln(["build", "--push", "-t", &name, "--platform", platforms]);
    build.arg(space.context()).ok();
    name
}

fn an_index_is_shown_in_lines(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = pushed(space, &registry, "app:v1", "linux/amd64,linux/arm64");
    let raw = printed(tools(space, ["inspect", "--raw", &name]));
    assert_eq!(raw.as_bytes(), registry.manifest_of("app/manifests/v1"));
    let index: Value = serde_json::from_str(&raw).unwrap();
    let digest = |at: usize| index["manifests"][at]["digest"].as_str().unwrap();
    let (first, second) = (digest(0), digest(1));
    let expected = format!(
        "Name:      {name}\nMediaType: {INDEX}\nDigest:    {}\n{:11}\nManifests: \n\
         {:2}Name:      {name}@{first}\n{:2}MediaType: {MANIFEST}\n{:2}Platform:  linux/amd64\n{:13}\n\
         {:2}Name:      {name}@{second}\n{:2}MediaType: {MANIFEST}\n{:2}Platform:  linux/arm64\n",
        Digest::of(raw.as_bytes()),
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
    );
    assert_eq!(printed(tools(space, ["inspect", &name])), expected);
    let plain = tools(space, ["inspect", "--format", "{{ .Manifest }}", &name]);
    assert_eq!(printed(plain), expected);
    tools(space, ["inspect", "--raw", "--format", "x", &name]).exits(2);
    let none = format!("{}/none", registry.host);
    tools(space, ["inspect", &none]).exits(1).says(&[&none]);
}

fn templates_see_manifests_and_configs(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let one = pushed(space, &registry, "one", "linux/amd64");
    let both = pushed(space, &registry, "both", "linux/amd64,linux/arm64");
    let shown =
        |name: &str, format: &str| printed(tools(space, ["inspect", "--format", format, name]));
    assert_eq!(
        shown(
            &one,
            "{{.Name}} {{.Image.OS}} {{(index .Image.Config.Env 1)}}"
        ),
        format!("{one} linux A=b")
    );
    let digest = Digest::of(&registry.manifest_of("one/manifests/latest")).to_string();
    assert_eq!(
        shown(&one, "{{json .Manifest.Digest}}"),
        format!("{digest:?}")
    );
    let image: Value = serde_json::from_str(&shown(&one, "{{json .Image}}")).unwrap();
    assert_eq!(image["config"]["Env"][1], "A=b");
    assert_eq!(image["rootfs"]["type"], "layers");
    assert!(shown(&one, "{{json .Manifest}}").starts_with("{\n  \"mediaType\": "));
    let each = "{{range .Manifest.Manifests}}{{.Platform.Architecture}} {{end}}";
    assert_eq!(shown(&both, each), "amd64 arm64 ");
    let indexed = r#"{{(index .Image "linux/arm64").Architecture}} {{json .SBOM}}"#;
    assert!(shown(&both, indexed).starts_with("arm64 {"));
    assert_eq!(shown(&one, "{{json .Provenance}}"), "{}");
    tools(space, ["inspect", "--format", "{{.Manifst}}", &one])
        .exits(1)
        .says(&["did you mean Manifest?"]);
}

/// As buildx attaches them: a manifest beside the image, which names it.
fn attestations_are_found(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let one = pushed(space, &registry, "one:v1", "linux/amd64");
    let manifest = registry.manifest_of("one/manifests/v1");
    let statement = json!({ "predicate": { "builder": { "id": "somebody" } } }).to_string();
    let blob = |kind: &str, bytes: &[u8]| json!({ "mediaType": kind, "digest": registry.put_blob(bytes).to_string(), "size": bytes.len() });
    let mut layer = blob("application/vnd.in-toto+json", statement.as_bytes());
    layer["annotations"] = json!({ "in-toto.io/predicate-type": "https://slsa.dev/provenance/v1" });
    let config = blob("application/vnd.oci.image.config.v1+json", b"{}");
    let about =
        json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] })
            .to_string();
    registry.put_manifest("one:about", MANIFEST, about.as_bytes());
    let described = |bytes: &[u8]| json!({ "mediaType": MANIFEST, "digest": Digest::of(bytes).to_string(), "size": bytes.len() });
    let mut attested = described(about.as_bytes());
    attested["annotations"] = json!({ "vnd.docker.reference.digest": Digest::of(&manifest).to_string(), "vnd.docker.reference.type": "attestation-manifest" });
    attested["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [described(&manifest), attested] }).to_string();
    registry.put_manifest("one:v1", INDEX, index.as_bytes());
    let told = printed(tools(
        space,
        [
            "inspect",
            "--format",
            "{{.Provenance.SLSA.builder.id}}",
            &one,
        ],
    ));
    assert_eq!(told, "somebody");
    let lines = printed(tools(space, ["inspect", &one]));
    assert!(
        lines.contains("  Annotations: \n    vnd.docker.reference.digest: sha256:"),
        "{lines}"
    );
}

fn images_become_one(space: &Space) {
    let (from, to) = (Registry::start(Guard::Open), Registry::start(Guard::Open));
    let amd = pushed(space, &from, "app:amd64", "linux/amd64");
    let arm = pushed(space, &from, "app:arm64", "linux/arm64");
    let (here, there) = (
        format!("{}/app:v1", from.host),
        format!("{}/other/app:v1", to.host),
    );
    let file = space.own().join("made.json");
    let create = tools(
        space,
        [
            "create",
            "-t",
            &here,
            "-t",
            &there,
            "--annotation",
            "index:a=b",
            &amd,
            &arm,
        ],
    );
    create.arg("--metadata-file").arg(&file).ok();
    let sent = to.manifest_of("other/app/manifests/v1");
    assert_eq!(sent, from.manifest_of("app/manifests/v1"));
    assert!(to.has_what_it_names());
    let index: Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(index["annotations"]["a"], "b");
    assert_eq!(index["manifests"][1]["platform"]["architecture"], "arm64");
    let made: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(
        made["containerimage.descriptor"]["digest"],
        Digest::of(&sent).to_string()
    );
    // one stays as it is, and one of several is taken out
    let carbon = |ended: Finished| ended.stdout.trim_end().as_bytes().to_vec();
    assert_eq!(
        carbon(tools(space, ["create", "--dry-run", &here]).ok()),
        sent
    );
    let alone = tools(space, ["create", "--dry-run", "--prefer-index=false", &amd]).ok();
    assert_eq!(carbon(alone), from.manifest_of("app/manifests/amd64"));
    let fewer = tools(
        space,
        ["create", "--dry-run", "--platform", "linux/arm64", &here],
    )
    .ok();
    let fewer: Value = serde_json::from_str(&fewer.stdout).unwrap();
    assert_eq!(fewer["manifests"], json!([index["manifests"][1]]));
    let more = tools(space, ["create", "--append", "-t", &amd, &arm]);
    more.ok().says(&["app:amd64 is sha256:"]);
    let added: Value = serde_json::from_slice(&from.manifest_of("app/manifests/amd64")).unwrap();
    assert_eq!(added["manifests"].as_array().unwrap().len(), 2);
}

fn what_cannot_be_combined_is_told(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let one = pushed(space, &registry, "one:v1", "linux/amd64");
    let refused = |arguments: &[&str], says: &str| {
        let tools = space
            .kiln(["builder", "imagetools", "create"])
            .args(arguments);
        tools.exits(2).says(&[says]);
    };
    refused(&["--dry-run"], "there are no sources");
    refused(&[&one], "give one with --tag");
    refused(
        &["--dry-run", &format!("sha256:{}", "0".repeat(64))],
        "write NAME@DIGEST",
    );
    refused(&["--dry-run", "{}"], "is no descriptor");
    refused(
        &["--dry-run", "--annotation", "a=b", &one],
        "write index:KEY=VALUE",
    );
    refused(
        &[
            "--dry-run",
            "--prefer-index=false",
            "--platform",
            "linux/s390x",
            &one,
        ],
        "none of the platforms",
    );
    space
        .kiln(["--offline", "builder", "imagetools", "inspect", &one])
        .exits(2);
}
