//! Images from and to a registry on a loopback port: what is asked of it, and what never is.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::support::registry::{Fault, Guard, Registry};
use crate::support::{Finished, Kiln, Space, plain_cases};

plain_cases! {
    an_image_goes_out_and_comes_back,
    layers_come_only_when_they_are_needed,
    a_second_build_asks_nothing,
    offline_asks_nothing_and_names_all_that_is_missing,
    pull_refreshes_and_nothing_else_does,
    a_push_sends_nothing_twice,
    a_build_pushes,
    what_was_pulled_goes_out_as_it_came,
    compressions_and_media_types,
    a_broken_download_is_gone_on_with,
    builds_at_once_fetch_once,
    credentials_are_kept_and_forgotten,
    a_name_of_several_platforms,
    a_manifest_for_another_platform,
}

/// Three layers, so that some can be left where they are.
const BASE: &str = "FROM scratch
COPY --from=tools / /
COPY one.txt /one.txt
RUN echo two > /two.txt
ENV BASE=yes
";

/// An image in the registry, as `HOST/base:v1`, made by a store that is not used any more.
fn base(space: &Space, registry: &Registry) -> String {
    space.write("one.txt", "one\n");
    let name = format!("{}/base:v1", registry.host);
    let store = space.own().join("first");
    space
        .build(BASE)
        .args(["-t", &name])
        .env("KILN_STORE", &store)
        .ok();
    let pushed = space.kiln(["push", &name]).env("KILN_STORE", &store).ok();
    assert!(
        pushed.stdout.contains("pushed, digest: sha256:"),
        "{pushed}"
    );
    name
}

fn build(space: &Space, dockerfile: &str) -> Kiln {
    space.build(dockerfile)
}

/// Layers that were asked for since `before` requests: blobs, but for configs.
fn layers_fetched(registry: &Registry, before: usize) -> usize {
    let seen = registry.seen();
    let blobs: Vec<String> = seen[before..]
        .iter()
        .filter(|seen| seen.method == "GET" && seen.path.contains("/blobs/"))
        .map(|seen| seen.path.clone())
        .collect();
    let different: BTreeSet<&String> = blobs.iter().collect();
    assert_eq!(
        different.len(),
        blobs.len(),
        "nothing comes twice: {blobs:?}"
    );
    // one of them is the config
    blobs.len().saturating_sub(1)
}

fn digest_of(finished: &Finished) -> String {
    let start = finished.stdout.find("sha256:").unwrap();
    finished.stdout[start..start + 71].to_owned()
}

fn an_image_goes_out_and_comes_back(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = base(space, &registry);
    let built = build(
        space,
        &format!("FROM {name}\nRUN cat /one.txt /two.txt; echo $BASE\n"),
    )
    .ok();
    assert_eq!(built.output(), ["one", "two", "yes"]);
    let pulled = space
        .kiln(["pull", &name])
        .env("KILN_STORE", space.own().join("third"))
        .ok();
    assert!(
        pulled.stdout.contains("Status: Downloaded newer image"),
        "{pulled}"
    );
    let again = space
        .kiln(["pull", &name])
        .env("KILN_STORE", space.own().join("third"))
        .ok();
    assert!(
        again.stdout.contains("Status: Image is up to date"),
        "{again}"
    );
    assert_eq!(digest_of(&pulled), digest_of(&again));
    assert_eq!(
        digest_of(&pulled),
        digest_of(&space.kiln(["pull", &name]).ok())
    );
    space.is_clean();
}

fn layers_come_only_when_they_are_needed(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = base(space, &registry);
    space.write("file", "x");
    let cases = [
        ("ENV A=1\nLABEL b=c\nCMD [\"x\"]\n", 0),
        ("COPY --link --chown=5:6 file /srv/file\nUSER 1000\n", 0),
        ("COPY file /srv/file\n", 3),
        ("RUN test -f /one.txt\n", 3),
    ];
    for (number, (text, layers)) in cases.into_iter().enumerate() {
        let store = space.own().join(format!("case-{number}"));
        let before = registry.seen().len();
        build(space, &format!("FROM {name}\n{text}"))
            .env("KILN_STORE", &store)
            .ok();
        assert_eq!(layers_fetched(&registry, before), layers, "{text}");
        let fsck = space.kiln(["fsck"]).env("KILN_STORE", &store).ok();
        assert_eq!(fsck.stdout, "clean\n");
    }
    let views = |case: &str| {
        let folder = space.own().join(case).join("views");
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    };
    assert_eq!(
        (views("case-2"), views("case-3")),
        (0, 1),
        "a COPY unpacks nothing"
    );
    // what was left out comes when the image is saved
    let before = registry.seen().len();
    let archive = space.own().join("lazy.tar");
    let first = space.own().join("case-0");
    space
        .kiln(["save", "app", "-o"])
        .arg(&archive)
        .env("KILN_STORE", first)
        .ok();
    assert!(archive.metadata().unwrap().len() > 10_000);
    assert!(registry.seen().len() > before);
}

