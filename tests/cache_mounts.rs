//! Cache mounts that travel through shared caches: what RUN keeps in `--mount=type=cache` survives the machine. Each store is a machine.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::bucket::{Bucket, KEY, SECRET};
use crate::support::contained;
use crate::support::machines::{folder, from_folder, in_registry, on, to_folder};
use crate::support::registry::{Fault, Guard, Registry};
use crate::support::{Finished, Kiln, Space, plain_cases, user_cases};

user_cases! {
    a_mount_survives_the_machine_in_a_folder,
    builds_that_do_not_name_the_cache_have_their_own,
    owners_modes_and_links_survive,
}

plain_cases! {
    a_mount_survives_the_machine_in_a_registry,
    a_mount_survives_the_machine_in_a_bucket,
    a_mount_survives_where_namespaces_are_refused,
    the_second_build_downloads_nothing,
    only_what_has_changed_goes,
    an_unchanged_mount_is_hardly_asked_for,
    a_mount_that_nobody_used_stays_as_it_is,
    of_exports_at_once_one_wins_as_a_whole,
    mounts_are_chosen_and_limited,
    what_cannot_be_used_is_said_and_mended,
    what_is_hostile_is_refused,
    a_registry_that_refuses_mounts_is_an_error_unless_it_is_not,
}

/// Counts in its cache mount how often it ran; another `turn` makes it run again.
pub fn counting(turn: &str) -> String {
    format!(
        "FROM tools\nARG TURN={turn}\nRUN --mount=type=cache,target=/c,id=count n=$(cat /c/n 2> /dev/null || echo 0); n=$((n + 1)); echo $n > /c/n; echo run $n of $TURN\n"
    )
}

/// Which time it was; nothing where it did not run.
pub fn counted(built: &Finished) -> String {
    let said = built.output().into_iter();
    let numbers = said.filter_map(|line| line.strip_prefix("run ")?.split(' ').next());
    numbers.collect::<Vec<_>>().join(" ")
}

fn both(from: Vec<String>, to: Vec<String>) -> Vec<String> {
    [from, to].concat()
}

fn through_folder(space: &Space) -> Vec<String> {
    both(from_folder(space), to_folder(space, ",mounts=true"))
}

fn through_registry(registry: &Registry, more: &str) -> Vec<String> {
    both(
        in_registry(registry, "--cache-from", ""),
        in_registry(registry, "--cache-to", more),
    )
}

/// Three machines, one after the other: each goes on where the one before has ended, and the last one finds what it left itself.
fn survives(space: &Space, flags: &[String]) {
    survives_in(|machine, text| on(space, machine, text, flags));
}

fn survives_in(build: impl Fn(&str, &str) -> Kiln) {
    for (machine, turn) in [("one", 1), ("two", 2), ("three", 3), ("three", 4)] {
        let text = counting(&format!("{machine}{turn}"));
        let built = build(machine, &text).ok();
        assert_eq!(counted(&built), turn.to_string(), "{built}");
    }
}

