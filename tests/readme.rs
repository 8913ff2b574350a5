//! Everything that README.md shows is run: its ```sh blocks, in order, in one folder, with one store.
//!
//! Blocks that begin with `cargo` build or test kiln itself; they are looked at and not run, since they would run this test.

use std::fs;

use crate::support::golden::repository;
use crate::support::{Space, plain_cases};

plain_cases! {
    what_is_shown_works,
}

fn blocks() -> Vec<String> {
    let text = fs::read_to_string(repository().join("README.md")).unwrap();
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "```sh" {
            let inside: Vec<&str> = lines
                .by_ref()
                .take_while(|line| line.trim() != "```")
                .collect();
            blocks.push(inside.join("\n"));
        }
    }
    blocks
}

#[test]
fn the_first_commands_build_kiln_and_run_all_tests() {
    let blocks = blocks();
    let cargo: Vec<&str> = blocks
        .iter()
        .map(String::as_str)
        .filter(|block| block.starts_with("cargo "))
        .collect();
    assert!(
        cargo
            .iter()
            .any(|command| command.starts_with("cargo test") && command.contains("--workspace")),
        "{cargo:?}"
    );
    let build = cargo
        .iter()
        .find(|command| command.contains("fixtures/quickstart"));
    let build = build.expect("the README builds fixtures/quickstart");
    assert!(
        build.contains(" -- build ") && build.contains("-t app:v1"),
        "{build}"
    );
    assert!(
        build.contains("--release") && !build.contains("sudo"),
        "{build}"
    );
    for command in cargo {
        assert_eq!(
            command.replace("\\\n", "").lines().count(),
            1,
            "one command: {command}"
        );
    }
    let text = fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(
        text.contains("<!-- tests -->"),
        "the marker of the test command is gone"
    );
}

fn what_is_shown_works(space: &Space) {
    space.copy_of(&repository().join("fixtures"), "own/fixtures");
    for block in blocks().iter().filter(|block| !block.starts_with("cargo ")) {
        let ran = space.shell(block).run();
        assert!(
            ran.status.success(),
            "this block of the README fails:\n{block}\n{ran}"
        );
    }
    space.is_clean();
}