fn a_second_build_asks_nothing(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = base(space, &registry);
    let text = format!(
        "FROM {name}\nRUN cat /two.txt > /three.txt\nCOPY --from={name} /one.txt /four.txt\n"
    );
    build(space, &text).ok();
    let (asked, id) = (registry.seen().len(), space.id("app"));
    build(space, &text).ok();
    build(space, &text).args(["--no-cache"]).ok();
    build(space, &format!("{text}ENV A=2\n")).ok();
    build(space, &text).args(["--offline"]).ok();
    assert_eq!(space.id("app"), id);
    assert_eq!(registry.seen().len(), asked);
}

fn offline_asks_nothing_and_names_all_that_is_missing(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let host = &registry.host;
    let text = format!(
        "FROM {host}/a AS a\nFROM {host}/b\nCOPY --from=a / /\nCOPY --from={host}/c / /c\n"
    );
    let failed = build(space, &text).args(["--offline"]).exits(1);
    for name in ["a", "b", "c"] {
        let missing = format!("there is no image {host}/{name} in the store");
        assert!(failed.stderr.contains(&missing), "{failed}");
    }
    let failed = build(space, &text).env("KILN_OFFLINE", "1").exits(1);
    assert!(
        failed.stderr.contains("base images are missing"),
        "{failed}"
    );
    let pull = space
        .kiln(["pull", "--offline", &format!("{host}/a")])
        .exits(1);
    assert!(pull.stderr.contains("--offline"), "{pull}");
    assert!(registry.seen().is_empty());
    let online = build(space, &text).exits(1);
    assert!(online.stderr.contains("cannot be pulled"), "{online}");
}

fn pull_refreshes_and_nothing_else_does(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = base(space, &registry);
    let text = format!("FROM {name}\nRUN cat /two.txt\n");
    assert_eq!(build(space, &text).ok().output(), ["two"]);
    let store = space.own().join("first");
    let newer = BASE.replace("echo two", "echo newer");
    space
        .build(&newer)
        .args(["-t", &name])
        .env("KILN_STORE", &store)
        .ok();
    space.kiln(["push", &name]).env("KILN_STORE", &store).ok();
    assert!(build(space, &text).ok().output().is_empty(), "cached");
    assert_eq!(
        build(space, &text).args(["--pull"]).ok().output(),
        ["newer"]
    );
    let asked = registry.seen().len();
    assert!(
        build(space, &text)
            .args(["--pull"])
            .ok()
            .output()
            .is_empty()
    );
    let asked: Vec<String> = registry.seen()[asked..]
        .iter()
        .map(|seen| seen.method.clone())
        .collect();
    assert_eq!(asked, ["HEAD"]);
    // what was only ever made here is taken as it is
    space
        .build("FROM tools\nENV A=1\n")
        .args(["-t", &format!("{}/mine", registry.host)])
        .ok();
    let own = format!("FROM {}/mine\nRUN echo mine\n", registry.host);
    let built = build(space, &own).args(["--pull"]).ok();
    assert!(built.stderr.contains("no registry has it"), "{built}");
}

fn a_push_sends_nothing_twice(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = base(space, &registry);
    let store = space.own().join("first");
    let before = registry.seen().len();
    let again = space.kiln(["push", &name]).env("KILN_STORE", &store).ok();
    assert!(again.stdout.contains("there already"), "{again}");
    let asked: Vec<String> = registry.seen()[before..]
        .iter()
        .map(|seen| seen.method.clone())
        .collect();
    assert_eq!(asked, ["HEAD"]);
    // another repository of the same registry: nothing is downloaded and no layer uploaded
    let child = format!("{}/child:v1", registry.host);
    build(space, &format!("FROM {name}\nENV CHILD=1\n"))
        .args(["-t", &child])
        .ok();
    // this registry's repositories share their blobs, as others' do not
    let absent = Fault::Answer(404, Vec::new(), Vec::new());
    registry.fault("HEAD", "/child/blobs/", 4, absent);
    let before = registry.seen().len();
    space.kiln(["push", &child]).ok();
    let after = registry.seen()[before..].to_vec();
    assert!(
        !after
            .iter()
            .any(|seen| seen.method == "GET" && seen.path.contains("/blobs/"))
    );
    let mounts = after
        .iter()
        .filter(|seen| seen.path.contains("mount="))
        .count();
    assert_eq!(
        mounts,
        3,
        "{:?}",
        after.iter().map(|seen| &seen.path).collect::<Vec<_>>()
    );
    let pulled = space
        .kiln(["pull", &child])
        .env("KILN_STORE", space.own().join("third"))
        .ok();
    assert!(pulled.stdout.contains("Digest: sha256:"));
}

