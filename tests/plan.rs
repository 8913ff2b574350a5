//! What a build would do: said by `kiln plan`, and then done by the build; without a byte that is fetched or written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::golden::matches;
use crate::support::machines::{self, STAGES, from_folder, to_folder};
use crate::support::registry::{Guard, Registry};
use crate::support::screen::Screen;
use crate::support::space::TOOLS;
use crate::support::{Finished, Kiln, Space, cases, plain_cases};

cases! {
    each_step_has_a_verdict_and_its_reasons,
}

plain_cases! {
    a_first_build_runs_and_leaves_no_trace,
    a_plan_changes_nothing,
    bytes_to_fetch_are_told_and_not_fetched,
    only_the_target_counts,
    flags_that_forbid_results_count,
    a_result_of_a_shared_cache_is_told,
    what_another_step_of_the_build_may_give_is_not_promised,
    a_plan_is_a_tree_and_a_flowchart,
    what_a_build_fails_with_a_plan_does_too,
}

/// `kiln plan` of the context with this Dockerfile, with the flags of [`Space::build`].
fn plan(space: &Space, text: &str) -> Kiln {
    space.write("Dockerfile", text);
    let tools = format!("tools=host-tools:{TOOLS}");
    let plan = space.kiln(["plan", "-t", "app", "--build-context"]);
    plan.arg(tools).arg(space.context())
}

/// A plan as data.
pub fn of(space: &Space, text: &str, flags: &[String]) -> Value {
    json(plan(space, text).args(flags))
}

fn json(plan: Kiln) -> Value {
    let planned = plan.args(["--format", "json"]).ok();
    serde_json::from_str(&planned.stdout).unwrap()
}

fn steps(planned: &Value) -> &Vec<Value> {
    planned["steps"].as_array().unwrap()
}

/// Verdict and reasons of each step; of one that depends, on what.
fn told(planned: &Value) -> Vec<String> {
    let texts = |list: &Value| {
        let texts = list.as_array().into_iter().flatten();
        let texts: Vec<&str> = texts.map(|text| text.as_str().unwrap()).collect();
        texts.join("; ")
    };
    let told = steps(planned).iter().map(|step| {
        let verdict = step["verdict"].as_str().unwrap();
        let (awaits, because) = (texts(&step["awaits"]), texts(&step["because"]));
        format!("{verdict} {awaits}{because}").trim().to_owned()
    });
    told.collect()
}

/// Asserts that a build did what its plan says: hits hit, what runs ran, and every reason of the plan is one that the build gave.
#[track_caller]
pub fn holds(planned: &Value, built: &Finished) {
    let mut did: BTreeMap<u64, (&str, String)> = BTreeMap::new();
    let events = built.events();
    for event in events.of("finished") {
        let outcome = event["outcome"].as_str().unwrap();
        let step = did.entry(event["step"].as_u64().unwrap()).or_default();
        step.0 = if outcome == "cached" { "hit" } else { "runs" };
    }
    for name in ["started", "committed"] {
        for event in events.of(name) {
            let step = did.entry(event["step"].as_u64().unwrap()).or_default();
            step.1 += &event["because"].to_string();
            step.1 += &event["reasons"].to_string();
        }
    }
    assert_eq!(did.len(), steps(planned).len(), "{planned}\n{built}");
    for step in steps(planned) {
        let (done, reasons) = &did[&step["step"].as_u64().unwrap()];
        let verdict = step["verdict"].as_str().unwrap();
        assert!(verdict == "depends" || verdict == *done, "{step}\n{built}");
        let told = step["reasons"].as_array().into_iter().flatten();
        for reason in told.filter(|_| *done == "runs") {
            assert!(reasons.contains(&reason.to_string()), "{step}\n{built}");
        }
    }
}

const TEXT: &str = "FROM tools AS build
ARG NAME=world
WORKDIR /out
COPY a /out/
RUN cat a > sum
RUN echo $NAME > name
FROM scratch
COPY --from=build /out/sum /out/name /
";

