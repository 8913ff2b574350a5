//! Caches that builds on several machines share: each store is a machine.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::bucket::{Bucket, KEY, SECRET};
use crate::support::registry::{Fault, Guard, Registry};
use crate::support::{Finished, Kiln, Space, cases, plain_cases};

cases! {
    a_folder_carries_results_to_another_machine,
    only_what_is_needed_comes,
    the_least_cache_has_what_the_image_is_made_of,
    secrets_stay_at_home,
}

plain_cases! {
    a_registry_answers_for_a_whole_build,
    a_push_takes_layers_from_the_cache,
    results_that_are_new_replace_the_old_ones,
    a_folder_does_not_grow,
    what_is_no_cache_is_said,
    an_image_is_never_replaced_by_a_cache,
    a_cache_that_lost_something_costs_time_only,
    no_network_no_cache,
    errors_may_be_warnings,
    words_that_mean_nothing,
    object_storage_holds_caches,
    keys_of_storage_are_told_to_nobody,
}

const STAGES: &str = "FROM tools AS made\nRUN echo made > /made; echo more > /more\nCOPY word /word\nFROM scratch\nCOPY --from=made /made /made\n";

/// A build on a machine of this name.
fn on(space: &Space, machine: &str, text: &str, flags: &[String]) -> Kiln {
    let store = space.own().join(machine);
    space.build(text).args(flags).env("KILN_STORE", store)
}

fn id_on(space: &Space, machine: &str) -> String {
    let store = space.own().join(machine);
    let found = space.kiln(["inspect", "app"]).env("KILN_STORE", store).ok();
    let images: Value = serde_json::from_str(&found.stdout).unwrap();
    images[0]["Id"].as_str().unwrap().to_owned()
}

fn folder(space: &Space) -> PathBuf {
    space.own().join("cache")
}

fn to_folder(space: &Space, more: &str) -> Vec<String> {
    let dest = folder(space).display().to_string();
    vec![
        "--cache-to".to_owned(),
        format!("type=local,dest={dest}{more}"),
    ]
}

fn from_folder(space: &Space) -> Vec<String> {
    let src = folder(space).display().to_string();
    vec!["--cache-from".to_owned(), format!("type=local,src={src}")]
}

/// How many steps ran and how many were cached. Taking the host's programs is a step too.
fn counts(built: &Finished) -> (usize, usize) {
    let count = |word: &str| {
        let lines = built.stderr.lines().filter(|line| line.starts_with('['));
        lines
            .filter(|line| {
                line.split_once("] ")
                    .is_some_and(|(_, rest)| rest.starts_with(word))
            })
            .count()
    };
    (count("done"), count("cached"))
}

fn a_folder_carries_results_to_another_machine(space: &Space) {
    space.write("word", "word");
    let first = on(space, "one", STAGES, &to_folder(space, ",mode=max")).ok();
    assert_eq!(counts(&first), (4, 0), "{first}");
    first.says(&["holds 4 results"]);
    let second = on(space, "two", STAGES, &from_folder(space)).ok();
    assert_eq!(counts(&second), (0, 4), "{second}");
    second.says(&["has 4 results"]);
    assert_eq!(id_on(space, "one"), id_on(space, "two"));
    // The image is whole without the folder.
    fs::remove_dir_all(folder(space)).unwrap();
    let (store, saved) = (space.own().join("two"), space.own().join("app.tar"));
    let save = space.kiln(["save", "-o"]).arg(&saved).arg("app");
    save.env("KILN_STORE", &store).ok();
    let checked = space.kiln(["fsck"]).env("KILN_STORE", &store).ok();
    assert_eq!(checked.stdout, "clean\n");
    // What was only offered is a miss now.
    space.write("word", "another");
    let third = on(space, "two", STAGES, &[]).ok();
    assert_eq!(
        counts(&third),
        (3, 1),
        "the file of the image is there: {third}"
    );
}

fn only_what_is_needed_comes(space: &Space) {
    space.write("word", "word");
    let text = "FROM tools\nRUN echo one > /one\nRUN echo two > /two\n";
    on(
        space,
        "one",
        text,
        &to_folder(space, ",mode=max,compression=zstd"),
    )
    .ok();
    let more = format!("{text}RUN cat /one /two\n");
    let second = on(space, "two", &more, &from_folder(space)).ok();
    assert_eq!(counts(&second), (1, 3), "{second}");
    assert_eq!(second.output(), ["one", "two"]);
    // A build that ends elsewhere needs other results; the cache has them still.
    let fewer = "FROM tools\nRUN echo one > /one\nRUN cat /one\n";
    let third = on(space, "three", fewer, &from_folder(space)).ok();
    assert_eq!(counts(&third), (1, 2), "{third}");
}