fn a_build_pushes(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = format!("{}/pushed:v1", registry.host);
    let nameless = space.kiln(["build", "--push"]).arg(space.context());
    space.write("Dockerfile", "FROM scratch\nENV A=1\n");
    let failed = nameless.exits(3);
    assert!(failed.stderr.contains("-t NAME"), "{failed}");
    build(space, "FROM scratch\nENV A=1\n")
        .args(["-t", &name, "-t", &format!("{name}-again"), "--output"])
        .arg(format!("type=image,push=true,name={name}"))
        .ok();
    let pulled = space
        .kiln(["pull", &name])
        .env("KILN_STORE", space.own().join("third"))
        .ok();
    assert!(pulled.stdout.contains("Downloaded newer image"));
    assert_eq!(registry.count("PUT", "/manifests/"), 1);
}

fn what_was_pulled_goes_out_as_it_came(space: &Space) {
    let (one, two) = (Registry::start(Guard::Open), Registry::start(Guard::Open));
    let name = base(space, &one);
    let pulled = space.kiln(["pull", &name]).ok();
    let other = format!("{}/elsewhere/base:v2", two.host);
    let digest = space.own().join("digest");
    let pushed = space
        .kiln(["push", &name, &other, "--digestfile"])
        .arg(&digest)
        .ok();
    assert_eq!(digest_of(&pulled), digest_of(&pushed));
    assert_eq!(std::fs::read_to_string(digest).unwrap(), digest_of(&pulled));
}

