//! The rules of the language, one case a rule, in `fixtures/rules`: how lines are read (`lexing`, a Dockerfile and what `kiln debug
//! parse` must say of it) and how words are expanded (`words`, for `kiln debug words`). Each states its rule; what an
//! expectation does not name is not compared.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::golden::fixture;
use crate::support::{Space, plain_cases};

plain_cases! {
    lines_are_read_by_the_rules,
    words_are_expanded_by_the_rules,
    a_frontend_with_its_own_language_is_told,
}

/// Whether `found` holds all that `expected` names. Messages need to hold the text only.
fn holds(found: &Value, expected: &Value, key: &str) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) if key != "directives" => {
            let named = |(key, value): (&String, &Value)| {
                let found = found.get(key).unwrap_or(&Value::Null);
                holds(found, value, key)
            };
            expected.iter().all(named)
        }
        (Value::Array(found), Value::Array(expected)) => {
            let mut pairs = found.iter().zip(expected);
            found.len() == expected.len()
                && pairs.all(|(found, expected)| holds(found, expected, ""))
        }
        (Value::String(found), Value::String(expected)) if key == "message" => {
            found.contains(expected.as_str())
        }
        _ => found == expected,
    }
}

fn cases(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixture("rules").join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    cases.sort();
    cases
}

fn read(path: &PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn lines_are_read_by_the_rules(space: &Space) {
    let cases = cases("lexing");
    assert!(cases.len() > 50);
    let mut broken = Vec::new();
    for path in cases {
        let case = read(&path);
        let source = fs::read(path.with_extension("dockerfile")).unwrap();
        let asked = space
            .kiln(["debug", "parse", "--json", "-"])
            .stdin(source)
            .run();
        let found: Value = serde_json::from_str(&asked.stdout).unwrap();
        let is_good = found["error"].is_null();
        if !holds(&found, &case["expected"], "") || asked.status.success() != is_good {
            let name = path.file_stem().unwrap().display().to_string();
            broken.push(format!("{name}: {}\n  {found}", case["rule"]));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn words_are_expanded_by_the_rules(space: &Space) {
    let table = read(&fixture("rules").join("words/words.json"));
    let cases = table["words"].as_array().unwrap();
    assert!(cases.len() > 40);
    let questions: String = cases
        .iter()
        .map(|case| {
            let mut question = case.clone();
            if question.get("env").is_none() {
                question["env"] = table["env"].clone();
            }
            format!("{question}\n")
        })
        .collect();
    let asked = space
        .kiln(["debug", "words", "--json"])
        .stdin(questions)
        .ok();
    let answers: Vec<Value> = asked
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), cases.len());
    let mut broken = Vec::new();
    for (case, found) in cases.iter().zip(&answers) {
        let expected = &case["answer"];
        let error = expected["error"].as_str();
        let is_right = match error {
            Some(error) => found["error"]
                .as_str()
                .is_some_and(|said| said.contains(error)),
            None => holds(found, expected, "") && found.get("error").is_none(),
        };
        if !is_right {
            let said = json!({"found": found, "expected": expected});
            broken.push(format!("{} {}\n  {said:.400}", case["rule"], case["word"]));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// kiln runs no frontends; that one was asked for is said, and is no finding of a rule.
fn a_frontend_with_its_own_language_is_told(space: &Space) {
    let foreign = "# syntax=example.com/mopy:1\n# check=error=true\nFROM scratch\nLABEL a=1\n";
    let built = space.build(foreign).ok();
    built.says(&["warning[DF0034]", "example.com/mopy:1", "Dockerfile:1"]);
    let own = foreign.replace("example.com/mopy", "docker/dockerfile");
    space.build(&own).ok().never_says(&["DF0034"]);
}
