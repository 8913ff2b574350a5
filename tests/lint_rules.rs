//! The rules of `--check`, one by one: what they find, at which line, in which words, how often. The cases are in
//! `fixtures/checks/rules`: a Dockerfile each, with what a check finds in it and, where it is not the same, what a build tells.
//! A build tells it whether or not it comes to an end.

use serde_json::Value;

use crate::support::{Space, golden, plain_cases};

plain_cases! {
    a_check_finds_what_the_table_says,
    a_build_tells_what_the_table_says,
    a_base_for_another_platform,
    findings_are_shown_before_the_failure,
}

/// One Dockerfile of the table.
#[derive(Default)]
struct Case {
    /// Its file in the table, and its name there.
    name: String,
    parts: Vec<(String, Vec<String>)>,
}

impl Case {
    fn part(&self, name: &str) -> Option<&[String]> {
        let mut parts = self.parts.iter();
        parts.find_map(|(part, lines)| (part == name).then_some(&lines[..]))
    }

    /// Findings as `LINE RULE WORDS`, sorted.
    fn findings(&self, part: &str) -> Option<Vec<String>> {
        let mut lines: Vec<String> = self.part(part)?.to_vec();
        lines.retain(|line| !line.is_empty());
        lines.sort();
        Some(lines)
    }
}

/// All cases. A line `== NAME` begins one, a line `-- PART` a part of it.
fn table() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let folder = std::fs::read_dir(golden::fixture("checks/rules")).unwrap();
    let mut files: Vec<_> = folder.map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files {
        let topic = file.file_name().unwrap().to_str().unwrap().to_owned();
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            if let Some(name) = line.strip_prefix("== ") {
                let name = format!("{topic}: {name}");
                cases.push(Case {
                    name,
                    ..Case::default()
                });
            } else if let Some(part) = line.strip_prefix("-- ") {
                let parts = &mut cases.last_mut().unwrap().parts;
                parts.push((part.to_owned(), Vec::new()));
            } else if let Some((_, lines)) = cases.last_mut().unwrap().parts.last_mut() {
                lines.push(line.to_owned());
            }
        }
    }
    assert!(cases.len() > 90, "{} cases", cases.len());
    cases
}

/// The context of a case.
fn context(space: &Space, number: usize, case: &Case) -> std::path::PathBuf {
    let folder = space.path(&format!("case-{number}"));
    std::fs::create_dir(&folder).unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    write("file", "text".to_owned());
    write("Dockerfile", case.part("file").unwrap().join("\n") + "\n");
    if let Some(ignore) = case.part("ignore") {
        write(".dockerignore", ignore.join("\n") + "\n");
    }
    folder
}

fn arguments(case: &Case) -> impl Iterator<Item = &String> {
    let lines = case.part("arguments").unwrap_or_default().iter();
    lines.filter(|line| !line.is_empty())
}

/// `LINE RULE WORDS`, sorted.
fn findings(list: &[Value], line: impl Fn(&Value) -> u64, rule: &str, words: &str) -> Vec<String> {
    let text = |found: &Value, key: &str| found[key].as_str().unwrap().to_owned();
    let found = list.iter();
    let mut found: Vec<String> = found
        .map(|found| {
            format!(
                "{} {} {}",
                line(found),
                text(found, rule),
                text(found, words)
            )
        })
        .collect();
    found.sort();
    found
}

fn a_check_finds_what_the_table_says(space: &Space) {
    for (number, case) in table().iter().enumerate() {
        let folder = context(space, number, case);
        let check = space.kiln(["build", "--check=format=json"]);
        let checked = check.args(arguments(case)).arg(folder).run();
        let answer: Value = serde_json::from_str(&checked.stdout).unwrap();
        let line = |found: &Value| {
            let range = &found["location"]["ranges"][0];
            range["start"]["line"].as_u64().unwrap()
        };
        let list = answer["warnings"].as_array().unwrap();
        let found = findings(list, line, "ruleName", "detail");
        assert_eq!(Some(found), case.findings("found"), "{}", case.name);
        let error = answer["buildError"]["message"].as_str();
        match case.part("error").and_then(|lines| lines.first()) {
            None => assert_eq!(error, None, "{}", case.name),
            Some(part) => assert!(error.unwrap().contains(part), "{}: {error:?}", case.name),
        }
    }
}

fn a_build_tells_what_the_table_says(space: &Space) {
    for (number, case) in table().iter().enumerate() {
        let folder = context(space, number, case);
        let build = space.kiln(["build", "--progress=json"]);
        let build = build.args(arguments(case)).arg(folder).run();
        let events = build.events().all;
        let list: Vec<Value> = events
            .into_iter()
            .filter(|event| event["event"] == "finding")
            .collect();
        let found = findings(
            &list,
            |found| found["line"].as_u64().unwrap(),
            "rule",
            "message",
        );
        let expected = case.findings("built").or_else(|| case.findings("found"));
        assert_eq!(Some(found), expected, "{}\n{build}", case.name);
    }
}

fn a_base_for_another_platform(space: &Space) {
    space.write("file", "x");
    let base = space.build("FROM scratch\nCOPY file /\n");
    base.args(["-t", "base", "--platform", "linux/sparc64"])
        .ok();
    let message = |expected: &str| {
        format!(
            "Base image base was pulled with platform \"linux/sparc64\", expected \"{expected}\" for current build"
        )
    };
    let child =
        space.build_json("FROM base\nCOPY file /\n# check=skip=all\nFROM base\nLABEL a=1\n");
    let built = child
        .args(["--platform", "linux/mips64le,linux/ppc64le"])
        .env("KILN_OFFLINE", "1")
        .ok();
    let events = built.events().all;
    let of = |kind: &str| -> Vec<String> {
        let events = events.iter().filter(|event| event["event"] == kind);
        events
            .map(|event| event["message"].as_str().unwrap().to_owned())
            .collect()
    };
    // as a rule for the first platform, in a line of its own for each other one
    assert_eq!(of("finding"), [message("linux/mips64le")], "{built}");
    assert!(of("warning").contains(&message("linux/ppc64le")), "{built}");
    // a check is for the first platform that is named
    let check = |platform: &str| {
        let check = space.kiln(["build", "--check", "--platform", platform]);
        check.arg(space.context()).run().stdout
    };
    let found = check("linux/ppc64le,linux/sparc64");
    assert!(found.contains(&message("linux/ppc64le")), "{found}");
    assert_eq!(
        check("linux/sparc64"),
        "Check complete, no warnings found.\n"
    );
}

fn findings_are_shown_before_the_failure(space: &Space) {
    let rule = "warning[JSONArgsRecommended]";
    let failed = space
        .build("FROM scratch\nCMD serve\nCOPY nowhere /\n")
        .exits(1);
    failed.says(&[rule, "nowhere"]);
    let wrong = space.build("FROM scratch AS A\nRUNN x\n").exits(1);
    wrong.says(&["warning[StageNameCasing]", "did you mean RUN?"]);
    let quiet = space
        .build("FROM scratch\nCMD serve\nCOPY nowhere /\n")
        .arg("-q")
        .exits(1);
    quiet.never_says(&[rule]);
}