fn compressions_and_media_types(space: &Space) {
    let registry = Registry::start(Guard::Open);
    space.write("one.txt", "one\n".repeat(10_000));
    space.build(BASE).ok();
    let types = |arguments: &[&str]| {
        let to = format!("{}/{}:v1", registry.host, arguments.len());
        space.kiln(["push", "app", &to]).args(arguments).ok();
        let sent = registry.seen();
        let manifest = sent
            .iter()
            .rev()
            .find(|seen| seen.method == "PUT" && seen.path.contains("/manifests/"));
        let manifest: serde_json::Value = serde_json::from_slice(&manifest.unwrap().body).unwrap();
        let of = |layer: &serde_json::Value| layer["mediaType"].as_str().unwrap().to_owned();
        let layers: BTreeSet<String> = manifest["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(of)
            .collect();
        (
            of(&manifest),
            layers.into_iter().collect::<Vec<_>>().join(" "),
        )
    };
    let oci = "application/vnd.oci.image.manifest.v1+json".to_owned();
    let layer = |kind: &str| format!("application/vnd.oci.image.layer.v1.tar{kind}");
    assert_eq!(types(&[]), (oci.clone(), layer("+gzip")));
    assert_eq!(
        types(&["--compression=zstd:9"]),
        (oci.clone(), layer("+zstd"))
    );
    assert_eq!(types(&["--compression", "none"]), (oci, layer("")));
    let docker = types(&["--format", "docker", "-q"]);
    assert_eq!(
        docker.0,
        "application/vnd.docker.distribution.manifest.v2+json"
    );
    assert_eq!(
        docker.1,
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
    );
    let refused = space
        .kiln([
            "push",
            "app",
            "localhost:1/x",
            "--format=docker",
            "--compression=zstd",
        ])
        .exits(1);
    assert!(refused.stderr.contains("zstd"), "{refused}");
}

fn a_broken_download_is_gone_on_with(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = base(space, &registry);
    registry.fault("GET", "/blobs/", 3, Fault::Truncate(300));
    let built = build(space, &format!("FROM {name}\nRUN cat /two.txt\n")).ok();
    assert_eq!(built.output(), ["two"]);
    space.is_clean();
}

fn builds_at_once_fetch_once(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = base(space, &registry);
    let before = registry.seen().len();
    let text = |number: u32| format!("FROM {name}\nRUN cat /two.txt > /{number}.txt\n");
    let contexts: Vec<PathBuf> = (0..3)
        .map(|number| space.write_in(&format!("at-once-{number}"), "Dockerfile", text(number)))
        .collect();
    let running: Vec<_> = contexts
        .iter()
        .map(|file| {
            space
                .kiln(["build", "-q"])
                .arg(file.parent().unwrap())
                .spawn()
        })
        .collect();
    for build in running {
        let finished = build.wait();
        assert!(finished.status.success(), "{finished}");
    }
    let seen = registry.seen();
    let blobs = seen[before..]
        .iter()
        .filter(|seen| seen.method == "GET" && seen.path.contains("/blobs/"));
    let paths: Vec<&String> = blobs.map(|seen| &seen.path).collect();
    let different: BTreeSet<&&String> = paths.iter().collect();
    // three layers once each; a config is small enough to come more than once
    assert_eq!(different.len(), 4);
    assert!(paths.len() <= 6, "{paths:?}");
}

fn credentials_are_kept_and_forgotten(space: &Space) {
    let registry = Registry::start(Guard::Basic);
    let host = &registry.host;
    let login = |password: &str| {
        space
            .kiln(["login", "-u", "user", "--password-stdin", host])
            .stdin(format!("{password}\n"))
    };
    let refused = login("wrong").exits(1);
    assert!(!refused.stderr.contains("wrong"), "{refused}");
    login("password").ok();
    let kept = space.own().join(".docker/config.json");
    let mode = std::os::unix::fs::PermissionsExt::mode(&kept.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    base(space, &registry);
    space.kiln(["logout", host]).ok();
    let denied = space.kiln(["pull", &format!("{host}/base:v1")]).exits(1);
    assert!(denied.stderr.contains("kiln login"), "{denied}");
}

fn a_name_of_several_platforms(space: &Space) {
    let registry = Registry::start(Guard::Open);
    space.write("one.txt", "one\n");
    let name = format!("{}/many:v1", registry.host);
    let first = space.own().join("first");
    let manifest = |architecture: &str| {
        let to = format!("{}/many:{architecture}", registry.host);
        let text = format!("FROM scratch\nCOPY one.txt /{architecture}.txt\n");
        space
            .build(&text)
            .args(["--platform", &format!("linux/{architecture}")])
            .env("KILN_STORE", &first)
            .ok();
        let pushed = space
            .kiln(["push", "app", &to])
            .env("KILN_STORE", &first)
            .ok();
        let size = pushed.stdout.trim().rsplit(' ').next().unwrap().to_owned();
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{size},"platform":{{"architecture":"{architecture}","os":"linux"}}}}"#,
            digest_of(&pushed)
        )
    };
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = format!(
        r#"{{ "schemaVersion": 2, "mediaType": "{kind}", "manifests": [{},{}] }}"#,
        manifest("amd64"),
        manifest("arm64")
    );
    let digest = registry
        .put_manifest("many:v1", kind, index.as_bytes())
        .to_string();
    for architecture in ["amd64", "arm64"] {
        let platform = format!("linux/{architecture}");
        let text = format!("FROM --platform={platform} {name}\nCOPY {architecture}.txt /own.txt\n");
        space.write(&format!("{architecture}.txt"), "x");
        build(space, &text).args(["--platform", &platform]).ok();
        let inspected = space.kiln(["inspect", "app"]).ok();
        let expected = format!("\"Architecture\": \"{architecture}\"");
        assert!(inspected.stdout.contains(&expected), "{inspected}");
    }
    let pulled = space.kiln(["pull", &name]).ok();
    assert_eq!(digest_of(&pulled), digest);
    let absent = build(
        space,
        &format!("FROM --platform=linux/s390x {name}\nENV A=1\n"),
    )
    .exits(1);
    assert!(
        absent.stderr.contains("linux/amd64, linux/arm64"),
        "{absent}"
    );
    // both images are here by now: the index goes out verbatim
    let other = Registry::start(Guard::Open);
    let to = format!("{}/copy:v1", other.host);
    assert_eq!(digest_of(&space.kiln(["push", &name, &to]).ok()), digest);
    assert_eq!(other.count("PUT", "/manifests/"), 3);
}

fn a_manifest_for_another_platform(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = format!("{}/base:v1", registry.host);
    space.write("file", "x");
    let first = space.own().join("first");
    let base = space.build("FROM scratch\nCOPY file /\n").args([
        "--platform",
        "linux/sparc64",
        "-t",
        &name,
    ]);
    base.env("KILN_STORE", &first).ok();
    space.kiln(["push", &name]).env("KILN_STORE", &first).ok();
    let child = format!("FROM {name}\nCOPY file /own\n");
    let told = "was pulled with platform \"linux/sparc64\", expected";
    build(space, &child).ok().says(&[told]);
    // what the registry has now might fit: it is asked again, unless the network must not be used
    let seen = registry.seen().len();
    build(space, &child).ok().says(&[told]);
    assert!(registry.seen().len() > seen);
    build(space, &child).arg("--offline").ok().says(&[told]);
}