fn a_mount_survives_the_machine_in_a_folder(space: &Space) {
    survives(space, &through_folder(space));
    // nothing that is not needed stays
    let blobs = fs::read_dir(folder(space).join("blobs/sha256")).unwrap();
    let index = fs::read(folder(space).join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let mut named = 0;
    for entry in index["manifests"].as_array().unwrap() {
        let digest = entry["digest"].as_str().unwrap().replace(':', "/");
        let manifest = fs::read(folder(space).join("blobs").join(digest)).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        named += 1 + manifest["layers"].as_array().unwrap().len();
    }
    // both have the same empty config
    assert_eq!(blobs.count(), named + 1);
}

fn a_mount_survives_the_machine_in_a_registry(space: &Space) {
    let registry = Registry::start(Guard::Open);
    survives(space, &through_registry(&registry, ",mounts=true"));
    assert!(registry.has_what_it_names());
}

fn a_mount_survives_the_machine_in_a_bucket(space: &Space) {
    let bucket = Bucket::start();
    let place = format!(
        "type=s3,bucket=ci,region=eu,name=main,use_path_style=true,endpoint_url={},access_key_id={KEY},secret_access_key={SECRET}",
        bucket.endpoint
    );
    let to = format!("{place},mounts=true");
    let flags = ["--cache-from", &place, "--cache-to", &to].map(str::to_owned);
    survives(space, &flags);
    assert!(bucket.objects().contains_key("/ci/manifests/main-mounts"));
}

fn a_mount_survives_where_namespaces_are_refused(space: &Space) {
    let flags = through_folder(space).join(" ");
    survives_in(|machine, text| {
        let build = contained::build(space, text, &flags);
        build.env("KILN_STORE", space.own().join(machine))
    });
}

fn the_second_build_downloads_nothing(space: &Space) {
    // what package managers do: what is in the cache is not asked for
    let text = |turn: &str| {
        let get = "for name in one two three; do if [ -e $c/$name ]; then echo kept $name; else echo loaded $name; echo $name > $c/$name; fi; cp $c/$name /; done";
        format!(
            "FROM tools\nARG TURN={turn}\nRUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/root/.npm c=/var/cache/apt; {get}; c=/root/.npm; {get}\n"
        )
    };
    let registry = Registry::start(Guard::Open);
    for flags in [
        through_folder(space),
        through_registry(&registry, ",mounts=true"),
    ] {
        let machines = ["a", "b"].map(|name| format!("{name}{}", flags[1].len()));
        let first = on(space, &machines[0], &text("1"), &flags).ok();
        let count = |built: &Finished, word: &str| {
            let lines = built.stderr.lines();
            lines
                .filter(|line| line.split(' ').rev().nth(1) == Some(word))
                .count()
        };
        assert_eq!(
            (count(&first, "loaded"), count(&first, "kept")),
            (6, 0),
            "{first}"
        );
        let second = on(space, &machines[1], &text("2"), &flags).ok();
        assert_eq!(
            (count(&second, "loaded"), count(&second, "kept")),
            (0, 6),
            "{second}"
        );
    }
}

fn builds_that_do_not_name_the_cache_have_their_own(space: &Space) {
    on(
        space,
        "one",
        &counting("1"),
        &to_folder(space, ",mounts=true"),
    )
    .ok();
    // its own directory, before and after it has seen another one
    let own = |turn: &str| counted(&on(space, "two", &counting(turn), &[]).ok());
    let named = |turn: &str| counted(&on(space, "two", &counting(turn), &from_folder(space)).ok());
    assert_eq!(
        [own("a"), named("b"), named("c"), own("d")],
        ["1", "2", "3", "2"]
    );
    // what a command has made of it counts only where the cache is named
    assert_eq!([named("c"), own("c")], ["", "3"]);
    // a build that takes nothing from the cache begins with nothing
    let fresh = on(space, "two", &counting("e"), &from_folder(space)).arg("--no-cache");
    assert_eq!(counted(&fresh.ok()), "1");
}

fn owners_modes_and_links_survive(space: &Space) {
    let mount = "--mount=type=cache,target=/c,id=all";
    let make = "mkdir -p /c/a/b && echo x > /c/a/b/f && chmod 4751 /c/a/b/f && ln -s ../a/b/f /c/a/l && ln -s /etc/passwd /c/out && touch -d @1600000000 /c/a/b/f";
    let own = match space.mode.has_one_id() {
        true => "0:0",
        false => "12:34",
    };
    let text = format!(
        "FROM tools\nRUN {mount} {make} && chown {own} /c/a/b/f && chmod 4751 /c/a/b/f && touch -d @1600000000 /c/a/b/f\n"
    );
    on(space, "one", &text, &to_folder(space, ",mounts=all")).ok();
    let look =
        format!("FROM tools\nRUN {mount} stat -c '%a %u:%g %Y' /c/a/b/f && cat /c/a/l && ls /c\n");
    let built = on(space, "two", &look, &from_folder(space)).ok();
    built.says(&[&format!("751 {own} 1600000000")]);
    assert_eq!(built.output()[1..], ["x", "a"], "{built}");
}

/// Bytes that went for the mount, by the events.
fn sent(built: &Finished) -> Vec<Option<u64>> {
    let events = built
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let written = events.filter(|event| event["event"] == "mount_written");
    written.map(|event| event["sent"].as_u64()).collect()
}

fn only_what_has_changed_goes(space: &Space) {
    space.write("large", random(9 << 20));
    space.write("larger", random(12 << 20));
    let text = |files: &str, does: &str| {
        format!("FROM tools\nCOPY {files} /\nRUN --mount=type=cache,target=/c,id=big {does}\n")
    };
    let build = |machine: &str, text: &str, flags: &[String]| {
        on(space, machine, text, flags)
            .env("KILN_PROGRESS", "json")
            .ok()
    };
    let first = text(
        "large larger /",
        "cp /large /larger /c && echo 1 > /c/small",
    );
    let first = sent(&build("one", &first, &to_folder(space, ",mounts=big")));
    assert!(first[0].unwrap() > 20 << 20, "{first:?}");
    let second = text("large /", "echo 2 > /c/small; mv /c/large /c/moved");
    let second = sent(&build("two", &second, &through_folder(space)));
    assert!(second[0].unwrap() < 100_000, "{second:?}");
    // the one that has almost all of it fetches the rest
    let third = text("large /", "cat /c/small && ls /c && echo third");
    let third = build("one", &third, &from_folder(space));
    let events = third
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let read: Vec<Value> = events
        .filter(|event| event["event"] == "mount_read")
        .collect();
    assert!(read[0]["fetched"].as_u64().unwrap() < 100_000, "{read:?}");
    assert_eq!(read[0]["bytes"], (21 << 20) + 2);
}

fn random(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ bytes as u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..bytes / 8).flat_map(|_| next()).collect()
}

