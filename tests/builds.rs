//! The rules of the Dockerfile language as images show them, a file each in `fixtures/builds/TOPIC/RULE.dockerfile`. Lines that begin with `#>` say
//! what the rule is and what must come out; the rest is the Dockerfile, built for real.
//!
//! `rule TEXT`, `setup SHELL` (makes the context), `args WORDS` (of `kiln build`), then any of `text PATH = JSON` (content of a
//! file), `is PATH = KIND MODE UID:GID`, `link PATH = TARGET`, `not PATH`, `config POINTER = JSON`, `says TEXT` (shown), and for
//! builds that must not succeed `fails TEXT`. To add a rule: a file. Unaware of how kiln carries rules out.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::golden::repository;
use crate::support::image::{Entry, Image};
use crate::support::{Kind, Mode, Space, mode};

macro_rules! topics {
    ($($topic:ident),+ $(,)?) => {
        /// Folders of `fixtures/builds`.
        const TOPICS: &[&str] = &[$(stringify!($topic)),+];
        $(mod $topic {
            #[test]
            fn caller() {
                super::check_topic(stringify!($topic), super::Mode::Caller);
            }

            #[test]
            #[cfg_attr(not(kiln_modes_all), ignore = "only with KILN_MODES=all")]
            fn range() {
                super::check_topic(stringify!($topic), super::Mode::Range);
            }
        })+
    };
}

topics! { lexing, variables, stages, run, copy, add, config, ignore }

/// A folder that no test reads would be a rule that nobody checks.
#[test]
fn each_folder_is_a_topic() {
    for folder in sorted(&repository().join("fixtures/builds")) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        assert!(TOPICS.contains(&name), "{name} is not in the table");
    }
}

/// What one file asks for.
#[derive(Default)]
struct Expected {
    setup: Vec<String>,
    arguments: Vec<String>,
    fails: Option<String>,
    claims: Vec<String>,
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

fn check_topic(topic: &str, mode: Mode) {
    let mut wrong = String::new();
    for path in sorted(&repository().join("fixtures/builds").join(topic)) {
        let space = match Space::new(mode) {
            Ok(space) => space,
            Err(reason) => return mode::skip(&format!("builds::{topic}"), mode, &reason),
        };
        if let Err(why) = check(&space, &path) {
            let _ = writeln!(wrong, "{}: {why}", path.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn check(space: &Space, path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).unwrap();
    let expected = expectations(&text)?;
    for script in &expected.setup {
        let done = Command::new("sh")
            .args(["-euc", script])
            .current_dir(space.context())
            .status();
        assert!(done.unwrap().success(), "{script}");
    }
    // What a script made for nobody else must still be readable for whoever builds.
    if let Some(account) = space.account() {
        let owner = format!("{}:{}", account.uid, account.gid);
        let mut chown = Command::new("chown");
        let given = chown.args(["-hR", &owner]).arg(space.context()).status();
        assert!(given.unwrap().success());
    }
    let mut build = space.build(&text);
    for argument in &expected.arguments {
        build = build.arg(argument);
    }
    let built = build.run();
    match (&expected.fails, built.status.success()) {
        (Some(message), false) if built.stderr.contains(message) => return Ok(()),
        (Some(message), _) => {
            return Err(format!("should fail and say {message:?}, but:\n{built}"));
        }
        (None, false) => return Err(format!("does not build:\n{built}")),
        (None, true) => {}
    }
    let image = space.image("app");
    let unmet = |claim: &&String| !holds(&image, &built.stderr, claim);
    match expected.claims.iter().find(unmet) {
        Some(claim) => Err(format!(
            "not so: {claim}\nconfig: {}\nfiles: {:?}",
            image.config,
            image.files.keys()
        )),
        None => Ok(()),
    }
}

fn expectations(text: &str) -> Result<Expected, String> {
    let mut expected = Expected::default();
    let mut rule = false;
    for line in text.lines().filter_map(|line| line.strip_prefix("#> ")) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "rule" => rule = true,
            "setup" => expected.setup.push(rest.to_owned()),
            "args" => expected
                .arguments
                .extend(rest.split_whitespace().map(str::to_owned)),
            "fails" => expected.fails = Some(rest.to_owned()),
            _ => expected.claims.push(line.to_owned()),
        }
    }
    match (
        rule,
        expected.fails.is_some() || !expected.claims.is_empty(),
    ) {
        (true, true) => Ok(expected),
        (false, _) => Err("it does not say which rule it is about".to_owned()),
        (_, false) => Err("it claims nothing".to_owned()),
    }
}

fn holds(image: &Image, said: &str, claim: &str) -> bool {
    let (word, rest) = claim.split_once(' ').unwrap_or((claim, ""));
    let (subject, value) = rest.split_once(" = ").unwrap_or((rest, ""));
    let entry = image.files.get(subject);
    match word {
        "text" => entry.is_some_and(|entry| {
            let content: String = serde_json::from_str(value).unwrap();
            entry.kind == Kind::File(content.into_bytes())
        }),
        "is" => entry.is_some_and(|entry| described(entry) == value),
        "link" => entry.is_some_and(|entry| entry.kind == Kind::Symlink(value.to_owned())),
        "not" => entry.is_none(),
        "says" => said.contains(rest),
        "config" => {
            let wanted: Value = serde_json::from_str(value).unwrap();
            *image.config.pointer(subject).unwrap_or(&Value::Null) == wanted
        }
        other => panic!("no such claim: {other}"),
    }
}

fn described(entry: &Entry) -> String {
    let kind = match &entry.kind {
        Kind::File(_) => "file",
        Kind::Folder => "folder",
        Kind::Symlink(_) => "link",
        Kind::Fifo => "fifo",
        Kind::Device => "device",
    };
    format!("{kind} {:04o} {}:{}", entry.mode, entry.uid, entry.gid)
}
