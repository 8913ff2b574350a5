//! `kiln builds`: which builds there were, and how they ended.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::golden::matches;
use crate::support::processes::{appears, unique_nap};
use crate::support::{Space, plain_cases};

plain_cases! {
    builds_are_listed_with_what_came_of_them,
    stopped_builds_are_remembered,
    a_list_is_cut_and_shown_in_any_form,
    builds_are_filtered,
}

/// All builds, the newest first.
fn builds(space: &Space) -> Vec<Value> {
    let listed = space.kiln(["builds", "--format", "json"]).ok().stdout;
    let builds = listed.lines().map(serde_json::from_str);
    builds.collect::<Result<_, _>>().unwrap()
}

fn builds_are_listed_with_what_came_of_them(space: &Space) {
    space.write("word", "word");
    let good = "FROM scratch\nCOPY word /one\nCOPY word /two\n";
    assert_eq!(builds(space).len(), 0);
    space.build(good).ok();
    space.build(good).ok();
    space.build(&good.replace("two", "three")).ok();
    space
        .build("FROM scratch\nCOPY word /one\nCOPY none /none\n")
        .exits(1);
    space.build("FROM scratch\nWHAT\n").exits(1);
    let builds = builds(space);
    let told = |field: &str| -> Vec<&str> {
        let values = builds.iter().map(|build| build[field].as_str().unwrap());
        values.collect()
    };
    assert_eq!(
        told("Result"),
        ["failed", "failed", "built", "built", "built"]
    );
    assert_eq!(told("Cached"), ["0/0", "1/2", "1/2", "2/2", "0/2"]);
    assert_eq!(told("HitRate"), ["", "50.0%", "50.0%", "100.0%", "0.0%"]);
    assert_eq!(told("Name"), ["app:latest"; 5]);
    let failures = told("Failure");
    assert!(failures[1].starts_with("COPY none /none: "), "{failures:?}");
    assert!(failures[0].contains("WHAT") || !failures[0].is_empty());
    assert_eq!(failures[2..], ["", "", ""]);
    let images = told("Image");
    assert_eq!(images[..2], ["", ""]);
    assert_eq!(images[3], images[4]);
    let project = space.context().canonicalize().unwrap();
    assert_eq!(told("Project"), [project.to_str().unwrap(); 5]);
    let mut ids = told("ID");
    ids.sort_unstable();
    ids.dedup();
    assert!(
        ids.len() == 5 && ids.iter().all(|id| id.len() == 12),
        "{ids:?}"
    );
}

fn stopped_builds_are_remembered(space: &Space) {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let nap = unique_nap();
        let text = format!("FROM tools\nRUN sleep {nap}\n");
        let running = space.build(&text).spawn();
        appears(&nap);
        running.signal(signal);
        running.wait();
    }
    let builds = builds(space);
    let results: Vec<&Value> = builds.iter().map(|build| &build["Result"]).collect();
    assert_eq!(results, ["stopped", "stopped", "stopped"]);
}

fn a_list_is_cut_and_shown_in_any_form(space: &Space) {
    for name in ["one", "two"] {
        let text = "FROM scratch\nCOPY <<EOF /file\ntext\nEOF\n";
        space.build(text).args(["-t", name]).ok();
    }
    let fields = "table {{.Name}}\t{{.Result}}\t{{.Cached}}\t{{.HitRate}}";
    let table = space.kiln(["builds", "--format", fields]).ok().stdout;
    matches("builds.txt", &table);
    let whole = space.kiln(["builds"]).ok().stdout;
    let headers = "BUILD ID NAME CREATED RESULT DURATION CACHED HIT RATE";
    let told: Vec<&str> = whole.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(told.join(" "), headers);
    let ids = space.kiln(["builds", "-q"]).ok().stdout;
    let last = space.kiln(["builds", "-n", "1", "-q"]).ok().stdout;
    assert_eq!(ids.lines().next(), last.lines().next());
    assert_eq!(last.lines().count(), 1);
    let template = ["builds", "--format", "{{.Name}} {{.Result}}"];
    assert_eq!(
        space.kiln(template).ok().stdout,
        "app:latest built\napp:latest built\n"
    );
    space.kiln(["builds", "--format", "{{.What}}"]).exits(1);
}

fn builds_are_filtered(space: &Space) {
    let text = "FROM tools\nRUN true\n";
    space
        .build(text)
        .args(["-t", "example.org/team/one:v1"])
        .ok();
    space.build("FROM tools\nRUN false\n").exits(1);
    let names = |filters: &[&str]| {
        let filters = filters.iter().flat_map(|filter| ["--filter", *filter]);
        let builds = space
            .kiln(["builds", "--format", "{{.Result}}"])
            .args(filters)
            .ok();
        builds.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for (filters, expected) in [
        (&["result=failed"][..], &["failed"][..]),
        (&["result=failed", "result=built"], &["failed", "built"]),
        (&["result=stopped"], &[]),
        (&["name=example.org/team/*"], &["built"]),
        (&["name=app", "result=built"], &["built"]),
        (&["name=app"], &["failed", "built"]),
        (&["name=Dockerfile"], &[]),
        (&["since=1h"], &["failed", "built"]),
        (&["until=1h"], &[]),
        (&["since=1h", "name=*/team/one", "name=other"], &["built"]),
    ] {
        assert_eq!(names(filters), expected, "{filters:?}");
    }
    for wrong in ["result=good", "since=soon", "name", "what=x", "name=["] {
        let failed = space.kiln(["builds", "--filter", wrong]).exits(2);
        failed.says(&["--filter", "expected"]);
    }
}