/// What was asked about mounts since `before`; `apart` are the blobs of the records and their layers.
fn asked(registry: &Registry, before: usize) -> Vec<String> {
    let manifest = registry.manifest_of("cache/manifests/main-mounts");
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let blobs: Vec<String> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|blob| blob["digest"].as_str().unwrap().to_owned())
        .collect();
    let is_of_mounts = |path: &str| {
        path.contains("main-mounts") || blobs.iter().any(|digest| path.contains(digest.as_str()))
    };
    let seen = &registry.seen()[before..];
    let asked = seen.iter().filter(|seen| is_of_mounts(&seen.path));
    asked
        .map(|seen| format!("{} {}", seen.method, seen.path))
        .collect()
}

fn an_unchanged_mount_is_hardly_asked_for(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let keeps = |turn: &str| {
        format!(
            "FROM tools\nARG TURN={turn}\nRUN --mount=type=cache,target=/c echo same > /c/x; echo $TURN\n"
        )
    };
    let to = in_registry(&registry, "--cache-to", ",mounts=true");
    on(space, "one", &keeps("1"), &to)
        .ok()
        .says(&["cache mount /c in"]);
    let before = registry.seen().len();
    on(space, "one", &keeps("2"), &to)
        .ok()
        .says(&["cache mount /c in", "nothing new"]);
    let told = asked(&registry, before);
    assert_eq!(told.len(), 1, "{told:?}");
    // the one that takes it too asks once, whatever else it does
    let flags = through_registry(&registry, ",mounts=true");
    on(space, "two", &keeps("3"), &flags).ok();
    let before = registry.seen().len();
    on(space, "two", &keeps("4"), &flags).ok();
    let told = asked(&registry, before);
    assert_eq!(told.len(), 2, "{told:?}");
    // where nothing runs, nothing is asked
    let before = registry.seen().len();
    on(space, "two", &keeps("4"), &flags).ok();
    on(space, "three", &keeps("4"), &flags).ok();
    assert!(asked(&registry, before).is_empty());
}

fn a_mount_that_nobody_used_stays_as_it_is(space: &Space) {
    let flags = through_folder(space);
    on(space, "one", &counting("1"), &flags).ok();
    let other = "FROM tools\nRUN --mount=type=cache,target=/o,id=other echo 1 > /o/x\n";
    on(space, "two", other, &flags).ok();
    on(space, "three", "FROM tools\nRUN echo nothing\n", &flags).ok();
    on(space, "four", other, &flags).ok();
    let built = on(space, "five", &counting("2"), &flags).ok();
    assert_eq!(counted(&built), "2", "{built}");
}

