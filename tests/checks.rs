//! `kiln build --check`, `--call=outline`, `--call=targets`: what is told of a Dockerfile without building it, as text and in
//! BuildKit's JSON; and what `# check=` does to a build.

use serde_json::Value;

use crate::support::{Finished, Kiln, Space, golden, plain_cases};

plain_cases! {
    all_rules_as_text,
    all_rules_as_json,
    the_exit_code_says_whether_anything_was_found,
    images_of_the_store_are_looked_at,
    outlines,
    targets,
    a_build_tells_what_the_rules_find,
    warnings_that_are_errors_stop_a_build_before_it_runs,
    calls_that_mean_nothing,
}

/// A question about the Dockerfile `file` of `fixtures/checks`.
fn ask(space: &Space, file: &str, arguments: &[&str]) -> Kiln {
    let folder = space.path("checks");
    if !folder.exists() {
        space.copy_of(&golden::fixture("checks"), "checks");
    }
    let kiln = space.kiln(["build"]).args(arguments);
    kiln.arg("-f").arg(folder.join(file)).arg(folder)
}

/// What was said, without the space's own folders.
fn shown(space: &Space, finished: &Finished) -> String {
    let folder = space.path("checks");
    finished.stdout.replace(folder.to_str().unwrap(), "CHECKS")
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap()
}

const BASE: &str = "--build-arg=BASE=scratch";

fn all_rules_as_text(space: &Space) {
    let found = ask(space, "Dockerfile", &["--check", BASE]).exits(1);
    golden::matches("checks.txt", &shown(space, &found));
    assert!(!space.store().exists(), "a check made a store");
}

