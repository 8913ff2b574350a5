//! Everything that README.md shows is run: its ```sh blocks, in order, in one folder, with one store.
//!
//! Blocks that begin with `cargo` build or test kiln itself; they are looked at and not run, since they would run this test.

use std::fs;

use crate::support::golden::repository;
use crate::support::{Space, cases};

cases! {
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
