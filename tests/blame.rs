//! `kiln blame`: which layers and instructions wrote, changed and deleted a path.

use crate::support::{Space, plain_cases};
use serde_json::Value;

plain_cases! {
    a_file_from_first_to_last,
    a_folder_and_what_is_below_it,
    an_archive_tells_the_same,
    a_path_through_a_link,
    names_that_are_no_text,
    what_never_was,
}

const TEXT: &str = "FROM scratch
COPY one /d/file
COPY two /d/other
COPY --chmod=600 one /d/file
COPY two /d/file
";

fn build(space: &Space) {
    space.write("one", "1234");
    space.write("two", "1234567");
    space.build(TEXT).ok();
}

fn blame(space: &Space, image: &str, path: &str) -> Value {
    let shown = space.kiln(["blame", "--format", "json", image, path]).ok();
    serde_json::from_str(&shown.stdout).unwrap()
}

/// Layer, line, action, changed fields, bytes written and hidden.
fn rows(report: &Value) -> Vec<String> {
    let layers = report["Layers"].as_array().unwrap();
    let row = |layer: &Value| {
        let changed = layer["Changed"].as_array();
        let changed = changed.map_or(String::new(), |changed| {
            let changed = changed.iter().map(|field| field.as_str().unwrap());
            changed.collect::<Vec<_>>().join("+")
        });
        let action = layer["Action"].as_str().unwrap();
        let [at, line, written, hidden] =
            ["Layer", "Line", "Written", "Hidden"].map(|key| &layer[key]);
        format!("{at} {line} {action} {changed} {written} {hidden}")
    };
    layers.iter().map(row).collect()
}

const WANTED: [&str; 3] = [
    "1 2 written  4 0",
    "3 4 changed mode 4 4",
    "4 5 changed content+mode 7 4",
];

fn a_file_from_first_to_last(space: &Space) {
    build(space);
    let report = blame(space, "app", "/d/file");
    assert_eq!(rows(&report), WANTED);
    assert_eq!(
        (&report["Path"], &report["ID"]),
        (&"/d/file".into(), &space.id("app").into())
    );
    assert_eq!(
        report["Layers"][1]["Instruction"],
        "COPY --chmod=600 one /d/file"
    );
    assert_eq!(rows(&blame(space, "app", "d/../d//file/")), WANTED);
    let shown = space.kiln(["blame", "app", "/d/file"]).ok().stdout;
    for text in [
        "Dockerfile:4",
        "mode changed",
        "file 0644 0:0 written",
        "/d/file in app",
    ] {
        assert!(shown.contains(text), "{shown}");
    }
    let shown = space
        .kiln(["blame", "--format", "markdown", "app", "d"])
        .ok()
        .stdout;
    assert!(shown.contains("| 1 | Dockerfile:2 | 4B | 0B |"), "{shown}");
}

fn a_folder_and_what_is_below_it(space: &Space) {
    build(space);
    let below = |layer: &Value| -> Vec<u64> {
        let kinds = ["Written", "Changed", "Touched", "Deleted"].iter();
        kinds
            .map(|kind| layer["Below"][kind].as_u64().unwrap())
            .collect()
    };
    let report = blame(space, "app", "d");
    let layers = report["Layers"].as_array().unwrap();
    let all: Vec<Vec<u64>> = layers.iter().map(below).collect();
    assert_eq!(
        all,
        [[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0]]
    );
}

fn an_archive_tells_the_same(space: &Space) {
    build(space);
    let archive = space.own().join("app.tar");
    space.kiln(["save", "-o"]).arg(&archive).arg("app").ok();
    assert_eq!(rows(&blame(space, "./app.tar", "/d/file")), WANTED);
    space.remove_store();
    let lost: Vec<String> = WANTED
        .iter()
        .map(|row| {
            let mut parts: Vec<&str> = row.split(' ').collect();
            parts[1] = "0";
            parts.join(" ")
        })
        .collect();
    let report = blame(space, "./app.tar", "/d/file");
    assert_eq!(rows(&report), lost);
    assert_eq!(
        report["Layers"][0]["Instruction"],
        "COPY one /d/file # buildkit"
    );
}

fn a_path_through_a_link(space: &Space) {
    space.write("one", "1");
    let link = space.context().join("tree/bin");
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("usr/bin", link).unwrap();
    space
        .build("FROM scratch\nCOPY one /usr/bin/sh\nCOPY tree /\n")
        .ok();
    let shown = space.kiln(["blame", "app", "/bin/sh"]).ok().stdout;
    assert!(
        shown.starts_with("/bin/sh is /usr/bin/sh in app\n"),
        "{shown}"
    );
    let shown = space.kiln(["blame", "app", "/bin"]).ok().stdout;
    assert!(shown.contains("link 0777"), "{shown}");
}

fn names_that_are_no_text(space: &Space) {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::OsStr::from_bytes(b"\xff\x1b[2J<b>|");
    std::fs::write(space.context().join(name), "x").unwrap();
    space.build("FROM scratch\nCOPY . /d/\n").ok();
    let path = std::path::Path::new("/d").join(name);
    for format in ["table", "markdown", "json"] {
        let shown = space
            .kiln(["blame", "--format", format, "app"])
            .arg(&path)
            .ok();
        assert!(!shown.stdout.contains('\x1b'), "{shown}");
        assert!(
            format != "markdown" || !shown.stdout.contains("<b>"),
            "{shown}"
        );
    }
}

fn what_never_was(space: &Space) {
    build(space);
    let never = space.kiln(["blame", "app", "/nowhere"]).exits(1);
    never.says(&["no layer of app ever had /nowhere"]);
    space.kiln(["blame", "app"]).exits(2);
    space
        .kiln(["blame", "--format", "html", "app", "d"])
        .exits(2);
}