fn all_rules_as_json(space: &Space) {
    let found = ask(space, "Dockerfile", &["--check=format=json", BASE]).exits(1);
    golden::matches("checks.json", &shown(space, &found));
    let found = json(&found);
    let mut names: Vec<&str> = found["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["ruleName"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    names.dedup();
    // The 22nd needs an image of another platform.
    assert_eq!(names.len(), 21, "{names:?}");
}

fn the_exit_code_says_whether_anything_was_found(space: &Space) {
    let check = |text: &str, arguments: &[&str]| space.build(text).args(arguments);
    check("FROM scratch\nCMD [\"x\"]\n", &["--check"]).ok();
    let warned = check("FROM scratch\nCMD x\n", &["--check"]).exits(1);
    assert!(
        warned
            .stdout
            .ends_with("Check complete, 1 warning has been found!\n"),
        "{warned}"
    );
    assert_eq!(warned.stderr, "");
    check("FROM scratch\nCMD x\n", &["--check=ignorestatus=true"]).ok();
    let failed = check("FROM scratch\nCOPPY a b\nCMD x\n", &["--check"]).exits(1);
    assert!(failed.stdout.contains("did you mean COPY?"), "{failed}");
    assert!(
        failed.stdout.ends_with("1 error and 0 warnings found.\n"),
        "{failed}"
    );
    let strict = "# check=error=true\nFROM scratch\nCMD x\n";
    check(strict, &["--check"])
        .exits(1)
        .says(&["lint violation found for rules: JSONArgsRecommended"]);
    let found = check(strict, &["--call=check,format=json"]).exits(1);
    let message = &json(&found)["buildError"]["message"];
    assert_eq!(
        *message,
        "lint violation found for rules: JSONArgsRecommended"
    );
    assert_eq!(found.stderr, "");
    let lenient = "--build-arg=BUILDKIT_DOCKERFILE_CHECK=skip=JSONArgsRecommended";
    let found = check(strict, &["--check", lenient]).ok();
    assert_eq!(found.stdout, "Check complete, no warnings found.\n");
    check("# check=skp=all\nFROM scratch\n", &["--check"]).exits(1);
}

fn images_of_the_store_are_looked_at(space: &Space) {
    let child = "FROM base\nLABEL a=$FROM_BASE b=$UNKNOWN\n";
    let before = space.build(child).arg("--check=ignorestatus=true").ok();
    assert!(before.stdout.starts_with("not in the store"), "{before}");
    space.write("file", "x");
    let base = "FROM scratch\nCOPY file /\nENV FROM_BASE=1\nONBUILD LABEL c=$OTHER\n";
    space
        .build(base)
        .args(["-t", "base", "--platform", "linux/sparc64"])
        .ok();
    let found = space.build(child).arg("--check").exits(1);
    let codes = ["[InvalidBaseImagePlatform]", "$UNKNOWN'", "$OTHER'"];
    assert!(
        codes.iter().all(|code| found.stdout.contains(code)),
        "{found}"
    );
    assert!(!found.stdout.contains("$FROM_BASE'"), "{found}");
    assert!(
        found.stdout.ends_with("3 warnings have been found!\n"),
        "{found}"
    );
}

fn outlines(space: &Space) {
    let ask = |arguments: &[&str]| ask(space, "outline.Dockerfile", arguments).ok();
    golden::matches("outline.txt", &shown(space, &ask(&["--call=outline"])));
    let found = ask(&["--call=outline", "--target=docs", "--build-arg=LANGUAGE=de"]);
    golden::matches("outline-target.txt", &shown(space, &found));
    let found = ask(&["--call=outline,format=json", "--target=build"]);
    golden::matches("outline.json", &shown(space, &found));
}

fn targets(space: &Space) {
    let ask = |call| ask(space, "outline.Dockerfile", &[call]).ok();
    golden::matches("targets.txt", &shown(space, &ask("--call=targets")));
    golden::matches(
        "targets.json",
        &shown(space, &ask("--call=targets,format=json")),
    );
}

fn a_build_tells_what_the_rules_find(space: &Space) {
    space.write(".dockerignore", "word\n");
    space.write("other", "x");
    let text =
        "FROM scratch AS unused\nENV a b\nFROM scratch\nCOPY other word* /\nCOPY other /$WHERE\n";
    let built = space.build(text).ok();
    built.says(&["warning[UndefinedVar]: Usage of undefined variable '$WHERE'"]);
    let events = space.build_json(text).ok().events();
    let found = events.all.iter().find(|event| event["event"] == "finding");
    let found = found.unwrap();
    assert_eq!(found["rule"], "UndefinedVar");
    assert_eq!(found["line"], 5);
    // Rules about single instructions are for what is built.
    built.never_says(&["LegacyKeyValueFormat"]);
    let failed = space.build("FROM scratch\nCOPY word /\n").exits(1);
    failed.says(&["word"]);
    space
        .build(&format!("# check=skip=UndefinedVar\n{text}"))
        .ok()
        .never_says(&["UndefinedVar"]);
    space
        .build("FROM scratch\n# check=skip=LegacyKeyValueFormat\nENV a b\nENV c d\n")
        .ok()
        .says(&["Dockerfile:4:5"])
        .never_says(&["Dockerfile:3:"]);
}

fn warnings_that_are_errors_stop_a_build_before_it_runs(space: &Space) {
    let text = "# check=error=true\nFROM tools\nRUN echo it ran\nCMD x\n";
    let failed = space.build(text).exits(1);
    failed.says(&["lint violation found for rules: JSONArgsRecommended"]);
    failed.never_says(&["it ran"]);
    let lenient = "BUILDKIT_DOCKERFILE_CHECK=error=false";
    space.build(text).args(["--build-arg", lenient]).ok();
}

fn calls_that_mean_nothing(space: &Space) {
    space.write("Dockerfile", "FROM scratch\n");
    let ask = |argument: &str| space.kiln(["build", argument]).arg(space.context());
    ask("--call=frobnicate")
        .exits(2)
        .says(&["frobnicate", "check, outline, targets"]);
    ask("--check=format=xml").exits(2).says(&["format=json"]);
    ask("--call=build").ok();
    let both = space
        .kiln(["build", "--check", "--call=check"])
        .arg(space.context());
    both.exits(2);
    let wrong = ask("--call=targets").args(["--target", "nowhere"]);
    wrong.ok();
    let wrong = ask("--call=outline").args(["--target", "nowhere"]);
    wrong
        .exits(1)
        .says(&["target stage \"nowhere\" could not be found"]);
}
