//! Rules about the source that a newcomer can check by grep, and that this file checks for everybody. Who may use whom and how
//! long things may be is in the files below it.

mod dependencies;
mod floors;
mod sizes;

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::golden::repository;

/// The crates' folders.
const FOLDERS: [&str; 6] = ["parser", "oci", "cache", "sandbox", "builder", "tests"];
/// Lines of production code in a file.
const LONGEST: usize = 500;

/// Text that may stand only in certain places; why.
struct Rule {
    text: &'static str,
    allowed: &'static [&'static str],
    why: &'static str,
}

const RULES: [Rule; 9] = [
    Rule {
        text: "unsafe {",
        allowed: &["sandbox/src/"],
        why: "unsafe code is in the sandbox only",
    },
    Rule {
        text: "unsafe fn",
        allowed: &["sandbox/src/"],
        why: "unsafe code is in the sandbox only",
    },
    Rule {
        text: "println!(",
        allowed: &["builder/cli/src/"],
        why: "libraries never print",
    },
    Rule {
        text: "eprintln!(",
        allowed: &["builder/cli/src/"],
        why: "libraries never print",
    },
    Rule {
        text: "env::var",
        allowed: &["builder/cli/src/environment.rs"],
        why: "one file reads the environment",
    },
    Rule {
        text: "env::args",
        allowed: &["sandbox/src/", "builder/cli/src/main.rs"],
        why: "only the re-executed side and the command line read arguments by themselves",
    },
    Rule {
        text: "env::current_dir",
        allowed: &["builder/cli/src/environment.rs"],
        why: "one file reads the environment",
    },
    Rule {
        text: "Command::new(",
        allowed: &[
            "sandbox/src/",
            "builder/engine/src/source/host_tools.rs",
            "builder/engine/src/source/git/command.rs",
            "oci/src/registry/credentials/helper.rs",
            "builder/cli/src/command/docker_plugin.rs",
            "builder/cli/src/flag/cpp_flag.rs",
            "builder/cli/src/source/program.rs",
        ],
        why: "programs are started in few places",
    },
    Rule {
        text: "process::exit(",
        allowed: &["sandbox/src/", "builder/cli/src/"],
        why: "libraries never end the process",
    },
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// All files with their path in the repository and their text.
fn files() -> Vec<(String, String)> {
    let all = FOLDERS
        .iter()
        .flat_map(|folder| sources(&repository().join(folder)));
    let named = |path: PathBuf| {
        let name = path
            .strip_prefix(repository())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    all.map(named).collect()
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/")
        || name.contains("/tests/")
        || name.ends_with("/tests.rs")
        || name.ends_with("/testing.rs")
        || name.contains("/benches/")
        || name.contains("/examples/")
}

/// A crate's `build.rs` talks to cargo and is not in the binary.
fn is_build_script(name: &str) -> bool {
    name.ends_with("/build.rs") && !name.contains("/src/")
}

/// Tests beside the code may be long tables.
fn is_unit_test(name: &str) -> bool {
    is_test(name) && !name.starts_with("tests/")
}

/// A file without the tests at its end.
fn until_tests(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| *line != "mod tests {")
}

/// What is built into the binary: without the tests at a file's end, without comments.
fn production(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = until_tests(text).enumerate();
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn things_are_where_they_belong() {
    let mut found = Vec::new();
    let is_built_in = |name: &str| !is_test(name) && !is_build_script(name);
    for (name, text) in files().iter().filter(|(name, _)| is_built_in(name)) {
        for (number, line) in production(text) {
            for rule in RULES.iter().filter(|rule| {
                line.contains(rule.text)
                    && !rule.allowed.iter().any(|place| name.starts_with(place))
            }) {
                found.push(format!(
                    "{name}:{}: {}: {}",
                    number + 1,
                    rule.why,
                    line.trim()
                ));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn files_are_short_and_introduce_themselves() {
    let mut found = Vec::new();
    for (name, text) in files() {
        if !text.starts_with("//! ") {
            found.push(format!("{name} does not open with a //! paragraph"));
        }
        if name.ends_with("/mod.rs") && !is_test(&name) {
            found.push(format!(
                "{name} stands beside its folder, under the folder's name"
            ));
        }
        let lines = production(&text).count();
        if lines > LONGEST && !is_unit_test(&name) {
            found.push(format!("{name} has {lines} lines"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_test_file_is_forgotten() {
    let main = fs::read_to_string(repository().join("tests/main.rs")).unwrap();
    let mut files = sources(&repository().join("tests"));
    files.retain(|path| {
        path.parent() == Some(&repository().join("tests")) && !path.ends_with("main.rs")
    });
    assert!(files.len() > 10);
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert!(
            main.contains(&format!("\nmod {name};")),
            "{name} is not in tests/main.rs"
        );
    }
}

#[test]
fn every_golden_file_is_compared() {
    let texts: String = sources(&repository().join("tests"))
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for entry in fs::read_dir(repository().join("fixtures/golden")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            texts.contains(&format!("\"{name}\"")),
            "no test compares {name}"
        );
    }
}
