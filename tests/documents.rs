//! Pages of `docs/`: those that are made from tables of the code are as the tables say (`UPDATE_GOLDEN=1` writes them again), links lead
//! somewhere, and commands and flags that pages name exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use crate::support::golden::repository;
use crate::support::{Space, plain_cases};

plain_cases! {
    commands_and_flags_that_pages_name_exist,
}

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

/// The pages that people read, with their texts.
fn pages() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(repository().join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let top = ["README.md", "SECURITY.md", "CONTRIBUTING.md"].map(|name| repository().join(name));
    let pages = docs
        .chain(top)
        .filter(|path| path.extension().is_some_and(|kind| kind == "md"));
    pages
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn links_lead_somewhere() {
    for (page, text) in pages() {
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            if file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{}: {link} leads nowhere", page.display());
            if !part.is_empty() {
                let text = fs::read_to_string(&target).unwrap();
                let anchor = |line: &str| {
                    line.trim_start_matches('#')
                        .trim()
                        .to_lowercase()
                        .replace(' ', "-")
                };
                let has = text
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .any(|line| anchor(line) == part);
                assert!(has, "{}: {link} has no such part", page.display());
            }
        }
    }
}

/// Command lines of kiln in a page: in `code`, and behind a `$` in examples.
fn command_lines(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let mut lines: Vec<String> = Vec::new();
    let mut is_example = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_example = !is_example;
        } else if is_example {
            lines.extend(line.trim().strip_prefix("$ ").map(str::to_owned));
        } else {
            lines.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    lines.retain(|line| line.starts_with("kiln "));
    lines
}

fn commands_and_flags_that_pages_name_exist(space: &Space) {
    let mut named: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for (page, text) in pages() {
        for line in command_lines(&text) {
            let own = line.split(['|', '>', ';', '&']).next().unwrap();
            let own = own.split(" -- ").next().unwrap();
            let words: Vec<&str> = own.split_whitespace().skip(1).collect();
            let is_verb = |word: &&&str| {
                let letters = |c: char| c.is_ascii_lowercase() || c == '-';
                !word.starts_with('-') && word.chars().all(letters)
            };
            let groups = [
                "image",
                "builder",
                "cache",
                "system",
                "debug",
                "help",
                "buildx",
                "docker-plugin",
            ];
            let depth = if words.first().is_some_and(|word| groups.contains(word)) {
                2
            } else {
                1
            };
            let verb: Vec<&str> = words
                .iter()
                .take(depth)
                .take_while(is_verb)
                .copied()
                .collect();
            let flags = words.iter().filter(|word| word.starts_with("--"));
            let flags = flags.map(|flag| flag.split(['=', '[']).next().unwrap().to_owned());
            let of_verb = named.entry(verb.join(" ")).or_default();
            of_verb.extend(
                flags
                    .chain([String::new()])
                    .map(|flag| (flag, page.display().to_string())),
            );
        }
    }
    assert!(named.len() > 15, "{named:?}");
    for (verb, flags) in named {
        let words = verb.split_whitespace().chain(["--help"]);
        let help = space.kiln(words).run();
        for (flag, page) in flags {
            assert!(help.status.success(), "{page}: kiln {verb}\n{help}");
            assert!(
                flag.is_empty() || help.stdout.contains(&flag),
                "{page}: kiln {verb} {flag}"
            );
        }
    }
}
