//! What a shared cache says is a claim: somebody who may write to a cache decides nothing about builds that do not name it, and nothing
//! that the Dockerfile says.

use std::fs;

use kiln_cache::index_tar;
use serde_json::{Value, json};

use crate::support::machines::{counts, folder, from_folder, in_registry, on, to_folder};
use crate::support::poison::Poison;
use crate::support::registry::{Guard, Registry};
use crate::support::tar::Tar;
use crate::support::{Finished, Space, cases, plain_cases};

cases! {
    what_a_run_makes_of_a_claim_rests_on_it,
    a_truthful_cache_of_runs_is_believed,
    a_result_of_an_unknown_isolation_is_not_taken,
}

plain_cases! {
    a_false_tree_is_seen_when_the_layer_comes,
    a_false_tree_in_a_registry_gets_nowhere,
    no_layer_is_no_files,
    the_config_is_the_dockerfiles,
    a_claim_counts_while_its_cache_is_named,
    two_caches_in_one_place_are_two,
    layers_of_others_are_no_results,
    a_cache_says_nothing_of_layers_that_others_have,
    ones_own_run_makes_it_ones_own,
}

/// Two steps, and what the image says.
const TEXT: &str =
    "FROM scratch\nCOPY word /word\nCOPY other /other\nENTRYPOINT [\"/good\"]\nENV WHO=good\n";
/// Another build with the first of the steps, so that its outcome is not in a cache as a whole.
const MORE: &str = "FROM scratch\nCOPY word /word\nCOPY more /more\n";

fn context(space: &Space) {
    for name in ["word", "other", "more"] {
        space.write(name, "good");
    }
}

/// A cache of `TEXT`, made on a machine of its own.
fn honest(space: &Space) -> Poison {
    context(space);
    on(space, "maker", TEXT, &to_folder(space, ",mode=max")).ok();
    Poison::read(&folder(space))
}

fn evil() -> Vec<u8> {
    Tar::default().file("word", "evil").end()
}

fn tree(tar: &[u8]) -> Value {
    json!(index_tar(tar).unwrap().tree.digest())
}

/// Builds on the machine that uses the cache; what the image has as `path`.
fn built(space: &Space, text: &str, flags: &[String], path: &str) -> (Finished, Option<String>) {
    let out = space.own().join("out");
    let _ = fs::remove_dir_all(&out);
    let output = ["-o".to_owned(), out.display().to_string()];
    let finished = on(space, "user", text, &[flags, &output].concat()).ok();
    let content = fs::read_to_string(out.join(path)).ok();
    (finished, content)
}

#[track_caller]
fn is_good(space: &Space, text: &str, flags: &[&str]) -> Finished {
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    let (finished, word) = built(space, text, &flags, "word");
    assert_eq!(word.as_deref(), Some("good"), "{finished}");
    finished
}

/// All builds that name no cache, in an order in which each could be misled by the one before.
#[track_caller]
fn nothing_is_left(space: &Space) {
    for text in [TEXT, MORE] {
        is_good(space, text, &["--no-cache"]);
        is_good(space, text, &[]);
        is_good(space, text, &["--no-cache-filter", "0"]);
    }
    let checked = space.kiln(["fsck"]);
    let checked = checked.env("KILN_STORE", space.own().join("user")).ok();
    assert_eq!(checked.stdout, "clean\n");
}

fn a_false_tree_is_seen_when_the_layer_comes(space: &Space) {
    for titles in [vec!["COPY word"], vec!["COPY word", "COPY other"]] {
        let mut cache = honest(space);
        let layer = cache.layer(&evil());
        for title in titles {
            cache.record(title)["diff_id"] = json!(layer);
            cache.record(title)["created"] = json!(0);
        }
        cache.write(&folder(space));
        for text in [TEXT, MORE] {
            let (finished, word) = built(space, text, &from_folder(space), "word");
            assert_eq!(word.as_deref(), Some("good"), "{finished}");
        }
        nothing_is_left(space);
        for part in ["cache", "maker", "user"] {
            fs::remove_dir_all(space.own().join(part)).unwrap();
        }
    }
}