fn the_least_cache_has_what_the_image_is_made_of(space: &Space) {
    space.write("word", "word");
    on(space, "one", STAGES, &to_folder(space, "")).ok();
    // the same build as a whole is known
    let whole = on(space, "two", STAGES, &from_folder(space)).ok();
    assert_eq!(counts(&whole), (0, 4), "{whole}");
    // another one has to make the stage first
    let other = STAGES.replace("/made /made\n", "/made /made\nLABEL a=b\nCOPY word /\n");
    let made = on(space, "three", &other, &from_folder(space)).ok();
    assert_eq!(counts(&made), (4, 1), "{made}");
}

fn secrets_stay_at_home(space: &Space) {
    let text = "FROM tools\nRUN --mount=type=secret,id=key test -s /run/secrets/key && echo made > /made\n";
    let secret = space.write_in("own", "key", "tell-nobody");
    let mut flags = to_folder(space, ",mode=max,compression=uncompressed");
    flags.extend([
        "--secret".to_owned(),
        format!("id=key,src={}", secret.display()),
    ]);
    on(space, "one", text, &flags).ok();
    let mut seen = 0;
    for blob in fs::read_dir(folder(space).join("blobs/sha256")).unwrap() {
        let bytes = fs::read(blob.unwrap().path()).unwrap();
        let mut plain = Vec::new();
        let (_, mut decoder) = kiln_oci::compression::auto(&bytes[..]).unwrap();
        decoder.read_to_end(&mut plain).unwrap();
        assert!(!plain.windows(11).any(|window| window == b"tell-nobody"));
        seen += 1;
    }
    assert_eq!(seen, 5, "manifest, config, records, two layers");
    // and nobody needs it to use the result
    let second = on(space, "two", text, &from_folder(space)).ok();
    assert_eq!(counts(&second), (0, 2), "{second}");
}

