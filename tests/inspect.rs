//! `inspect`: docker's fields through templates, names that are not there, and what is said about those by all verbs.

use serde_json::Value;

use crate::support::{Space, plain_cases};
use crate::verbs::{LABELLED, dated, said};

plain_cases! {
    templates_of_inspect,
    inspect_tells_when_the_last_name_was_given,
    several_names_of_which_one_is_unknown,
    names_that_are_near_are_suggested,
}

fn templates_of_inspect(space: &Space) {
    dated(space, "one:v1", LABELLED, "1700000000");
    let id = space.id("one:v1");
    for (template, expected) in [
        ("{{.Id}}", id.as_str()),
        ("{{.RepoTags}} {{index .RepoTags 0}}", "[one:v1] one:v1"),
        ("{{json .Config.Labels}}", r#"{"a":"1","b":"two words"}"#),
        (
            "{{index .Config.Labels \"a\"}}{{.Config.Labels.none}}",
            "1<no value>",
        ),
        (
            "{{range .Config.Env}}{{if eq . \"A=1\"}}[{{.}}]{{end}}{{end}}",
            "[A=1]",
        ),
        (
            "{{.Config.Entrypoint}} {{json .Config.Cmd}}",
            r#"[] ["run","<x>"]"#,
        ),
        ("{{.Created}} {{.Os}}", "2023-11-14T22:13:20Z linux"),
        (
            "{{len .RootFS.Layers}}{{if .Config.Healthcheck}}x{{end}}",
            "1",
        ),
        ("{{.Id}}\\n", &format!("{id}\\n")),
    ] {
        let shown = said(space, &["inspect", "-f", template, "one:v1"]);
        assert_eq!(shown, format!("{expected}\n"), "{template}");
    }
    let line = said(space, &["inspect", "--format", "json", "one:v1"]);
    let whole = said(space, &["inspect", "--type", "image", "one:v1"]);
    assert_eq!(line.lines().count(), 1);
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(parsed(&line), parsed(&whole));
    assert!(whole.starts_with("[\n    {\n        \"Id\": "), "{whole}");
    space
        .kiln(["inspect", "--type", "volume", "one:v1"])
        .exits(2);
}

fn inspect_tells_when_the_last_name_was_given(space: &Space) {
    dated(space, "one:v1", LABELLED, "1700000000");
    let template = ["inspect", "-f", "{{.Metadata.LastTagTime}}", "one:v1"];
    let first = said(space, &template);
    // the year of the clock, not the image's
    assert!(
        first.starts_with("20") && !first.starts_with("2023"),
        "{first}"
    );
    assert!(first.ends_with("Z\n"), "{first}");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    said(space, &["tag", "one:v1", "one:v2"]);
    let second = said(space, &template);
    assert!(second > first, "{first}{second}");
    let id = space.id("one:v1");
    said(space, &["save", "-o", "one.tar", &id]);
    said(space, &["rmi", "one:v1", "one:v2"]);
    said(space, &["load", "-i", "one.tar"]);
    let never = said(space, &["inspect", "-f", "{{.Metadata.LastTagTime}}", &id]);
    assert_eq!(never, "0001-01-01T00:00:00Z\n");
}

fn several_names_of_which_one_is_unknown(space: &Space) {
    dated(space, "one:v1", LABELLED, "1700000000");
    let partial = space.kiln(["inspect", "nothing", "one:v1"]).exits(1);
    partial.says(&["nothing"]);
    let shown: Value = serde_json::from_str(&partial.stdout).unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 1);
    let none = space.kiln(["inspect", "nothing", "more"]).exits(1);
    assert_eq!(none.stdout, "[]\n");
    none.says(&["nothing", "more"]);
    let template = space
        .kiln(["inspect", "-f", "{{.Os}}", "nothing", "one:v1"])
        .exits(1);
    assert_eq!(template.stdout, "linux\n");
}

fn names_that_are_near_are_suggested(space: &Space) {
    dated(space, "webserver:v1", LABELLED, "1700000000");
    for verb in ["inspect", "history", "rmi"] {
        space
            .kiln([verb, "webservr:v1"])
            .exits(1)
            .says(&["did you mean webserver:v1"]);
        space
            .kiln([verb, "webserver"])
            .exits(1)
            .says(&["there is webserver:v1"]);
    }
    for arguments in [
        &["tag", "webservre:v1", "x"][..],
        &["save", "-o", "x.tar", "webserver:v1", "webservre:v1"],
        &["export", "webservre:v1", "-o", "x.tar"],
        &["rmi", "webservre:v1"],
    ] {
        space
            .kiln(arguments)
            .exits(1)
            .says(&["did you mean webserver:v1"]);
        assert!(!space.own().join("x.tar").exists());
    }
}