fn each_step_has_a_verdict_and_its_reasons(space: &Space) {
    space.write("a", "a");
    let check = |flags: &[&str], expected: &[&str]| {
        let planned = json(plan(space, TEXT).args(flags));
        assert_eq!(told(&planned), expected);
        holds(&planned, &space.build_json(TEXT).args(flags).ok());
    };
    check(&[], &["runs"; 6]);
    check(&[], &["hit"; 6]);
    space.write("a", "other");
    let (copy, name) = (
        "[build 3/5] COPY a /out/",
        "[build 5/5] RUN echo $NAME > name",
    );
    let depends = format!("depends {copy}");
    let expected = ["hit", "hit", "runs a changed", &depends, &depends, &depends];
    check(&[], &expected);
    let argument = ["--build-arg", "NAME=me"];
    let runs = "runs ARG NAME: world → me";
    let last = format!("depends {name}");
    check(&argument, &["hit", "hit", "hit", runs, runs, &last]);
    // what was built before is known, whatever the last build was
    space.write("a", "a");
    check(&[], &["hit"; 6]);
}

fn a_first_build_runs_and_leaves_no_trace(space: &Space) {
    space.write("a", "a");
    let planned = json(plan(space, TEXT));
    assert_eq!(told(&planned), ["runs"; 6]);
    assert!(!space.store().exists());
    holds(&planned, &space.build_json(TEXT).ok());
}

/// Every file of a folder with its bytes and its time; of the database's shared memory, which only holds locks, that it is there.
fn state(folder: &Path) -> BTreeMap<String, (Vec<u8>, i64)> {
    use std::os::unix::fs::MetadataExt;
    let mut found = BTreeMap::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(path) = todo.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        if stat.is_dir() {
            todo.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if stat.is_file() && !name.ends_with("-shm") {
            bytes = fs::read(&path).unwrap();
        }
        let time = if name.ends_with("-shm") {
            0
        } else {
            stat.mtime_nsec() + stat.mtime()
        };
        found.insert(name, (bytes, time));
    }
    found
}

fn a_plan_changes_nothing(space: &Space) {
    space.write("a", "a");
    space.build(TEXT).ok();
    space.write("a", "other");
    let before = state(&space.store());
    for format in ["tree", "json", "mermaid"] {
        plan(space, TEXT).args(["--format", format]).ok();
    }
    let after = state(&space.store());
    let changed = before
        .iter()
        .filter(|(name, state)| after.get(*name) != Some(state));
    let changed: Vec<&String> = changed.map(|(name, _)| name).collect();
    assert_eq!(
        (changed.len(), after.len()),
        (0, before.len()),
        "{changed:?}"
    );
}

/// `HOST/NAME` whose own layer has some bytes that cannot be compressed; the size of all its layers.
fn base(space: &Space, registry: &Registry, name: &str) -> (String, u64) {
    let full = format!("{}/{name}:v1", registry.host);
    let mut random = crate::support::random::Random::new(7);
    let bytes: Vec<u8> = (0..50_000).map(|_| random.below(256) as u8).collect();
    space.write("large", bytes);
    let first = space.own().join("first");
    let built = space
        .build("FROM tools\nCOPY large /\n")
        .args(["-t", &full]);
    built.env("KILN_STORE", &first).ok();
    let pushed = space.kiln(["push", "-q", &full]);
    pushed.env("KILN_STORE", &first).ok();
    let manifest = registry.manifest_of(&format!("{name}/manifests/v1"));
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    (
        full,
        layers.map(|layer| layer["size"].as_u64().unwrap()).sum(),
    )
}

