//! The options of `kiln build`: each does what it says, and the defaults are docker's.

use std::collections::BTreeSet;

use crate::support::{Kind, Space, plain_cases, user_cases};

user_cases! {
    the_store_is_where_it_is_told,
    host_names_are_added,
}

plain_cases! {
    names_are_repeatable_and_default_to_latest,
    the_dockerfile_is_found,
    the_dockerfile_may_come_from_standard_input,
    arguments_reach_the_build,
    unused_arguments_are_warned_about,
    labels_are_added_and_override,
    the_target_is_a_stage,
    without_cache_everything_runs,
    a_named_folder_is_a_stage_and_a_source,
    a_named_context_replaces_a_stage,
    quiet_prints_the_id_only,
    progress_comes_in_four_forms,
    another_platform_is_only_a_label,
}

fn names_are_repeatable_and_default_to_latest(space: &Space) {
    let built = space
        .build("FROM scratch\nLABEL a=b\n")
        .args(["-t", "other:v1", "--tag", "example.org:5000/team/app"])
        .arg("--load")
        .ok();
    built.says(&["app:latest", "other:v1", "example.org:5000/team/app:latest"]);
    let ids: BTreeSet<String> = ["app", "app:latest", "other:v1", "example.org:5000/team/app"]
        .map(|name| space.id(name))
        .into();
    assert_eq!(ids.len(), 1);
}

fn the_dockerfile_is_found(space: &Space) {
    let label = |name: &str| format!("FROM scratch\nLABEL file={name}\n");
    let build = |arguments: &[&str]| {
        space
            .kiln(["build", "-t", "app"])
            .args(arguments)
            .arg(space.context())
            .ok();
        space.image("app").setting("Labels")["file"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    space.write("Containerfile", label("container"));
    assert_eq!(build(&[]), "container");
    space.write("Dockerfile", label("docker"));
    assert_eq!(build(&[]), "docker");
    space.write("sub/inner", label("inner"));
    assert_eq!(build(&["-f", "sub/inner"]), "inner");
    // The current folder comes before the context.
    space.write_in("own", "sub/inner", label("outer"));
    assert_eq!(build(&["--file", "sub/inner"]), "outer");
}

fn the_dockerfile_may_come_from_standard_input(space: &Space) {
    space.write("word", "from the context");
    let text = "FROM scratch\nCOPY word /\n";
    space
        .kiln(["build", "-t", "app", "-f", "-"])
        .arg(space.context())
        .stdin(text)
        .ok();
    assert_eq!(space.image("app").text("word"), "from the context");
}

fn arguments_reach_the_build(space: &Space) {
    let text = "ARG BASE=nothing\nFROM $BASE\nARG ONE=1\nARG TWO=2\nARG THREE\nARG FOUR=4\nENV ALL=$ONE-$TWO-$THREE-$FOUR\nRUN echo \"$ONE $TWO $THREE $FOUR\"\n";
    let given = [
        "--build-arg",
        "BASE=tools",
        "--build-arg",
        "TWO=a=b c",
        "--build-arg",
        "THREE",
    ];
    let built = space
        .build(text)
        .args(given)
        .args(["--build-arg", "FOUR"])
        .env("THREE", "outside")
        .ok();
    // A name without any value is as if it had not been given.
    assert_eq!(built.output(), ["1 a=b c outside 4"], "{built}");
    let env = space.image("app").setting("Env").to_string();
    assert!(env.contains("ALL=1-a=b c-outside-4"), "{env}");
    assert!(
        !env.contains("TWO="),
        "an argument is no variable of the image: {env}"
    );
}

fn unused_arguments_are_warned_about(space: &Space) {
    let built = space
        .build("FROM scratch\nARG used\nLABEL a=$used\n")
        .args(["--build-arg", "used=1", "--build-arg", "mistyped=1"])
        .ok();
    built
        .says(&["warning", "mistyped"])
        .never_says(&["--build-arg used"]);
}

fn labels_are_added_and_override(space: &Space) {
    let options = [
        "--label",
        "kept=line",
        "--label",
        "more=a=b",
        "--label",
        "empty",
    ];
    space
        .build("FROM scratch\nLABEL kept=file other=file\n")
        .args(options)
        .ok();
    let expected = serde_json::json!({"kept": "line", "other": "file", "more": "a=b", "empty": ""});
    assert_eq!(*space.image("app").setting("Labels"), expected);
}

fn the_target_is_a_stage(space: &Space) {
    let text = "FROM scratch AS First\nLABEL stage=first\nFROM scratch AS second\nLABEL stage=second\nFROM scratch\nLABEL stage=last\n";
    let stage = || space.image("app").setting("Labels")["stage"].clone();
    space.build(text).args(["--target", "FIRST"]).ok();
    assert_eq!(stage(), "first");
    space.build(text).args(["--target", "second"]).ok();
    assert_eq!(stage(), "second");
    space.build(text).ok();
    assert_eq!(stage(), "last");
    space
        .build(text)
        .args(["--target", "third"])
        .exits(1)
        .says(&["third"]);
}

fn without_cache_everything_runs(space: &Space) {
    let text = "FROM tools\nRUN echo one > /one\nRUN echo two > /two\n";
    let all = ["RUN echo one > /one", "RUN echo two > /two"];
    assert_eq!(space.build_json(text).ok().events().ran(), all);
    assert_eq!(space.build_json(text).ok().events().ran(), [""; 0]);
    assert_eq!(
        space.build_json(text).arg("--no-cache").ok().events().ran(),
        all
    );
    assert_eq!(space.build_json(text).ok().events().ran(), [""; 0]);
}

fn a_named_folder_is_a_stage_and_a_source(space: &Space) {
    space.write_in("other", "folder/file", "other");
    let option = format!("other={}", space.path("other").display());
    let text = "FROM other AS base\nFROM scratch\nCOPY --from=other folder/file /copied\nCOPY --from=base /folder /folder\n";
    space.build(text).args(["--build-context", &option]).ok();
    let image = space.image("app");
    assert_eq!(
        (image.text("copied"), image.text("folder/file")),
        ("other".to_owned(), "other".to_owned())
    );
    let missing = format!("other={}", space.path("nowhere").display());
    space
        .build(text)
        .args(["--build-context", &missing])
        .exits(2)
        .says(&["nowhere"]);
    space
        .build(text)
        .args(["--build-context", "other"])
        .exits(2)
        .says(&["NAME=SOURCE"]);
}

fn a_named_context_replaces_a_stage(space: &Space) {
    space.write_in("other", "file", "from the folder");
    let option = format!("parts={}", space.path("other").display());
    let text = "FROM tools AS parts\nRUN exit 1\nFROM scratch\nCOPY --from=parts file /\n";
    space.build(text).args(["--build-context", &option]).ok();
    assert_eq!(space.image("app").text("file"), "from the folder");
}

fn quiet_prints_the_id_only(space: &Space) {
    let file = space.own().join("id");
    let build = || {
        space
            .build("FROM tools\nRUN echo said\n")
            .arg("-q")
            .arg("--iidfile")
            .arg(&file)
            .ok()
    };
    let built = build();
    let id = space.id("app");
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    assert_eq!(
        (built.stdout, built.stderr),
        (format!("{id}\n"), String::new())
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), id);
    assert_eq!(build().stdout, format!("{id}\n"));
    // An image without a name is found by its ID.
    let unnamed = space
        .kiln(["build", "-q"])
        .arg(space.context())
        .arg(format!(
            "--build-context=tools=host-tools:{}",
            crate::support::space::TOOLS
        ))
        .ok();
    assert_eq!(space.id(unnamed.stdout.trim()), id);
}

fn progress_comes_in_four_forms(space: &Space) {
    let text = "FROM tools\nRUN echo said\n";
    let plain = space
        .build(text)
        .args(["--progress", "plain", "--no-cache"])
        .ok();
    plain.says(&[
        "[stage-0 2/2] RUN echo said\n",
        "built docker.io/library/app:latest",
    ]);
    assert_eq!(plain.output(), ["said"]);
    assert_eq!(plain.stdout, "");
    let auto = space
        .build(text)
        .args(["--progress", "auto", "--no-cache"])
        .ok();
    auto.never_says(&["\u{1b}["]);
    assert_eq!(auto.output(), ["said"]);
    let quiet = space
        .build(text)
        .args(["--progress", "quiet", "--no-cache"])
        .ok();
    assert_eq!((quiet.stdout, quiet.stderr), (String::new(), String::new()));
    space
        .build(text)
        .args(["--progress", "tty", "--no-cache"])
        .env("NO_COLOR", "1")
        .ok()
        .never_says(&["\u{1b}[1"]);
    let events = space
        .build(text)
        .args(["--progress", "json", "--no-cache"])
        .ok()
        .events();
    let kinds: Vec<&str> = events
        .all
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .filter(|kind| *kind != "warning")
        .collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("begun", "ended"));
    let builds: BTreeSet<&str> = events
        .all
        .iter()
        .map(|event| event["build"].as_str().unwrap())
        .collect();
    assert_eq!(builds.len(), 1, "all events carry the build's id");
    assert_eq!(events.id(), space.id("app"));
    space.build(text).args(["--progress", "loud"]).exits(2);
}

