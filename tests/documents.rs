//! Pages of `docs/` that are made from tables of the code: a stale page fails. `UPDATE_GOLDEN=1` writes them again.

use std::fs;

use crate::support::golden::repository;

const INSTRUCTIONS: &str = "\
# Instructions

The Dockerfile language as kiln reads it: instructions, their flags, mounts. This page is made from the parser's tables
(`parser/src/instruction.rs`); `UPDATE_GOLDEN=1 cargo test documents` writes it again.

";

const CHECKS: &str = "\
# Checks

`kiln build --check` reports what is wrong with a Dockerfile and what is allowed but rarely meant. It builds nothing. It exits with
status 1 if it finds anything; with `--check=ignorestatus=true` only if the Dockerfile has an error. Every build reports the same
findings. `--check=format=json` prints them for machines, in the format of `docker buildx build --check`.

```dockerfile
# check=skip=JSONArgsRecommended,UndefinedVar;error=true
```

This comment at the top of the file skips rules (`skip=all` skips all of them), turns the remaining warnings into errors (`error=true`; a
build then stops before it runs anything) or enables more rules (`experimental=all`). `skip` and `experimental` in a comment directly
above an instruction apply to that instruction. `--build-arg BUILDKIT_DOCKERFILE_CHECK=…` replaces the comment at the top of the file. If
a Dockerfile has an error, or a build fails, the warnings found before that are reported too. A check downloads nothing: if a base image
is not in the store, kiln does not warn about variables that the image may set.

This page is made from the parser's table (`parser/src/lint.rs`); `UPDATE_GOLDEN=1 cargo test documents` writes it again.

";

#[track_caller]
fn is_current(page: &str, head: &str, body: &str) {
    let path = repository().join("docs").join(page);
    let text = format!("{head}{}\n", body.trim_end());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/{page} is stale: run the tests with UPDATE_GOLDEN=1"
    );
}

#[test]
fn instructions() {
    is_current(
        "instructions.md",
        INSTRUCTIONS,
        &kiln_parser::instruction::reference(),
    );
}

#[test]
fn checks() {
    is_current("checks.md", CHECKS, &kiln_parser::lint::reference());
}
