//! Every expression of fixtures/bake/expressions.txt is worth what stands beside it; tests/interop/bake asks buildx the same.

use crate::definition::Options;
use crate::target::Target;
use crate::{Host, Source};
use std::collections::BTreeSet;

const EXPRESSIONS: &str = include_str!("../../../../fixtures/bake/expressions.txt");

struct Nobody;

impl Host for Nobody {
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }

    fn read(&self, _path: &str) -> Result<String, String> {
        Err("nobody has files".to_owned())
    }

    fn home(&self) -> Option<String> {
        Some("/home/me".to_owned())
    }

    fn seconds(&self) -> i64 {
        1_700_000_000
    }

    fn random(&self) -> [u8; 16] {
        [7; 16]
    }
}

/// What a bake file with one argument says of it.
fn worth(expression: &str) -> Result<String, String> {
    let text = format!("target \"default\" {{\n  args = {{ A = jsonencode({expression}) }}\n}}\n");
    let name = "docker-bake.hcl".to_owned();
    let read = crate::read(&[Source { name, text }], &Nobody, &Options::default());
    let definition = read.map_err(|error| error.to_string())?;
    let argument = |target: &Target| target.map("args").next().map(|(_, value)| value.clone());
    let target = definition.targets().first();
    Ok(target
        .and_then(|(_, target)| argument(target))
        .unwrap_or_default())
}

fn cases() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = EXPRESSIONS.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.trim_start_matches('!').rsplit_once(" => ").unwrap())
}

#[test]
fn expressions_are_worth_what_bake_says() {
    let mut wrong = Vec::new();
    for (expression, expected) in cases() {
        let found = worth(expression);
        if found.as_deref() != Ok(expected) {
            wrong.push(format!("{expression}\n  is {found:?}\n  not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_function_is_tried() {
    let all: String = cases()
        .map(|(expression, _)| format!(" {expression}"))
        .collect();
    let elsewhere = BTreeSet::from(["homedir", "timestamp", "byteslen", "bytesslice"]);
    let names = super::names().filter(|name| !elsewhere.contains(name));
    let untried: Vec<&str> = names
        .filter(|name| !all.contains(&format!("{name}(")))
        .collect();
    assert!(untried.is_empty(), "{untried:?}");
}

#[test]
fn what_the_machine_says_is_asked_for() {
    assert_eq!(worth("homedir()").unwrap(), "\"/home/me\"");
    assert_eq!(worth("timestamp()").unwrap(), "\"2023-11-14T22:13:20Z\"");
    let uuid = "\"07070707-0707-4707-8707-070707070707\"";
    assert_eq!(worth("uuidv4()").unwrap(), uuid);
    assert_eq!(worth("byteslen(\"é\")").unwrap(), "2");
    assert_eq!(worth("bytesslice(\"abc\", 1, 1)").unwrap(), "\"b\"");
}

#[test]
fn wrong_calls_are_told() {
    for (expression, why) in [
        ("uper(\"a\")", "there is no function named \"uper\""),
        ("upper()", "it takes 1 arguments, not 0"),
        ("upper([1])", "argument 1: string required, but have list"),
        ("range(1e9)", "more than 1024"),
        ("0 / 0", "infinities and zeros"),
        ("[1][2]", "there is no element 2"),
        ("null + 1", "number required, but have null"),
        ("regex(\"(\", \"a\")", "is no pattern"),
        ("{ for v in [1, 1] : v => v }", "two items have the key"),
        ("setproduct(range(1000), range(1000))", "more than 100000"),
        ("bcrypt(\"a\")", "there is no function named \"bcrypt\""),
    ] {
        let error = worth(expression).unwrap_err();
        assert!(error.contains(why), "{expression}: {error}");
    }
}
