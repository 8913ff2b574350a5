//! Caches that builds on several machines share: each store is a machine.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::machines::{
    STAGES, counts, folder, from_folder, id_on, in_registry, on, to_folder,
};
use crate::support::registry::{Fault, Guard, Registry};
use crate::support::{Space, plain_cases, user_cases};

user_cases! {
    a_folder_carries_results_to_another_machine,
    only_what_is_needed_comes,
    the_least_cache_has_what_the_image_is_made_of,
    secrets_stay_at_home,
}

plain_cases! {
    results_that_are_new_replace_the_old_ones,
    a_folder_does_not_grow,
    a_cache_that_lost_something_costs_time_only,
    words_that_mean_nothing,
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
    // What the cache said counts no more, whether its layer is here or not.
    space.write("word", "another");
    let third = on(space, "two", STAGES, &[]).ok();
    assert_eq!(counts(&third), (4, 0), "{third}");
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
    built.says(&["warning", "of a shared cache cannot be fetched"]);
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
