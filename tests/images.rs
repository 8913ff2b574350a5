//! `images`, `inspect`, `history`, `tag`, `rmi`: names of images and what is known of them.

use serde_json::Value;

use crate::support::{Space, plain_cases};

plain_cases! {
    images_are_listed_as_docker_lists_them,
    images_are_found_by_name_and_id,
    inspect_has_dockers_fields,
    history_tells_how_it_was_made,
    tags_move_and_go,
    the_last_name_takes_the_image,
    what_is_not_there_is_said,
}

fn build(space: &Space, tag: &str, label: &str) {
    space
        .build(&format!(
            "FROM scratch\nCOPY <<EOF /file\n{label}\nEOF\nLABEL l={label}\n"
        ))
        .args(["-t", tag])
        .ok();
}

fn images_are_listed_as_docker_lists_them(space: &Space) {
    assert_eq!(
        space.kiln(["images"]).ok().stdout,
        "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE      COMPRESSED\n"
    );
    build(space, "example.org/team/one:v1", "1");
    build(space, "two:v2", "2");
    let listed = space.kiln(["images"]).ok().stdout;
    let lines: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        [
            "REPOSITORY",
            "TAG",
            "IMAGE",
            "ID",
            "CREATED",
            "SIZE",
            "COMPRESSED"
        ]
    );
    let names: Vec<[&str; 2]> = lines[1..].iter().map(|line| [line[0], line[1]]).collect();
    for name in [
        ["example.org/team/one", "v1"],
        ["two", "v2"],
        ["app", "latest"],
    ] {
        assert!(names.contains(&name), "{listed}");
    }
    assert!(
        lines[1..].iter().all(|line| line[2].len() == 12),
        "{listed}"
    );
    assert_eq!(space.kiln(["images", "two"]).ok().stdout.lines().count(), 2);
    assert_eq!(
        space.kiln(["images", "two:v1"]).ok().stdout.lines().count(),
        1
    );
    let whole = space
        .kiln(["images", "-q", "--no-trunc", "two:v2"])
        .ok()
        .stdout;
    assert_eq!(whole, format!("{}\n", space.id("two:v2")));
    assert!(
        space
            .kiln(["images", "--digests"])
            .ok()
            .stdout
            .contains("sha256:")
    );
    assert_eq!(
        space.kiln(["ls", "-q"]).ok().stdout,
        space.kiln(["images", "-q"]).ok().stdout
    );
    space.kiln(["images", "Not A Name"]).exits(2);
}

fn images_are_found_by_name_and_id(space: &Space) {
    build(space, "one", "1");
    let id = space.id("one");
    let hex = id.strip_prefix("sha256:").unwrap();
    for name in [
        "one",
        "one:latest",
        "docker.io/library/one",
        &id,
        hex,
        &hex[..12],
        &hex[..4],
    ] {
        assert_eq!(space.id(name), id, "{name}");
    }
    space
        .kiln(["inspect", &"0".repeat(12)])
        .exits(1)
        .says(&["000000000000", "kiln images"]);
}

fn inspect_has_dockers_fields(space: &Space) {
    space
        .build("FROM scratch\nCOPY <<EOF /file\nx\nEOF\nENV A=1\nCMD [\"x\"]\n")
        .args(["-t", "other:v1"])
        .ok();
    let found = space.kiln(["inspect", "app", "other:v1"]).ok().stdout;
    let found: Value = serde_json::from_str(&found).unwrap();
    let (image, config) = (&found[0], space.image("app").config);
    assert_eq!(found[1], *image);
    assert_eq!(
        image["RepoTags"],
        serde_json::json!(["app:latest", "other:v1"])
    );
    assert_eq!(image["Config"]["Cmd"], serde_json::json!(["x"]));
    assert_eq!(
        (&image["Os"], &image["Architecture"]),
        (&config["os"], &config["architecture"])
    );
    assert_eq!(image["RootFS"]["Layers"], config["rootfs"]["diff_ids"]);
    assert_eq!(image["Created"], config["created"]);
    assert!(image["Size"].as_u64().unwrap() >= 1024);
    assert!(
        image["RepoDigests"][0]
            .as_str()
            .unwrap()
            .starts_with("app@sha256:")
    );
}

fn history_tells_how_it_was_made(space: &Space) {
    space.build("FROM scratch\nCOPY <<EOF /file\nx\nEOF\nENV A=1\nLABEL long=\"a text of more than forty-five characters, which is docker's width\"\n").ok();
    let shown = space.kiln(["history", "app"]).ok().stdout;
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        [
            "LAYER", "CREATED", "CREATED", "BY", "LINE", "SIZE", "WASTE", "COMMENT"
        ]
    );
    assert!(
        lines[1].contains("LABEL long") && lines[1].contains('…'),
        "{shown}"
    );
    assert!(
        lines[2].contains("ENV A=1") && lines[3].contains("COPY"),
        "{shown}"
    );
    assert!(
        lines[2].starts_with('-') && !lines[3].starts_with('-'),
        "{shown}"
    );
    assert!(
        space
            .kiln(["history", "--no-trunc", "app"])
            .ok()
            .stdout
            .contains("docker's width")
    );
}

fn tags_move_and_go(space: &Space) {
    build(space, "one", "1");
    build(space, "two", "2");
    space.kiln(["tag", "one", "name:v1"]).ok();
    assert_eq!(space.id("name:v1"), space.id("one"));
    space.kiln(["tag", "two", "name:v1"]).ok();
    assert_eq!(space.id("name:v1"), space.id("two"));
    space
        .kiln(["tag", "two", "Not A Name"])
        .exits(2)
        .says(&["Not A Name"]);
    space
        .kiln(["tag", "none", "name:v2"])
        .exits(1)
        .says(&["none"]);
    let removed = space.kiln(["rmi", "name:v1"]).ok().stdout;
    assert_eq!(removed, "Untagged: name:v1\n");
    space.kiln(["inspect", "name:v1"]).exits(1);
    space.kiln(["inspect", "two"]).ok();
}

fn the_last_name_takes_the_image(space: &Space) {
    build(space, "one", "1");
    space.kiln(["rmi", "app"]).ok();
    space.kiln(["tag", "one", "again"]).ok();
    let id = space.id("one");
    let refused = space.kiln(["rmi", &id]).exits(1);
    refused.says(&["again", "one", "--force"]);
    let removed = space.kiln(["rmi", "one", "again"]).ok().stdout;
    assert_eq!(
        removed,
        format!("Untagged: one:latest\nUntagged: again:latest\nDeleted: {id}\n")
    );
    space.kiln(["inspect", &id]).exits(1);
    build(space, "one", "1");
    space.kiln(["rmi", "--force", &id]).ok();
    assert_eq!(space.kiln(["images", "-q"]).ok().stdout, "");
    space.is_clean();
}

fn what_is_not_there_is_said(space: &Space) {
    for command in [
        vec!["inspect", "none"],
        vec!["history", "none"],
        vec!["rmi", "none"],
        vec!["save", "-o", "x.tar", "none"],
    ] {
        space.kiln(&command).exits(1).says(&["none", "kiln images"]);
    }
    assert!(
        !space.own().join("x.tar").exists(),
        "a failed save left a file"
    );
}
