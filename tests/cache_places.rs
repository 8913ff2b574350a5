//! Caches in registries and in object storage, and what is said where there is none.

use std::fs;

use serde_json::Value;

use crate::support::bucket::{Bucket, KEY, SECRET};
use crate::support::machines::{
    STAGES, counts, folder, from_folder, id_on, in_registry, on, push_image, to_folder,
};
use crate::support::registry::{Fault, Guard, Registry};
use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    a_registry_answers_for_a_whole_build,
    a_push_takes_layers_from_the_cache,
    what_is_no_cache_is_said,
    an_image_is_never_replaced_by_a_cache,
    no_network_no_cache,
    errors_may_be_warnings,
    object_storage_holds_caches,
    keys_of_storage_are_told_to_nobody,
}

fn a_registry_answers_for_a_whole_build(space: &Space) {
    let registry = Registry::start(Guard::Token);
    space
        .kiln(["login", "-u", "user", "-p", "password", &registry.host])
        .ok();
    space.write("word", "word");
    let from = in_registry(&registry, "--cache-from", "");
    let both = [
        from.clone(),
        in_registry(&registry, "--cache-to", ",mode=max"),
    ]
    .concat();
    let first = on(space, "one", STAGES, &both).ok();
    first.says(&["does not exist yet", "holds 4 results"]);
    let before = registry.seen().len();
    let second = on(space, "two", STAGES, &from).ok();
    assert_eq!(counts(&second), (0, 4), "{second}");
    assert_eq!(id_on(space, "one"), id_on(space, "two"));
    let asked: Vec<String> = registry.seen()[before..]
        .iter()
        .map(|seen| format!("{} {}", seen.method, seen.path))
        .collect();
    let blobs = asked
        .iter()
        .filter(|asked| asked.starts_with("GET") && asked.contains("/blobs/"))
        .count();
    assert_eq!(blobs, 1, "the records alone: {asked:?}");
    // The image's layer comes when something reads it.
    let store = space.own().join("two");
    let saved = space.kiln(["save", "-o", "app.tar", "app"]);
    saved.env("KILN_STORE", &store).ok();
    // What is there is not written again.
    let puts = registry.count("PUT", "") + registry.count("POST", "");
    let again = on(space, "two", STAGES, &both).ok();
    again.says(&["nothing new"]);
    assert_eq!(registry.count("PUT", "") + registry.count("POST", ""), puts);
    // kaniko's runners that only read.
    let only = [
        format!("--cache-repo={}/none", registry.host),
        "--no-push-cache".to_owned(),
    ];
    on(space, "five", STAGES, &only).ok().never_says(&["holds"]);
    // By its name alone, and as kaniko has it.
    let name = format!("{}/cache:main", registry.host);
    for (machine, flag) in [("three", "--cache-from"), ("four", "--cache-repo")] {
        let built = on(space, machine, STAGES, &[flag.to_owned(), name.clone()]).ok();
        assert_eq!(counts(&built), (0, 4), "{built}");
    }
}

fn a_push_takes_layers_from_the_cache(space: &Space) {
    let registry = Registry::start(Guard::Open);
    space.write("word", "word");
    let text = "FROM scratch\nCOPY word /\n";
    on(
        space,
        "one",
        text,
        &in_registry(&registry, "--cache-to", ""),
    )
    .ok();
    let name = format!("{}/app:v1", registry.host);
    let (uploads, downloads) = (
        registry.count("PUT", "/blobs/"),
        registry.count("GET", "/blobs/"),
    );
    let mut flags = in_registry(&registry, "--cache-from", "");
    flags.extend(["-t", &name, "-o", "type=registry,name="].map(str::to_owned));
    let last = flags.len() - 1;
    flags[last].push_str(&name);
    on(space, "two", text, &flags).ok();
    assert_eq!(registry.count("PUT", "/blobs/") - uploads, 1, "the config");
    assert_eq!(
        registry.count("GET", "/blobs/") - downloads,
        1,
        "the records"
    );
    // one that knows the layer from a folder has to send it
    on(space, "one", text, &to_folder(space, "")).ok();
    let other = Registry::start(Guard::Open);
    let mut flags = from_folder(space);
    flags.extend([
        "-o".to_owned(),
        format!("type=registry,name={}/app", other.host),
    ]);
    on(space, "three", text, &flags).ok();
    let manifest: Value =
        serde_json::from_slice(&registry.manifest_of("app/manifests/v1")).unwrap();
    assert_eq!(
        manifest["layers"][0]["mediaType"],
        "application/vnd.oci.image.layer.v1.tar+gzip"
    );
}