fn a_false_tree_in_a_registry_gets_nowhere(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let mut cache = honest(space);
    let layer = cache.layer(&evil());
    // a key that no build has: only what it says of the operation could be found
    let mut record = cache.record("COPY word").clone();
    record["key"] = json!(layer);
    record["diff_id"] = json!(layer);
    record["created"] = json!(0);
    let records = cache.document["records"].as_array_mut().unwrap();
    records.retain(|record| !record["title"].as_str().unwrap().starts_with("COPY word"));
    records.push(record);
    cache.push(&registry);
    let from = in_registry(&registry, "--cache-from", "");
    for text in [MORE, TEXT] {
        let (finished, word) = built(space, text, &from, "word");
        assert_eq!(word.as_deref(), Some("good"), "{finished}");
    }
    nothing_is_left(space);
}

fn no_layer_is_no_files(space: &Space) {
    let mut cache = honest(space);
    cache.record("COPY word")["diff_id"] = Value::Null;
    cache.write(&folder(space));
    for text in [TEXT, MORE] {
        let (finished, word) = built(space, text, &from_folder(space), "word");
        assert_eq!(word.as_deref(), Some("good"), "{finished}");
    }
    nothing_is_left(space);
    // that a step changed nothing can be claimed, and is believed of a cache that is named
    let empty = tree(&Tar::default().end());
    cache.record("COPY word")["tree"] = empty;
    cache.forget_outcomes();
    cache.write(&folder(space));
    fs::remove_dir_all(space.own().join("user")).unwrap();
    let (finished, word) = built(space, MORE, &from_folder(space), "word");
    assert_eq!(word, None, "{finished}");
    nothing_is_left(space);
}

fn the_config_is_the_dockerfiles(space: &Space) {
    let mut cache = honest(space);
    cache.change_config(|config| {
        config["config"]["Entrypoint"] = json!(["/evil"]);
        config["config"]["Env"] = json!(["WHO=evil"]);
        config["config"]["User"] = json!("evil");
        config["config"]["Labels"] = json!({"who": "evil"});
        config["history"][0]["created_by"] = json!("evil");
        config["author"] = json!("evil");
    });
    cache.write(&folder(space));
    let registry = Registry::start(Guard::Open);
    cache.push(&registry);
    let places = [
        from_folder(space),
        in_registry(&registry, "--cache-from", ""),
    ];
    for (number, from) in places.iter().enumerate() {
        let machine = format!("user-{number}");
        for flags in [&from[..], &[]] {
            on(space, &machine, TEXT, flags).ok();
            let store = space.own().join(&machine);
            let inspected = space.kiln(["inspect", "app"]).env("KILN_STORE", &store);
            let inspected = inspected.ok().stdout;
            assert!(inspected.contains("/good") && inspected.contains("WHO=good"));
            assert!(!inspected.contains("evil"), "{inspected}");
            let history = space.kiln(["history", "--no-trunc", "app"]);
            let history = history.env("KILN_STORE", store).ok().stdout;
            assert!(!history.contains("evil"), "{history}");
        }
    }
}

/// A truthful record of something else: the cache may be asked, and nobody else takes it.
fn lying_about_the_step(cache: &mut Poison) {
    let layer = cache.layer(&evil());
    cache.record("COPY word")["diff_id"] = json!(layer);
    cache.record("COPY word")["tree"] = tree(&evil());
    cache.record("COPY word")["created"] = json!(0);
}

fn a_claim_counts_while_its_cache_is_named(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let mut cache = honest(space);
    lying_about_the_step(&mut cache);
    cache.write(&folder(space));
    cache.push(&registry);
    for from in [
        from_folder(space),
        in_registry(&registry, "--cache-from", ""),
    ] {
        // whoever names it believes it
        for text in [TEXT, MORE] {
            let (finished, word) = built(space, text, &from, "word");
            assert_eq!(word.as_deref(), Some("evil"), "{finished}");
        }
        // --no-cache asks nobody
        let fresh = [&from[..], &["--no-cache".to_owned()]].concat();
        let (finished, word) = built(space, TEXT, &fresh, "word");
        assert_eq!(word.as_deref(), Some("good"), "{finished}");
        nothing_is_left(space);
        // and what this store has made since is not replaced
        let (finished, word) = built(space, TEXT, &from, "word");
        assert_eq!(word.as_deref(), Some("good"), "{finished}");
        fs::remove_dir_all(space.own().join("user")).unwrap();
    }
}