fn of_exports_at_once_one_wins_as_a_whole(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let text = |word: &str| {
        format!(
            "FROM tools\nRUN --mount=type=cache,target=/c,id=c for f in a b c d; do echo {word} > /c/$f; done\n"
        )
    };
    // in a folder that is new to all, they even have to agree on what they lock
    let mut places = ["a", "b", "c", "d"].map(|name| {
        let folder = space.own().join(name);
        let to = format!("type=local,dest={},mounts=true", folder.display());
        vec!["--cache-to".to_owned(), to]
    });
    places[0] = in_registry(&registry, "--cache-to", ",mounts=true");
    for (round, to) in places.into_iter().enumerate() {
        let words = ["one", "two", "three"];
        let running = words.map(|word| {
            let folder = space.own_folder(&format!("{word}{round}"));
            fs::write(folder.join("Dockerfile"), text(word)).unwrap();
            let build = space.kiln(["build", "--build-context", "tools=host-tools:sh"]);
            let store = space.own().join(format!("{word}{round}"));
            build
                .args(&to)
                .arg(&folder)
                .env("KILN_STORE", store)
                .spawn()
        });
        for build in running {
            let built = build.wait();
            assert!(built.status.success(), "{built}");
        }
        let from = [
            "--cache-from".to_owned(),
            to[1].replace(",mounts=true", "").replace("dest=", "src="),
        ];
        let look = "FROM tools\nRUN --mount=type=cache,target=/c,id=c cat /c/a /c/b /c/c /c/d\n";
        let built = on(space, &format!("look{round}"), look, &from).ok();
        let mut found = built.output();
        assert_eq!(found.len(), 4, "{built}");
        found.dedup();
        assert!(found.len() == 1 && words.contains(&found[0]), "{built}");
    }
}

fn mounts_are_chosen_and_limited(space: &Space) {
    let text = |turn: &str| {
        let mount = |id: &str| format!("--mount=type=cache,target=/{id},id={id}");
        let mounts = ["a", "b", "c"].map(mount).join(" ");
        format!(
            "FROM tools\nARG TURN={turn}\nRUN {mounts} echo $TURN; for m in a b c; do echo $m $(ls /$m); done; cat /bin/sh > /a/large; echo 1 > /b/small; echo 1 > /c/small\n"
        )
    };
    on(space, "one", &text("1"), &to_folder(space, ",mounts=a;c")).ok();
    let seen = |machine: &str| {
        let built = on(space, machine, &text(machine), &from_folder(space)).ok();
        built.output()[1..].join(", ")
    };
    assert_eq!(seen("two"), "a large, b, c small");
    let less = ",mounts=true,mount-max-size=1kB";
    let larger = text("2").replace("cat /bin/sh", "cat /bin/sh /bin/sh");
    let built = on(space, "one", &larger, &to_folder(space, less)).ok();
    // what is there stays
    built.says(&[
        "warning",
        "cache mount a is not in",
        "it has more than 1000 bytes",
    ]);
    assert_eq!(seen("three"), "a large, b small, c small");
    let less = ",mounts=b,mounts-max-size=1kB";
    let changed = text("3").replace("echo 1 > /b/small", "echo 2 > /b/small");
    let built = on(space, "one", &changed, &to_folder(space, less)).ok();
    built.says(&[
        "warning",
        "cache mount a is not in",
        "all have more than 1000 bytes",
    ]);
    assert_eq!(seen("four"), "a, b small, c small");
}