fn what_is_no_cache_is_said(space: &Space) {
    let registry = Registry::start(Guard::Open);
    space.write("word", "word");
    let text = "FROM scratch\nCOPY word /\n";
    let name = format!("{}/cache:main", registry.host);
    push_image(space, text, &name);
    let from = in_registry(&registry, "--cache-from", "");
    let built = on(space, "two", text, &from).ok();
    built.says(&[
        "warning",
        "cache:main is not used: there is an image, and in it no cache of kiln",
    ]);
    let buildkit = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}]}"#;
    registry.put_manifest(
        "cache:main",
        "application/vnd.oci.image.index.v1+json",
        buildkit,
    );
    on(space, "three", text, &from)
        .ok()
        .says(&["there is a cache of BuildKit"]);
    registry.fault(
        "GET",
        "/manifests/",
        9,
        Fault::Answer(403, Vec::new(), Vec::new()),
    );
    on(space, "four", text, &from)
        .ok()
        .says(&["warning", "is not used"]);
    // a folder of something else
    fs::create_dir(folder(space)).unwrap();
    on(space, "five", text, &from_folder(space))
        .ok()
        .says(&["does not exist yet"]);
    fs::write(folder(space).join("index.json"), "nonsense").unwrap();
    on(space, "six", text, &from_folder(space))
        .ok()
        .says(&["is not used: it cannot be understood"]);
}

fn an_image_is_never_replaced_by_a_cache(space: &Space) {
    let registry = Registry::start(Guard::Open);
    space.write("word", "word");
    let text = "FROM scratch\nCOPY word /\n";
    let name = format!("{}/cache:main", registry.host);
    push_image(space, text, &name);
    let image = registry.manifest_of("cache/manifests/main");
    let to = in_registry(&registry, "--cache-to", "");
    let refused = on(space, "two", text, &to).exits(3);
    refused.says(&[
        "was not written: it is the name of an image",
        "hint: the image itself is built",
    ]);
    assert_eq!(registry.manifest_of("cache/manifests/main"), image);
    // one of BuildKit is: who moves to kiln keeps the name
    let buildkit = br#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;
    registry.put_manifest(
        "cache:main",
        "application/vnd.oci.image.manifest.v1+json",
        buildkit,
    );
    on(space, "two", text, &to).ok().says(&["holds 1 result"]);
}

fn no_network_no_cache(space: &Space) {
    let registry = Registry::start(Guard::Open);
    space.write("word", "word");
    let text = "FROM scratch\nCOPY word /\nCOPY word /again\n";
    let both = [
        in_registry(&registry, "--cache-from", ""),
        in_registry(&registry, "--cache-to", ""),
    ]
    .concat();
    on(space, "one", text, &both).ok();
    let fewer = "FROM scratch\nCOPY word /\n";
    let from = in_registry(&registry, "--cache-from", "");
    on(space, "two", fewer, &from).ok();
    // Results whose layers are far away are none without a network.
    let seen = registry.seen().len();
    let mut flags = both.clone();
    flags.push("--offline".to_owned());
    let failed = on(space, "two", text, &flags).exits(3);
    failed.says(&[
        "is not used: the network is not used (--offline)",
        "was not written",
    ]);
    assert_eq!(counts(&failed), (2, 0), "{failed}");
    assert_eq!(registry.seen().len(), seen);
}

fn errors_may_be_warnings(space: &Space) {
    let registry = Registry::start(Guard::Open);
    registry.fault(
        "POST",
        "/blobs/uploads/",
        99,
        Fault::Answer(403, Vec::new(), Vec::new()),
    );
    space.write("word", "word");
    let text = "FROM scratch\nCOPY word /\n";
    on(
        space,
        "one",
        text,
        &in_registry(&registry, "--cache-to", ""),
    )
    .exits(3)
    .says(&["was not written"]);
    let ignored = in_registry(&registry, "--cache-to", ",ignore-error=true");
    let built = on(space, "two", text, &ignored).ok();
    built.says(&["warning", "was not written"]);
    for kind in ["gha", "inline", "azblob,name=x"] {
        for flag in ["--cache-to", "--cache-from"] {
            let built = on(
                space,
                "two",
                text,
                &[flag.to_owned(), format!("type={kind}")],
            )
            .ok();
            built.says(&["warning", flag, "has no effect"]);
        }
    }
}