fn two_caches_in_one_place_are_two(space: &Space) {
    let mut cache = honest(space);
    lying_about_the_step(&mut cache);
    cache.write(&folder(space));
    let (_, word) = built(space, TEXT, &from_folder(space), "word");
    assert_eq!(word.as_deref(), Some("evil"));
    let mut other = from_folder(space);
    other[1].push_str(",tag=other");
    let (finished, word) = built(space, TEXT, &other, "word");
    assert_eq!(word.as_deref(), Some("good"), "{finished}");
    // the same names in a registry
    let registry = Registry::start(Guard::Open);
    cache.push(&registry);
    fs::remove_dir_all(space.own().join("user")).unwrap();
    built(
        space,
        TEXT,
        &in_registry(&registry, "--cache-from", ""),
        "word",
    );
    let name = format!("type=registry,ref={}/cache:other", registry.host);
    let other = ["--cache-from".to_owned(), name];
    let (finished, word) = built(space, TEXT, &other, "word");
    assert_eq!(word.as_deref(), Some("good"), "{finished}");
}

fn layers_of_others_are_no_results(space: &Space) {
    // a layer that the user has, and the cache does not describe
    context(space);
    space.write("secret", "evil");
    let private = "FROM scratch\nCOPY secret /word\n";
    on(space, "user", private, &[]).ok();
    let layer = {
        let saved = space.own().join("private.tar");
        let save = space.kiln(["save", "--format", "oci-archive", "-o"]);
        let save = save.arg(&saved).arg("app");
        save.env("KILN_STORE", space.own().join("user")).ok();
        crate::support::image::Image::read(&saved).config["rootfs"]["diff_ids"][0].clone()
    };
    let mut cache = honest(space);
    cache.record("COPY word")["diff_id"] = layer.clone();
    cache.write(&folder(space));
    let (finished, word) = built(space, TEXT, &from_folder(space), "word");
    assert_eq!(word.as_deref(), Some("good"), "{finished}");
    // described, with a tree that is not its own
    cache.document["layers"][0]["diff_id"] = layer;
    cache.forget_outcomes();
    cache.write(&folder(space));
    let (finished, word) = built(space, MORE, &from_folder(space), "word");
    assert_eq!(word.as_deref(), Some("good"), "{finished}");
    nothing_is_left(space);
}

fn a_cache_says_nothing_of_layers_that_others_have(space: &Space) {
    // a base in a registry, of which a cache says that it has another size and is another blob
    let registry = Registry::start(Guard::Open);
    let mut cache = honest(space);
    let base = format!("{}/base:1", registry.host);
    on(space, "maker", "FROM scratch\nCOPY word /word\n", &[]).ok();
    let store = space.own().join("maker");
    space
        .kiln(["tag", "app", &base])
        .env("KILN_STORE", &store)
        .ok();
    space.kiln(["push", &base]).env("KILN_STORE", &store).ok();
    let manifest: Value =
        serde_json::from_slice(&registry.manifest_of("base/manifests/1")).unwrap();
    let record = cache.record("COPY word");
    let layer = record["diff_id"].clone();
    cache.forget_outcomes();
    let blob = &manifest["layers"][0];
    let lies = [
        json!({"diff_id": layer, "tar_size": 7, "blob": blob["digest"], "size": blob["size"], "compression": "gzip:6"}),
        json!({"diff_id": blob["digest"], "tar_size": 7, "blob": layer, "size": 7, "compression": "gzip:6"}),
    ];
    cache.document["layers"] = json!(lies);
    cache.push(&registry);
    let from = in_registry(&registry, "--cache-from", "");
    on(space, "user", "FROM scratch\nCOPY more /\n", &from).ok();
    let text = format!("FROM {base}\nCOPY more /more\n");
    let (finished, word) = built(space, &text, &[], "word");
    assert_eq!(word.as_deref(), Some("good"), "{finished}");
    let asked = registry.seen();
    let of_cache = |seen: &&crate::support::registry::Seen| seen.path.contains("/cache/blobs/");
    assert_eq!(asked.iter().filter(of_cache).count(), 1, "the records");
}