fn in_registry(registry: &Registry, flag: &str, more: &str) -> Vec<String> {
    let text = format!("type=registry,ref={}/cache:main{more}", registry.host);
    vec![flag.to_owned(), text]
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
    first.says(&["is not there yet", "holds 4 results"]);
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
        .filter(|asked| asked.contains("/blobs/"))
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

fn results_that_are_new_replace_the_old_ones(space: &Space) {
    let text = "FROM tools\nRUN cat /proc/sys/kernel/random/uuid > /new\n";
    on(space, "one", text, &to_folder(space, "")).ok();
    let first = id_on(space, "one");
    let mut flags = to_folder(space, "");
    flags.push("--no-cache".to_owned());
    on(space, "two", text, &flags)
        .ok()
        .never_says(&["nothing new"]);
    let second = id_on(space, "two");
    assert_ne!(first, second);
    on(space, "three", text, &from_folder(space)).ok();
    assert_eq!(id_on(space, "three"), second);
    // One's own result is not taken away by others.
    on(space, "one", text, &from_folder(space)).ok();
    assert_eq!(id_on(space, "one"), first);
    // --no-cache takes nothing from anybody.
    let mut flags = from_folder(space);
    flags.push("--no-cache".to_owned());
    let built = on(space, "four", text, &flags).ok();
    assert_eq!(counts(&built), (2, 0), "{built}");
}

fn a_folder_does_not_grow(space: &Space) {
    let blobs = || {
        let listed = fs::read_dir(folder(space).join("blobs/sha256")).unwrap();
        let mut names: Vec<_> = listed.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let build = |word: &str, more: &str| {
        space.write("word", word);
        on(
            space,
            "one",
            "FROM scratch\nCOPY word /\n",
            &to_folder(space, more),
        )
        .ok();
    };
    build("one", "");
    assert_eq!(blobs().len(), 4);
    let first = blobs();
    build("two", ",tag=branch");
    assert_eq!(blobs().len(), 7, "both, with one config");
    for word in ["three", "four", "five"] {
        build(word, ",tag=branch");
        assert_eq!(blobs().len(), 7);
    }
    let left = blobs();
    assert!(
        first.iter().all(|blob| left.contains(blob)),
        "the other tag's"
    );
    // By tag, and by digest.
    space.write("word", "one");
    let mut flags = from_folder(space);
    let built = on(space, "two", "FROM scratch\nCOPY word /\n", &flags).ok();
    assert_eq!(counts(&built), (0, 1), "{built}");
    flags[1].push_str(",tag=branch");
    let built = on(space, "three", "FROM scratch\nCOPY word /\n", &flags).ok();
    assert_eq!(counts(&built), (1, 0), "{built}");
    let index: Value =
        serde_json::from_slice(&fs::read(folder(space).join("index.json")).unwrap()).unwrap();
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    flags[1] = flags[1].replace("tag=branch", &format!("digest={digest}"));
    let built = on(space, "four", "FROM scratch\nCOPY word /\n", &flags).ok();
    assert_eq!(counts(&built), (0, 1), "{built}");
}

/// Only under this name: `--push` sends all names.
fn push_image(space: &Space, text: &str, name: &str) {
    space.build(text).ok();
    space.kiln(["tag", "app", name]).ok();
    space.kiln(["push", "-q", name]).ok();
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
        .says(&["is not there yet"]);
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

fn a_cache_that_lost_something_costs_time_only(space: &Space) {
    let text = "FROM tools\nRUN echo one > /one\nRUN echo two > /two\n";
    on(
        space,
        "one",
        text,
        &to_folder(space, ",mode=max,compression=uncompressed"),
    )
    .ok();
    let blobs = fs::read_dir(folder(space).join("blobs/sha256")).unwrap();
    let has_file = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap();
        bytes.starts_with(b"one\0")
    };
    let mut layers = blobs.map(|entry| entry.unwrap().path());
    let layer = layers.find(has_file).unwrap();
    let whole = fs::read(&layer).unwrap();
    fs::write(&layer, &whole[..whole.len() - 512]).unwrap();
    let built = on(space, "two", text, &from_folder(space)).ok();
    assert_eq!(counts(&built), (1, 2), "only what it has: {built}");
    // Of the right size, but other bytes: seen when it is read.
    let mut wrong = whole.clone();
    wrong[600] ^= 1;
    fs::write(&layer, &wrong).unwrap();
    let more = format!("{text}RUN cat /one\n");
    let built = on(space, "three", &more, &from_folder(space)).ok();
    built.says(&["warning", "a layer of a shared cache cannot be had"]);
    assert_eq!(built.output(), ["one"], "{built}");
    // A registry that lost everything but the records.
    let registry = Registry::start(Guard::Open);
    let to = in_registry(&registry, "--cache-to", ",mode=max");
    on(space, "one", text, &to).ok();
    let manifest: Value =
        serde_json::from_slice(&registry.manifest_of("cache/manifests/main")).unwrap();
    for layer in &manifest["layers"].as_array().unwrap()[1..] {
        let gone = Fault::Answer(404, Vec::new(), Vec::new());
        registry.fault("GET", layer["digest"].as_str().unwrap(), 99, gone);
    }
    let from = in_registry(&registry, "--cache-from", "");
    let built = on(space, "four", &more, &from).ok();
    assert_eq!(built.output(), ["one"], "{built}");
    let checked = space
        .kiln(["fsck"])
        .env("KILN_STORE", space.own().join("four"))
        .ok();
    assert_eq!(checked.stdout, "clean\n");
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

fn words_that_mean_nothing(space: &Space) {
    for (flag, value, why) in [
        (
            "--cache-to",
            "type=registri,ref=x",
            "did you mean registry?",
        ),
        ("--cache-to", "type=local", "dest="),
        ("--cache-from", "type=local,dest=x", "dest"),
        ("--cache-from", "type=local", "src="),
        ("--cache-to", "type=local,dest=x,mode=most", "min or max"),
        ("--cache-from", "ref=x", "type"),
        ("--cache-to", "type=registry,ref=A/B", "A/B"),
    ] {
        let refused = on(
            space,
            "one",
            "FROM scratch\n",
            &[flag.to_owned(), value.to_owned()],
        )
        .exits(2);
        refused.says(&[flag, why]);
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
    first.says(&["is not there yet", "holds 2 results"]);
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