/// The blobs of the mounts in the folder, by their kind.
fn blobs(space: &Space, kind: &str) -> Vec<PathBuf> {
    let blobs = folder(space).join("blobs");
    let index = fs::read(folder(space).join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let mut found = Vec::new();
    for entry in index["manifests"].as_array().unwrap() {
        let path = |of: &Value| blobs.join(of["digest"].as_str().unwrap().replace(':', "/"));
        let manifest: Value = serde_json::from_slice(&fs::read(path(entry)).unwrap()).unwrap();
        for blob in manifest["layers"].as_array().unwrap() {
            if blob["mediaType"].as_str().unwrap().contains(kind) {
                found.push(path(blob));
            }
        }
    }
    found
}

fn what_cannot_be_used_is_said_and_mended(space: &Space) {
    // `None`: it is gone
    let spoilt = [
        ("cache.pack", None),
        ("cache.pack", Some("no pack")),
        ("cache.mount.", None),
        ("cache.mount.", Some("no listing")),
    ];
    for (number, (kind, text)) in spoilt.into_iter().enumerate() {
        let _ = fs::remove_dir_all(folder(space));
        let name = |machine: &str| format!("{machine}{number}");
        on(
            space,
            &name("one"),
            &counting("1"),
            &to_folder(space, ",mounts=true"),
        )
        .ok();
        for blob in blobs(space, kind) {
            match text {
                None => fs::remove_file(blob).unwrap(),
                Some(text) => fs::write(blob, text).unwrap(),
            }
        }
        let flags = through_folder(space);
        let built = on(space, &name("two"), &counting("2"), &flags).ok();
        built.says(&["warning", "the cache mount count of", "cannot be used"]);
        assert_eq!(counted(&built), "1", "{built}");
        let built = on(space, &name("three"), &counting("3"), &flags).ok();
        assert_eq!(counted(&built), "2", "{built}");
    }
}

fn what_is_hostile_is_refused(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let flags = through_registry(&registry, ",mounts=true");
    on(space, "one", &counting("1"), &flags).ok();
    let path = "cache/manifests/main-mounts";
    let text = String::from_utf8(registry.manifest_of(path)).unwrap();
    let manifest: Value = serde_json::from_str(&text).unwrap();
    let bytes = &manifest["layers"][1]["annotations"]["vnd.kiln.mount.bytes"];
    let bytes = format!("\"vnd.kiln.mount.bytes\":{bytes}");
    let last = text.rfind(&bytes).unwrap();
    for (number, claimed) in ["1", "99999999999999", "18446744073709551615", "-1"]
        .iter()
        .enumerate()
    {
        let mut changed = text.clone();
        let claimed = format!("\"vnd.kiln.mount.bytes\":\"{claimed}\"");
        changed.replace_range(last..last + bytes.len(), &claimed);
        let kind = "application/vnd.oci.image.manifest.v1+json";
        registry.put_manifest("cache:main-mounts", kind, changed.as_bytes());
        let from = in_registry(&registry, "--cache-from", "");
        let built = on(space, &format!("two{number}"), &counting("2"), &from).ok();
        built.says(&["warning", "cannot be used"]);
        assert_eq!(counted(&built), "1", "{built}");
    }
}

fn a_registry_that_refuses_mounts_is_an_error_unless_it_is_not(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let refuse = || {
        registry.fault(
            "PUT",
            "main-mounts",
            9,
            Fault::Answer(403, Vec::new(), Vec::new()),
        );
    };
    refuse();
    let to = in_registry(&registry, "--cache-to", ",mounts=true");
    let failed = on(space, "one", &counting("1"), &to).exits(3);
    failed.says(&["the cache", "was not written", "ignore-error=true"]);
    failed.never_says(&["cache mount count in"]);
    let to = in_registry(&registry, "--cache-to", ",mounts=true,ignore-error=true");
    let warned = on(space, "one", &counting("2"), &to).ok();
    warned.says(&["warning", "was not written"]);
    // an image under that name is no cache, and none of kiln's business
    let registry = Registry::start(Guard::Open);
    let image = br#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;
    let kind = "application/vnd.oci.image.manifest.v1+json";
    registry.put_manifest("cache:main-mounts", kind, image);
    let flags = through_registry(&registry, ",mounts=true");
    let failed = on(space, "two", &counting("1"), &flags).exits(3);
    failed.says(&["there is an image", "take another name"]);
}
