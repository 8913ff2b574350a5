//! `--save-stages` and its labels: the stages before the last one stay as images without a name, as in buildah.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Space, cases, plain_cases};

plain_cases! {
    stages_stay_as_images,
    labels_tell_the_stage,
    layer_labels_are_for_stages_only,
    a_stage_of_each_platform_stays,
}

cases! {
    what_ran_in_a_stage_is_kept,
}

const TEXT: &str = "FROM scratch AS first
COPY word /first
FROM first AS alias
FROM alias AS second
COPY word /second
FROM scratch AS unused
COPY word /unused
FROM scratch
LABEL last=yes
COPY --from=second /second /
";

/// What progress says was kept: stages and IDs.
fn kept(space: &Space, text: &str, flags: &[&str]) -> BTreeMap<String, String> {
    let events = space.build_json(text).args(flags).ok().events();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let kept = events.of("stage_kept");
    kept.map(|event| (text(&event["stage"]), text(&event["id"])))
        .collect()
}

fn labels(space: &Space, image: &str) -> Value {
    space.image(image).setting("Labels").clone()
}

fn stages_stay_as_images(space: &Space) {
    space.write("word", "word");
    assert!(kept(space, TEXT, &[]).is_empty());
    let id = space.id("app");
    // Also where the whole build is remembered. A stage that adds nothing is its base, one that is not needed is not there.
    let stages = kept(space, TEXT, &["--save-stages"]);
    assert_eq!(stages.keys().collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!(space.id("app"), id);
    let first = space.image(&stages["first"]);
    assert_eq!(first.files.into_keys().collect::<Vec<_>>(), ["first"]);
    let second = space.image(&stages["second"]);
    assert_eq!(
        second.files.into_keys().collect::<Vec<_>>(),
        ["first", "second"]
    );
    let dangling = space
        .kiln(["images", "-q", "--no-trunc", "--filter", "dangling=true"])
        .ok()
        .stdout;
    assert!(
        stages.values().all(|id| dangling.contains(id)),
        "{dangling}"
    );
    // Plain progress tells them too.
    let built = space.build(TEXT).arg("--save-stages").ok();
    built.says(&[&format!("kept stage first as {}", stages["first"])]);
    space
        .build(TEXT)
        .arg("--save-stages=false")
        .ok()
        .never_says(&["kept stage"]);
    // They go like other images without a name.
    space.kiln(["image", "prune", "-f"]).ok();
    let gone = space.kiln(["images", "-q", "-a"]).ok().stdout;
    assert_eq!(gone.lines().count(), 1, "{gone}");
    assert_eq!(space.id("app"), id);
    space.is_clean();
}

fn labels_tell_the_stage(space: &Space) {
    space.write("word", "word");
    let stages = kept(space, TEXT, &["--save-stages", "--stage-labels"]);
    let (first, second) = (&stages["first"], &stages["second"]);
    let expected = json!({"io.buildah.stage.name": "first", "io.buildah.stage.base": "scratch"});
    assert_eq!(labels(space, first), expected);
    // A stage that adds nothing is passed through.
    let expected = json!({"io.buildah.stage.name": "second", "io.buildah.stage.base": first});
    assert_eq!(labels(space, second), expected);
    let of_target = labels(space, "app");
    let expected =
        json!({"last": "yes", "io.buildah.stage.name": "4", "io.buildah.stage.base": "scratch"});
    assert_eq!(of_target, expected);
    // The next build without them has none of them.
    space.build(TEXT).ok();
    assert_eq!(labels(space, "app"), json!({"last": "yes"}));
    let on_image = "FROM app AS one\nLABEL one=1\nFROM one\nLABEL two=2\n";
    space
        .build("FROM scratch\nLABEL base=1\n")
        .args(["-t", "base"])
        .ok();
    let on_image = on_image.replace("FROM app", "FROM base");
    let stages = kept(space, &on_image, &["--save-stages", "--stage-labels"]);
    assert_eq!(
        labels(space, &stages["one"])["io.buildah.stage.base"],
        "base"
    );
    assert_eq!(
        labels(space, "app")["io.buildah.stage.base"],
        stages["one"].as_str()
    );
    let left = [
        "--save-stages",
        "--stage-labels",
        "--unsetlabel=io.buildah.stage.base",
    ];
    space.build(TEXT).args(left).ok();
    assert!(labels(space, "app").get("io.buildah.stage.base").is_none());
    let alone = space.build(TEXT).arg("--stage-labels").exits(2);
    alone.says(&["--stage-labels needs --save-stages"]);
}

fn layer_labels_are_for_stages_only(space: &Space) {
    space.write("word", "word");
    let given = ["--layer-label", "a=1", "--layer-label=b", "--save-stages"];
    let stages = kept(space, TEXT, &given);
    assert_eq!(labels(space, &stages["first"]), json!({"a": "1", "b": ""}));
    assert_eq!(labels(space, "app"), json!({"last": "yes"}));
    let alone = space.build(TEXT).args(["--layer-label", "a=1"]).ok();
    alone.says(&["warning", "--layer-label has no effect", "--save-stages"]);
    space
        .build(TEXT)
        .arg("--layer-label==1")
        .exits(2)
        .says(&["--layer-label"]);
}

fn a_stage_of_each_platform_stays(space: &Space) {
    let text =
        "FROM scratch AS one\nARG TARGETARCH\nLABEL for=$TARGETARCH\nFROM one\nLABEL last=yes\n";
    let platforms = [
        "--platform",
        "linux/amd64,linux/arm64",
        "--save-stages",
        "--stage-labels",
    ];
    let stages = kept(space, text, &platforms);
    assert_eq!(
        stages.keys().collect::<Vec<_>>(),
        ["linux/amd64 one", "linux/arm64 one"]
    );
    let arm = space.image(&stages["linux/arm64 one"]);
    assert_eq!(arm.config["architecture"], "arm64");
    assert_eq!(arm.setting("Labels")["for"], "arm64");
}

fn what_ran_in_a_stage_is_kept(space: &Space) {
    let text =
        "FROM tools AS build\nRUN echo made > /made\nFROM scratch\nCOPY --from=build /made /\n";
    let stages = kept(space, text, &["--save-stages"]);
    assert_eq!(space.image(&stages["build"]).text("made"), "made\n");
    let again = space.build_json(text).arg("--save-stages").ok().events();
    assert_eq!(again.ran(), [""; 0]);
    // What is kept can be gone on with.
    let on = format!("FROM {}\nRUN cat /made\n", stages["build"]);
    assert_eq!(space.build(&on).ok().output(), ["made"]);
}
