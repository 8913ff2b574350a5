//! What users read, word for word, compared with `fixtures/golden/`; the same in every mode.

use crate::support::process::output_of;
use crate::support::{Finished, Space, golden, plain_cases};

plain_cases! {
    the_quickstart_in_plain_progress,
    a_cached_build,
    a_syntax_error_with_a_caret,
    a_failing_run,
    a_missing_base_image,
    a_missing_source,
    a_changed_input_is_named,
}

/// The space's folders have another name each time.
fn shown(space: &Space, finished: &Finished) -> String {
    finished
        .stderr
        .replace(space.context().to_str().unwrap(), "CONTEXT")
}

/// Both stages start at once: the lines of the second one after those of the first. How many programs and libraries the host
/// has, and what ls says of files, is the host's.
fn by_stage(built: &Finished) -> String {
    let lines = built.stderr.lines();
    let lines =
        lines.filter(|line| output_of(line).is_none() && !line.starts_with("programs of tools: "));
    let mut lines: Vec<&str> = lines.collect();
    let place = |line: &&str| match (line.starts_with('['), line.starts_with("[render")) {
        (false, _) => u8::from(line.starts_with("built") || line.starts_with(' ')) * 3,
        (true, true) => 1,
        (true, false) => 2,
    };
    lines.sort_by_key(place);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn the_quickstart_in_plain_progress(space: &Space) {
    let context = space.copy_of(&golden::fixture("quickstart"), "quickstart");
    let tools = "tools=host-tools:sh,cat,ls,wc";
    let built = space
        .kiln([
            "build",
            "-t",
            "app:v1",
            "--jobs",
            "1",
            "--build-context",
            tools,
        ])
        .arg(&context)
        .ok();
    golden::matches("quickstart.txt", &by_stage(&built));
    let image = space.image("app:v1");
    let site = image.text("srv/site.txt");
    assert!(
        site.starts_with("Three poems\n") && site.contains("== 1-loading"),
        "{site}"
    );
    assert_eq!(
        image.text("srv/site.lines").trim(),
        site.lines().count().to_string()
    );
    assert!(!image.has("src"), "the first stage is in the image");
}

fn a_cached_build(space: &Space) {
    space.write("word", "x");
    let text = "FROM scratch\nCOPY word /one\nCOPY word /two\n";
    space.build(text).ok();
    crate::support::processes::eventually("the context is read again and again", || {
        !space.build(text).ok().stderr.contains("digested")
    });
    golden::matches("cached.txt", &shown(space, &space.build(text).ok()));
}

fn a_syntax_error_with_a_caret(space: &Space) {
    let failed = space
        .build("FROM scratch\nENV A=1\nCOPPY word /\nEXPOSE many\n")
        .exits(1);
    golden::matches("syntax-error.txt", &shown(space, &failed));
}

fn a_failing_run(space: &Space) {
    let failed = space.build("FROM scratch AS build\nCOPY --from=tools / /\nRUN echo to stdout; \\\n    echo to stderr >&2; \\\n    exit 3\n").exits(1);
    let text = shown(space, &failed);
    let text = text
        .lines()
        .filter(|line| !line.starts_with("programs of tools: "))
        .map(|line| format!("{line}\n"));
    golden::matches("failing-run.txt", &text.collect::<String>());
}

fn a_missing_base_image(space: &Space) {
    let text = "FROM debian:bookworm\nRUN true\n";
    let failed = space.build(text).args(["--offline"]).exits(1);
    golden::matches("missing-image.txt", &shown(space, &failed));
}

fn a_missing_source(space: &Space) {
    space.write("words.txt", "x");
    let failed = space.build("FROM scratch\nCOPY word.txt /\n").exits(1);
    golden::matches("missing-source.txt", &shown(space, &failed));
}

fn a_changed_input_is_named(space: &Space) {
    space.write("word", "x");
    let text = "FROM scratch\nCOPY word /one\n";
    space.build(text).ok();
    space.write("word", "y");
    golden::matches("changed-input.txt", &shown(space, &space.build(text).ok()));
}