fn ones_own_run_makes_it_ones_own(space: &Space) {
    honest(space);
    let (first, _) = built(space, TEXT, &from_folder(space), "word");
    assert_eq!(counts(&first), (0, 2), "{first}");
    let again = on(space, "user", TEXT, &from_folder(space)).ok();
    assert_eq!(counts(&again), (0, 2), "{again}");
    let without = is_good(space, TEXT, &[]);
    assert_eq!(counts(&without), (2, 0), "{without}");
    let own = is_good(space, TEXT, &[]);
    assert_eq!(counts(&own), (0, 2), "{own}");
    // with the cache in sight, too
    fs::remove_dir_all(space.own().join("user")).unwrap();
    built(space, TEXT, &from_folder(space), "word");
    let fresh = [from_folder(space), vec!["--no-cache".to_owned()]].concat();
    built(space, TEXT, &fresh, "word");
    let own = is_good(space, TEXT, &[]);
    assert_eq!(counts(&own), (0, 2), "{own}");
}

fn what_a_run_makes_of_a_claim_rests_on_it(space: &Space) {
    let text = "FROM tools\nRUN echo word > /word\n";
    let more = "FROM tools\nRUN echo word > /word\nRUN stat -c %Y /word > /time\nRUN cat /time\n";
    on(space, "maker", text, &to_folder(space, ",mode=max")).ok();
    let mut cache = Poison::read(&folder(space));
    // the same files at another time: nothing that a key or a tree shows
    let layer = cache.layer(&Tar::default().file("word", "word\n").end());
    assert_eq!(
        cache.record("RUN")["tree"],
        tree(&Tar::default().file("word", "word\n").end())
    );
    cache.record("RUN")["diff_id"] = json!(layer);
    cache.write(&folder(space));
    let (finished, _) = built(space, more, &from_folder(space), "time");
    assert_eq!(finished.output(), ["0"], "{finished}");
    for flags in [vec![], vec!["--no-cache".to_owned()]] {
        let (finished, time) = built(space, more, &flags, "time");
        assert_ne!(time.as_deref(), Some("0\n"), "{finished}");
        assert_ne!(finished.output(), ["0"], "{finished}");
    }
}

/// Everything that layers can hold: what came and what was made agree on it.
fn a_truthful_cache_of_runs_is_believed(space: &Space) {
    let text = "FROM tools
RUN mkdir -p /d/e && echo one > /d/one && ln /d/one /d/two && ln -s one /d/three && chmod 4755 /d/two && touch -d @7 /d/e
RUN rm /d/three && rm -r /d/e && mkdir /d/e && touch /d/e/new
WORKDIR /w/x
COPY --chown=7:8 word /w/word
RUN id > /id && ls -lnR /d /w
";
    space.write("word", "word");
    on(space, "maker", text, &to_folder(space, ",mode=max")).ok();
    let more = format!("{text}RUN ls -lnR /d /w\n");
    let (finished, _) = built(space, &more, &from_folder(space), "id");
    assert_eq!(counts(&finished), (1, 6), "{finished}");
    finished.never_says(&["of a shared cache"]);
}

/// Whoever demands an isolation takes nothing that was made in a weaker one, nor what was made of that.
fn a_result_of_an_unknown_isolation_is_not_taken(space: &Space) {
    let text = "FROM tools\nRUN echo good > /word\nRUN cat /word > /again\n";
    on(space, "maker", text, &to_folder(space, ",mode=max")).ok();
    let ran = |machine: &str| counts(&on(space, machine, text, &from_folder(space)).ok()).0;
    assert_eq!(ran("user"), 0);
    let mut cache = Poison::read(&folder(space));
    let isolation = &mut cache.record("RUN echo good")["isolation"];
    assert_eq!(*isolation, "namespaces");
    *isolation = json!("in-place");
    cache.write(&folder(space));
    assert_eq!(ran("other user"), 1);
}