fn bytes_to_fetch_are_told_and_not_fetched(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let (name, size) = base(space, &registry, "base");
    let config = registry.count("GET", "/blobs/");
    let text = format!("FROM {name}\nRUN cat /large > /copy\n");
    for _ in 0..2 {
        let planned = json(plan(space, &text));
        assert_eq!(told(&planned), ["runs"]);
        assert_eq!(planned["fetch"], size, "{planned}");
        let image = &planned["images"][0];
        assert_eq!(
            (&image["fetch"], &image["bytes"]),
            (&size.into(), &size.into())
        );
        assert_eq!(image["reference"], name);
    }
    // the config each time, and no layer
    assert_eq!(registry.count("GET", "/blobs/") - config, 2);
    assert!(!space.store().exists());
    // what nothing reads is not fetched
    let unread = json(plan(space, &format!("FROM {name}\nENV A=b\n")));
    assert_eq!(
        (&unread["fetch"], unread["steps"].as_array().unwrap().len()),
        (&0.into(), 0)
    );
    // what the key is made of has to come first
    let copied = format!("FROM scratch\nCOPY --from={name} /large /\n");
    let planned = json(plan(space, &copied));
    assert_eq!(
        (told(&planned), &planned["fetch"]),
        (vec!["runs".to_owned()], &size.into())
    );
    space.build(&copied).ok();
    space.kiln(["rmi", "app"]).ok();
    let planned = json(plan(space, &copied));
    assert_eq!(
        (told(&planned), &planned["fetch"]),
        (vec!["hit".to_owned()], &0.into())
    );
    space.build(&text).ok();
    let planned = json(plan(space, &format!("{text}RUN echo more\n")));
    assert_eq!(
        (told(&planned), &planned["fetch"]),
        (
            vec!["hit".to_owned(), "runs a new step".to_owned()],
            &0.into()
        )
    );
}