fn the_store_is_where_it_is_told(space: &Space) {
    let other = space.own().join("other-store");
    space
        .build("FROM scratch\nLABEL a=b\n")
        .arg("--store")
        .arg(&other)
        .ok();
    assert!(
        !space.store().exists(),
        "KILN_STORE was used in spite of --store"
    );
    let names =
        |store: &std::path::Path| space.kiln(["images"]).env("KILN_STORE", store).ok().stdout;
    assert!(names(&other).contains("app"));
    assert!(!names(&space.store()).contains("app"));
    // Without both, an ordinary user's store is in the home folder; root's is /var/lib/kiln and none of a test's business.
    if space.mode.is_rootless() {
        let data = space.own().join("data");
        space
            .build("FROM scratch\nLABEL a=b\n")
            .env("KILN_STORE", data.join("kiln"))
            .env("XDG_DATA_HOME", &data)
            .ok();
        assert!(data.join("kiln/version").is_file());
    }
}

fn host_names_are_added(space: &Space) {
    let text = "FROM tools\nRUN cat /etc/hosts\n";
    let built = space
        .build(text)
        .args(["--add-host", "db:10.0.0.7", "--add-host", "six=[::2]"])
        .ok();
    built.says(&["| 10.0.0.7\tdb\n", "| ::2\tsix\n", "localhost"]);
    assert!(
        !space.image("app").has("etc/hosts"),
        "a stub stays in the image"
    );
    space
        .build(text)
        .args(["--add-host", "db:nowhere"])
        .exits(2)
        .says(&["--add-host", "nowhere"]);
}

fn another_platform_is_only_a_label(space: &Space) {
    space.write("file", "");
    space
        .build("FROM scratch\nCOPY file /\n")
        .args(["--platform", "linux/s390x"])
        .ok();
    let image = space.image("app");
    assert_eq!(
        (&image.config["architecture"], &image.config["os"]),
        (&"s390x".into(), &"linux".into())
    );
    assert_eq!(image.entry("file").kind, Kind::File(Vec::new()));
    space
        .build("FROM scratch\n")
        .args(["--platform", "nonsense/none/of/it"])
        .exits(2);
}