const COPIES: &str =
    "FROM scratch AS first\nCOPY word /\nFROM scratch\nCOPY --from=first word /again\n";

fn in_bucket(bucket: &Bucket, more: &str) -> Vec<String> {
    let endpoint = &bucket.endpoint;
    let place = format!(
        "type=s3,bucket=ci,endpoint_url={endpoint},use_path_style=true,prefix=kiln/,name=main"
    );
    let from = ["--cache-from".to_owned(), place.clone()];
    let to = ["--cache-to".to_owned(), format!("{place},mode=max{more}")];
    [from, to].concat()
}

fn with_key(space: &Space, machine: &str, flags: &[String]) -> Kiln {
    space.write("word", "word");
    let build = on(space, machine, COPIES, flags);
    build
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
}

fn object_storage_holds_caches(space: &Space) {
    let bucket = Bucket::start();
    let flags = |more: &str| in_bucket(&bucket, more);
    let build = |machine: &str, flags: &[String]| with_key(space, machine, flags);
    bucket.fault("PUT", 503);
    let first = build("one", &flags("")).ok();
    first.says(&["does not exist yet", "holds 2 results"]);
    let paths: Vec<String> = bucket.objects().into_keys().collect();
    assert_eq!(paths.len(), 5, "{paths:?}");
    assert!(paths.contains(&"/ci/kiln/manifests/main".to_owned()));
    let blobs = paths
        .iter()
        .filter(|path| path.starts_with("/ci/kiln/blobs/sha256"));
    assert_eq!(blobs.count(), 4);
    bucket.asked();
    let second = build("two", &flags("")).ok();
    assert_eq!(counts(&second), (0, 2), "{second}");
    second.says(&["nothing new"]);
    assert_eq!(id_on(space, "one"), id_on(space, "two"));
    let asked = bucket.asked();
    let of = |method: &str| {
        asked
            .iter()
            .filter(|asked| asked.starts_with(method))
            .count()
    };
    // to read: manifest, records, the image's layer, which is taken home; to write: both again, and a look at each layer
    assert_eq!((of("GET"), of("HEAD"), of("PUT")), (5, 2, 0), "{asked:?}");
    // What the bucket's own rules removed is put there again.
    let layer = bucket
        .objects()
        .into_iter()
        .find(|(path, bytes)| path.contains("blobs") && bytes.starts_with(&[0x1f, 0x8b]));
    bucket.remove(&layer.unwrap().0);
    build("one", &flags("")).ok().never_says(&["nothing new"]);
    assert_eq!(bucket.objects().len(), 5);
}

fn keys_of_storage_are_told_to_nobody(space: &Space) {
    let bucket = Bucket::start();
    let flags = |more: &str| in_bucket(&bucket, more);
    let build = |machine: &str, flags: &[String]| with_key(space, machine, flags);
    // The wrong key: no cache, and nobody is told the secret.
    let mut given = flags(",ignore-error=true");
    given.iter_mut().for_each(|flag| {
        if flag.starts_with("type") {
            flag.push_str(",access_key_id=other,secret_access_key=hush-hush")
        }
    });
    let failed = build("three", &given).ok();
    failed.says(&["is not used", "was not written", "SignatureDoesNotMatch"]);
    failed.never_says(&["hush-hush", SECRET, "X-Amz"]);
    given[1].push_str(",mode=max");
    build("three", &given).exits(2).never_says(&["hush-hush"]);
    let without = on(space, "four", COPIES, &flags(""));
    without.exits(2).says(&["AWS_ACCESS_KEY_ID"]);
    let mut offline = flags(",ignore-error=true");
    offline.push("--offline".to_owned());
    build("four", &offline)
        .ok()
        .says(&["the network is not used"]);
}