fn only_the_target_counts(space: &Space) {
    let text = "FROM tools AS one\nRUN echo one > /one\nFROM tools AS two\nRUN echo two > /two\n\
                FROM scratch\nCOPY --from=two /two /\n";
    let planned = json(plan(space, text));
    let stages: Vec<&str> = planned["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| stage["name"].as_str().unwrap())
        .collect();
    assert_eq!(stages, ["two", "stage-2"]);
    let planned = json(plan(space, text).args(["--target", "one"]));
    let titles: Vec<&str> = steps(&planned)
        .iter()
        .map(|step| step["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, ["FROM tools", "RUN echo one > /one"]);
}

fn flags_that_forbid_results_count(space: &Space) {
    space.write("a", "a");
    space.build(TEXT).ok();
    let planned = json(plan(space, TEXT).arg("--no-cache"));
    assert_eq!(told(&planned), ["runs --no-cache"; 6]);
    let planned = json(plan(space, TEXT).args(["--no-cache-filter", "build"]));
    let flag = "runs --no-cache-filter";
    let last = "depends [build 5/5] RUN echo $NAME > name";
    assert_eq!(told(&planned), ["hit", flag, flag, flag, flag, last]);
    space.kiln(["rmi", "app"]).ok();
    space.kiln(["prune", "--max-size", "1"]).ok();
    let planned = json(plan(space, TEXT));
    let evicted = "runs its result is no longer in the store";
    assert_eq!(told(&planned)[..5], [evicted; 5]);
}

fn a_result_of_a_shared_cache_is_told(space: &Space) {
    space.write("word", "word");
    machines::on(space, "one", STAGES, &to_folder(space, ",mode=max")).ok();
    let from = from_folder(space);
    let folder = machines::folder(space).display().to_string();
    let store = space.own().join("two");
    // with a store and without one; as a whole and step by step
    for text in [
        STAGES.to_owned(),
        STAGES
            .replace("/made\n", "/made\nRUN echo x > /x\n")
            .replace("FROM scratch", "FROM tools"),
    ] {
        for _ in 0..2 {
            let planned = json(plan(space, &text).args(&from).env("KILN_STORE", &store));
            let hits = steps(&planned)
                .iter()
                .filter(|step| step["verdict"] == "hit");
            let hits: Vec<&Value> = hits.collect();
            assert!(hits.len() >= 3, "{planned}");
            for hit in hits {
                assert_eq!(hit["from"][0], folder, "{planned}");
            }
            assert!(planned["fetch"].as_u64().unwrap() > 0, "{planned}");
        }
    }
    assert!(!store.exists());
    let planned = json(plan(space, STAGES).args(&from).env("KILN_STORE", &store));
    let built = machines::on(space, "two", STAGES, &from)
        .env("KILN_PROGRESS", "json")
        .ok();
    holds(&planned, &built);
    // a cache that is not there is a word, and no failure
    let gone = [
        "--cache-from".to_owned(),
        format!("type=local,src={folder}-gone"),
    ];
    plan(space, STAGES).args(gone).ok();
}

fn what_another_step_of_the_build_may_give_is_not_promised(space: &Space) {
    space.write("a", "same");
    space.write("b", "same");
    let text = "FROM tools AS one\nCOPY a /in\nRUN cat /in > /out\nFROM tools AS two\nCOPY b /in\nRUN cat /in > /out\n\
                FROM scratch\nCOPY --from=one /out /1\nCOPY --from=two /out /2\n";
    let planned = json(plan(space, text));
    let runs = steps(&planned)
        .iter()
        .filter(|step| step["title"] == "RUN cat /in > /out");
    let awaits: Vec<&str> = runs
        .map(|step| step["awaits"][0].as_str().unwrap())
        .collect();
    let (one, two) = (
        "[one 3/3] RUN cat /in > /out",
        "[two 2/2] RUN cat /in > /out",
    );
    assert_eq!(awaits, [two, one], "{planned}");
    holds(&planned, &space.build_json(text).args(["--jobs", "1"]).ok());
}

fn a_plan_is_a_tree_and_a_flowchart(space: &Space) {
    space.write("a", "a");
    space.build(TEXT).ok();
    space.write("a", "other");
    let tree = plan(space, TEXT).ok().stdout;
    matches("plan.txt", &tree);
    let mut screen = Screen::start(plan(space, TEXT).command(), 160, 40);
    screen.until("a terminal shows something else", |screen| {
        screen.text().contains(&tree)
    });
    let text = TEXT.replace("echo $NAME", "echo \"$NAME\" '<b>' `date`");
    let chart = plan(space, &text).args(["--format", "mermaid"]).ok().stdout;
    matches("plan.mmd", &chart);
    let mut lines = chart.lines();
    assert_eq!(lines.next(), Some("flowchart TD"));
    let words = |line: &str| line.trim().split(' ').next().unwrap().to_owned();
    for line in lines.by_ref() {
        let (first, quotes) = (words(line), line.matches('"').count());
        let is_node = first.starts_with('s') && line.contains("[\"") && line.contains("\"]:::");
        let is_known = ["subgraph", "end", "classDef"].contains(&first.as_str());
        let is_arrow = line.contains(" --> ");
        assert!(is_node || is_known || is_arrow, "{line}");
        assert!([0, 2].contains(&quotes), "{line}");
    }
    plan(space, TEXT)
        .arg("--check")
        .exits(2)
        .says(&["another question"]);
}

fn what_a_build_fails_with_a_plan_does_too(space: &Space) {
    plan(space, "FROM tools\nRUN --mount\n").exits(1);
    let missing = "FROM tools\nCOPY nothing /\n";
    let (planned, built) = (plan(space, missing).exits(1), space.build(missing).exits(1));
    planned.says(&["COPY nothing /", "nothing"]);
    assert!(
        built
            .stderr
            .contains(planned.stderr.lines().next().unwrap()),
        "{planned}\n{built}"
    );
    // a Dockerfile alone is read, an archive is not
    let piped = |bytes: &[u8]| space.kiln(["plan", "-"]).stdin(bytes);
    let alone = piped(b"FROM scratch\nWORKDIR /a\n").ok();
    assert!(alone.stdout.contains("1/1 runs    WORKDIR /a"), "{alone}");
    let tar = format!("tar -C {} -c . | kiln plan -", space.context().display());
    let archive = space.shell(&tar).exits(1);
    archive.says(&["a plan takes nothing into it", "a plan reads folders"]);
}
