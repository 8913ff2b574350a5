//! Pages of `docs/` that are made from tables of the code: stale ones fail. `UPDATE_GOLDEN=1` writes them anew.

use std::fs;

use crate::support::golden::repository;

const INSTRUCTIONS: &str = "\
# Instructions

All that kiln knows of the Dockerfile language: instructions, their flags, mounts. Made from the parser's own tables
(`parser/src/instruction.rs`); `UPDATE_GOLDEN=1 cargo test documents` writes it anew.

";

const CHECKS: &str = "\
# Checks

`kiln build --check` says what is wrong with a Dockerfile, and what is allowed but rarely meant, and builds nothing. It ends with
status 1 if it finds anything; with `--check=ignorestatus=true` only if the Dockerfile has an error. Every build tells the same findings; `--check=format=json` tells them to machines, in
the shape that `docker buildx build --check` has.

```dockerfile
# check=skip=JSONArgsRecommended,UndefinedVar;error=true
```

at the top of the file leaves rules out (`skip=all`: all), makes errors of what is left (`error=true`; a build then stops before
it runs anything) or asks for more (`experimental=all`). `skip` and `experimental` in a comment directly above an instruction count
for what is asked of that instruction; `--build-arg BUILDKIT_DOCKERFILE_CHECK=…` replaces what the top of the file says. A Dockerfile
that has an error, and a build that fails, are told what was found before. Nothing is downloaded for a check: variables of a base
image that is not in the store are not missed.

Made from the parser's own table (`parser/src/lint.rs`); `UPDATE_GOLDEN=1 cargo test documents` writes it anew.

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
