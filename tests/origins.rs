//! Which line of which Dockerfile each entry of an image's history comes from: remembered by the store that built the image, carried
//! by images that are asked to, and kept through squashing, new bases and lines that move.

use crate::support::{Space, plain_cases};
use serde_json::Value;

plain_cases! {
    each_instruction_has_its_line,
    lines_that_move_are_known_without_a_build,
    a_base_that_was_built_here_keeps_its_lines,
    a_label_carries_them_to_other_stores,
    squashed_and_other_images,
    stages_that_are_saved_have_lines,
    several_platforms,
}

const TEXT: &str = "FROM scratch AS tree
COPY file /file

FROM tree
ENV A=1
# comment
COPY --link \\
  file \\
  /other
LABEL b=c
";

/// `Line` of all entries, the oldest first.
fn lines(space: &Space, image: &str) -> Vec<String> {
    let shown = space.kiln(["history", "--format", "json", image]).ok();
    let entry = |line: &str| -> Value { serde_json::from_str(line).unwrap() };
    let entries: Vec<Value> = shown.stdout.lines().map(entry).collect();
    let line = |entry: &Value| entry["Line"].as_str().unwrap().to_owned();
    entries.iter().rev().map(line).collect()
}

fn of_dockerfile(lines: &[u32]) -> Vec<String> {
    let lines = lines.iter();
    lines.map(|line| format!("Dockerfile:{line}")).collect()
}

fn each_instruction_has_its_line(space: &Space) {
    space.write("file", "x");
    space.build(TEXT).ok();
    assert_eq!(lines(space, "app"), of_dockerfile(&[2, 5, 7, 10]));
    let shown = space.kiln(["history", "app"]).ok().stdout;
    assert!(shown.contains("Dockerfile:7"), "{shown}");
    let pulled = space.own().join("app.tar");
    let save = space.kiln(["save", "-o"]).arg(&pulled);
    save.arg("app").ok();
    // an image of the same ID, whoever made it
    space.kiln(["load", "-i"]).arg(&pulled).ok();
    assert_eq!(lines(space, "app"), of_dockerfile(&[2, 5, 7, 10]));
}

fn lines_that_move_are_known_without_a_build(space: &Space) {
    space.write("file", "x");
    space.build(TEXT).ok();
    let id = space.id("app");
    space.build(&TEXT.replace("ENV", "\n\nENV")).ok();
    assert_eq!(space.id("app"), id);
    assert_eq!(lines(space, "app"), of_dockerfile(&[2, 7, 9, 12]));
    let named = space.context().join("Other");
    std::fs::rename(space.context().join("Dockerfile"), &named).unwrap();
    let build = space.kiln(["build", "-t", "app", "-f"]).arg(&named);
    build.arg(space.context()).ok();
    assert_eq!(
        (lines(space, "app")[3].as_str(), space.id("app")),
        ("Other:12", id)
    );
}

fn a_base_that_was_built_here_keeps_its_lines(space: &Space) {
    space.write("file", "x");
    space.build(TEXT).args(["-t", "base"]).ok();
    space.write("app/Dockerfile", "\nFROM base\nLABEL d=e\n");
    let build = space.kiln(["build", "-t", "app", "-f"]);
    let build = build.arg(space.context().join("app/Dockerfile"));
    build.arg(space.context()).ok();
    let mut wanted = of_dockerfile(&[2, 5, 7, 10]);
    wanted.push("app/Dockerfile:3".to_owned());
    assert_eq!(lines(space, "app"), wanted);
    // it does not need its base for that
    space.kiln(["rmi", "base"]).ok();
    space.kiln(["prune", "-f"]).ok();
    assert_eq!(lines(space, "app"), wanted);
}

fn a_label_carries_them_to_other_stores(space: &Space) {
    space.write("file", "x");
    space.build(TEXT).ok();
    let plain = space.id("app");
    let labels = "{{json .Config.Labels}}";
    let shown = space.kiln(["inspect", "-f", labels, "app"]).ok().stdout;
    assert_eq!(shown, "{\"b\":\"c\"}\n");
    let without = ["--origin-label", "--unsetlabel=kiln.origin"];
    space.build(TEXT).args(without).ok();
    assert_eq!(space.id("app"), plain);
    for _ in 0..2 {
        space.build(TEXT).arg("--origin-label").ok();
    }
    let shown = space.kiln(["inspect", "-f", labels, "app"]).ok().stdout;
    assert!(
        shown.contains("kiln.origin") && !shown.contains("sha256"),
        "{shown}"
    );
    assert_ne!(space.id("app"), plain);
    let archive = space.own().join("app.tar");
    space.kiln(["save", "-o"]).arg(&archive).arg("app").ok();
    space.remove_store();
    space.kiln(["load", "-i"]).arg(&archive).ok();
    assert_eq!(lines(space, "app"), of_dockerfile(&[2, 5, 7, 10]));
    // and on to what is built on it
    space
        .build("FROM app\nLABEL d=e\n")
        .args(["-t", "child"])
        .ok();
    assert_eq!(lines(space, "child"), of_dockerfile(&[2, 5, 7, 10, 2]));
}

fn squashed_and_other_images(space: &Space) {
    space.write("file", "x");
    space.build(TEXT).arg("--squash").ok();
    let mut wanted = of_dockerfile(&[2, 5, 7, 10]);
    wanted.push(String::new());
    assert_eq!(lines(space, "app"), wanted);
    space.build(TEXT).arg("--omit-history").ok();
    assert_eq!(lines(space, "app"), ["", ""]);
    let imported = space.own().join("root.tar");
    space.kiln(["export", "-o"]).arg(&imported).arg("app").ok();
    space.kiln(["import"]).arg(&imported).arg("foreign").ok();
    assert_eq!(lines(space, "foreign"), [""]);
    space.build("FROM foreign\nLABEL d=e\n").ok();
    assert_eq!(lines(space, "app"), ["", "Dockerfile:2"]);
    space
        .build("FROM foreign\n")
        .args(["--build-arg", "x=y"])
        .ok();
    assert_eq!(lines(space, "app"), [""]);
}

fn stages_that_are_saved_have_lines(space: &Space) {
    space.write("file", "x");
    let built = space
        .build(TEXT)
        .arg("--save-stages")
        .env("KILN_PROGRESS", "json")
        .ok();
    let kept = built
        .stderr
        .lines()
        .find(|line| line.contains("stage_kept"));
    let kept: Value = serde_json::from_str(kept.unwrap()).unwrap();
    let id = kept["id"].as_str().unwrap();
    assert_eq!(lines(space, id), of_dockerfile(&[2]));
}

fn several_platforms(space: &Space) {
    space.write("file", "x");
    for _ in 0..2 {
        space
            .build(TEXT)
            .args(["--platform", "linux/amd64,linux/arm64"])
            .ok();
        for platform in ["linux/amd64", "linux/arm64"] {
            let arguments = ["history", "--platform", platform, "app"];
            let shown = space.kiln(arguments).ok().stdout;
            assert!(shown.contains("Dockerfile:10"), "{shown}");
        }
    }
}
