//! `config.json`: defaults of flags. A flag goes before the environment, and that before the file; what is wrong is told with its line.

use serde_json::Value;

use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    flags_go_before_the_environment_and_that_before_the_file,
    what_counts_is_shown_with_its_origin,
    a_broken_file_is_told_with_its_line,
    the_file_of_a_build_counts,
}

fn written(space: &Space, text: &str) -> String {
    let path = space.own().join(".config/kiln/config.json");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn shown(kiln: Kiln) -> Value {
    serde_json::from_str(&kiln.args(["--format", "json"]).ok().stdout).unwrap()
}

fn flags_go_before_the_environment_and_that_before_the_file(space: &Space) {
    space.write("file", "text");
    written(space, r#"{"progress": "json"}"#);
    let build = || space.build("FROM scratch\nCOPY file /\n");
    let is_json = |kiln: Kiln| kiln.ok().stderr.starts_with('{');
    assert!(is_json(build()));
    assert!(is_json(
        space
            .kiln(["image", "build", "--no-cache"])
            .arg(space.context())
    ));
    assert!(!is_json(build().env("KILN_PROGRESS", "plain")));
    assert!(!is_json(build().env("BUILDKIT_PROGRESS", "plain")));
    assert!(!is_json(build().args(["--progress", "plain"])));
    assert!(!is_json(build().env("KILN_CONFIG", "")));
}

fn what_counts_is_shown_with_its_origin(space: &Space) {
    let path = written(
        space,
        "{\n  \"platform\": \"linux/arm64\",\n  \"offline\": true\n}\n",
    );
    let config = shown(space.kiln(["config"]).env("KILN_NETWORK", "none"));
    assert_eq!(config["platform"]["value"], "linux/arm64");
    assert_eq!(config["platform"]["from"], format!("{path}:2"));
    assert_eq!(config["offline"]["value"], "true");
    assert_eq!(config["network"]["from"], "KILN_NETWORK");
    assert_eq!(config["store"]["from"], "KILN_STORE");
    assert_eq!(config["progress"]["value"], "auto");
    assert_eq!(config["progress"]["from"], "default");
    let other = shown(
        space
            .kiln(["config"])
            .env("DOCKER_DEFAULT_PLATFORM", "linux/s390x"),
    );
    assert_eq!(other["platform"]["from"], "DOCKER_DEFAULT_PLATFORM");
    let table = space.kiln(["config"]).ok().stdout;
    assert!(
        table.starts_with("SETTING") && table.contains(&format!("{path}:3")),
        "{table}"
    );
}

fn a_broken_file_is_told_with_its_line(space: &Space) {
    let path = written(space, "{\n  \"progres\": \"plain\"\n}\n");
    let failed = space.kiln(["images"]).exits(2);
    failed.says(&[&format!(
        "{path}: line 2: there is no setting \"progres\": did you mean progress?"
    )]);
    written(space, "{\n  \"progress\": \"plain\",\n}\n");
    space
        .kiln(["images"])
        .exits(2)
        .says(&["line 3: it is no JSON object"]);
    let missing = space.own().join("missing.json");
    space
        .kiln(["images"])
        .env("KILN_CONFIG", &missing)
        .exits(2)
        .says(&["missing.json"]);
    space.kiln(["images"]).env("KILN_CONFIG", "").ok();
}

fn the_file_of_a_build_counts(space: &Space) {
    written(space, r#"{"platform": "linux/s390x"}"#);
    space.write("Dockerfile", "FROM scratch\nLABEL a=b\n");
    let build = |more: &[&str]| {
        let built = space.kiln(["build", "-q", "-t", "app"]).args(more);
        built.arg(space.context()).ok();
        let image = space.kiln(["inspect", "app"]).ok().stdout;
        let image: Value = serde_json::from_str(&image).unwrap();
        image[0]["Architecture"].as_str().unwrap().to_owned()
    };
    assert_eq!(build(&[]), "s390x");
    assert_eq!(build(&["--platform", "linux/arm64"]), "arm64");
    assert_eq!(build(&["--arch", "riscv64"]), "riscv64");
}
