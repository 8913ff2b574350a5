//! `--progress json`: every event has the shape that docs/events.schema.json tells, nothing else stands in the stream, and docs/events.md is made
//! of the schema.

use std::collections::BTreeSet;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::golden::repository;
use crate::support::registry::{Guard, Registry};
use crate::support::schema::Schema;
use crate::support::{Finished, Kiln, Space, plain_cases};

plain_cases! {
    a_build_tells_all_in_the_shape_of_the_schema,
    what_fails_is_told_in_the_shape_of_the_schema,
    transfers_have_the_shape_of_the_schema,
    much_output_is_complete,
    variables_choose_the_stream,
    commands_that_build_several_times_tell_nothing_else,
    archives_have_the_shape_of_the_schema,
}

fn schema() -> Schema {
    let path = repository().join("docs/events.schema.json");
    Schema::new(&std::fs::read_to_string(path).unwrap())
}

/// All events of a command; each is checked, the last one says how it ended.
#[track_caller]
fn told(text: &str, code: i32) -> Vec<Value> {
    let schema = schema();
    let events: Vec<Value> = text
        .lines()
        .map(|line| {
            serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}\n{text}"))
        })
        .collect();
    for event in &events {
        schema.check(event).unwrap();
    }
    let last = events.last().unwrap();
    assert_eq!(last["event"], "ended", "{text}");
    assert_eq!(last["exit_code"], code, "{text}");
    let ends = events.iter().filter(|event| event["event"] == "ended");
    assert_eq!(ends.count(), 1, "{text}");
    events
}

#[track_caller]
fn told_by(kiln: Kiln, code: i32) -> Vec<Value> {
    let finished: Finished = kiln.exits(code);
    told(&finished.stderr, code)
}

/// What a step printed, and that it came between the beginning and the end of its command.
fn output(events: &[Value], title: &str) -> Vec<u8> {
    let planned = events.iter().filter(|event| event["event"] == "planned");
    let steps: Vec<&Value> = planned
        .flat_map(|event| event["steps"].as_array().unwrap())
        .collect();
    let of_title = steps
        .iter()
        .find(|step| step["title"].as_str().unwrap().contains(title));
    let step = &of_title.unwrap()["step"];
    let mut bytes = Vec::new();
    let mut kinds = Vec::new();
    for event in events.iter().filter(|event| event["step"] == *step) {
        kinds.push(event["event"].as_str().unwrap());
        match (event["text"].as_str(), event["base64"].as_str()) {
            (Some(text), None) => bytes.extend_from_slice(text.as_bytes()),
            (None, Some(text)) => bytes.extend(STANDARD.decode(text).unwrap()),
            _ => {}
        }
    }
    kinds.dedup();
    assert!(
        kinds.starts_with(&["started", "log", "output"]),
        "{kinds:?}"
    );
    assert!(matches!(kinds[3], "finished" | "failed"), "{kinds:?}");
    bytes
}

fn json(build: Kiln) -> Kiln {
    build.args(["--progress", "json", "--no-cache"])
}

fn a_build_tells_all_in_the_shape_of_the_schema(space: &Space) {
    let text = "FROM tools AS base\nMAINTAINER me\nRUN printf 'a\\377b\\nplain\\033[1m\\nlast'\nFROM base\nRUN echo two\n";
    let events = told_by(json(space.build(text)).arg("--save-stages"), 0);
    assert_eq!(output(&events, "printf"), b"a\xffb\nplain\x1b[1m\nlast");
    assert_eq!(output(&events, "echo two"), b"two\n");
    let times: Vec<&str> = events
        .iter()
        .filter(|event| event["event"] != "output" && event["event"] != "ended")
        .map(|event| event["time"].as_str().unwrap())
        .collect();
    assert!(
        times
            .iter()
            .all(|time| time.ends_with('Z') && time.starts_with("20")),
        "{times:?}"
    );
    let micros = |event: &Value| event["at_us"].as_u64().unwrap();
    let own = events.iter().filter(|event| event["event"] != "output");
    assert!(own.map(micros).is_sorted());
    // nothing is executed, nothing is printed
    let cached = told_by(space.build(text).args(["--progress", "json"]), 0);
    assert!(
        cached
            .iter()
            .all(|event| event["event"] != "output" && event["event"] != "log")
    );
    // in a file, and with one for each platform
    let log = space.own_folder("logs").join("log");
    let quiet = json(space.build(text))
        .arg("--logsplit")
        .arg("--logfile")
        .arg(&log)
        .ok();
    assert_eq!(quiet.stderr, "");
    told(&std::fs::read_to_string(&log).unwrap(), 0);
}

fn what_fails_is_told_in_the_shape_of_the_schema(space: &Space) {
    let cases: [(&str, i32, &str, u64); 4] = [
        (
            "FROM tools\nRUN echo before; exit 3\n",
            1,
            "RUN failed: the command ended with exit code 3",
            2,
        ),
        ("FROM tools\n\nCOPI a b\n", 1, "unknown instruction", 3),
        (
            "FROM nowhere.invalid/image\nRUN true\n",
            1,
            "no image nowhere.invalid/image",
            1,
        ),
        ("FROM tools\nCOPY missing /\n", 1, "missing", 2),
    ];
    for (text, code, message, line) in cases {
        let events = told_by(json(space.build(text)).env("KILN_OFFLINE", "1"), code);
        let ended = events.last().unwrap();
        let cause = &ended["causes"][0];
        assert!(
            cause["message"].as_str().unwrap().contains(message),
            "{ended}"
        );
        assert_eq!(cause["line"], line, "{ended}");
        assert!(
            !ended["details"].as_str().unwrap().contains('\x1b'),
            "{ended}"
        );
    }
    let usage = told_by(
        space.kiln(["build", "--progress", "json", "--no-such-flag"]),
        2,
    );
    assert!(
        usage[0]["messages"][0]
            .as_str()
            .unwrap()
            .contains("--no-such-flag")
    );
    told_by(
        space.kiln(["build", "--progress=json", "no/such/context"]),
        2,
    );
    told_by(
        space.kiln(["build", "--progress=json", "--offline=maybe", "."]),
        2,
    );
    let log = space.own_folder("logs").join("log");
    let failed = json(space.build("FROM tools\nRUN exit 3\n"))
        .arg("--logfile")
        .arg(&log)
        .exits(1);
    failed.says(&["the build failed"]);
    told(&std::fs::read_to_string(&log).unwrap(), 1);
}

fn transfers_have_the_shape_of_the_schema(space: &Space) {
    let registry = Registry::start(Guard::Open);
    let name = format!("{}/app:v1", registry.host);
    space.write("file", "text");
    space.write("Dockerfile", "FROM scratch\nCOPY file /\n");
    let build = space.kiln(["build", "--push", "-t", &name]);
    told_by(json(build.arg(space.context())), 0);
    told_by(space.kiln(["push", "--progress", "json", &name]), 0);
    space.kiln(["rmi", &name]).ok();
    let pulled = told_by(space.kiln(["pull", "--progress", "json", &name]), 0);
    assert_eq!(pulled[0]["event"], "begun");
    let missing = format!("{}/app:v2", registry.host);
    let failed = told_by(space.kiln(["pull", "--progress", "json", &missing]), 1);
    assert!(
        failed.last().unwrap()["messages"][0]
            .as_str()
            .unwrap()
            .contains("app:v2")
    );
}

fn much_output_is_complete(space: &Space) {
    let lines: String = (0..10_000)
        .map(|line| format!("line {line} of many\n"))
        .collect();
    let long = "äöü€".repeat(50_000);
    space.write("lines", format!("{lines}{long}"));
    let text = "FROM tools\nRUN --mount=target=/c cat /c/lines\nRUN --mount=target=/c cat /c/lines; exit 1\n";
    let events = told_by(json(space.build(text)), 1);
    for title in ["cat /c/lines", "exit 1"] {
        assert_eq!(
            output(&events, title),
            format!("{lines}{long}").into_bytes()
        );
    }
    assert!(
        events.iter().all(|event| event["base64"].is_null()),
        "characters were cut"
    );
}

fn variables_choose_the_stream(space: &Space) {
    let first = |variables: &[(&str, &str)], flags: &[&str]| {
        let mut build = space.build("FROM scratch\nLABEL a=b\n").args(flags);
        for (name, value) in variables {
            build = build.env(name, value);
        }
        let told = build.ok().stderr;
        let first = told.lines().next().unwrap_or_default();
        match first {
            first if first.starts_with("{\"vertexes\"") => "rawjson",
            first if first.starts_with('{') => "json",
            "" => "quiet",
            _ => "plain",
        }
    };
    let buildkit = ("BUILDKIT_PROGRESS", "rawjson");
    assert_eq!(first(&[buildkit], &[]), "rawjson");
    assert_eq!(first(&[buildkit], &["--progress", "auto"]), "rawjson");
    assert_eq!(first(&[buildkit], &["--progress", "json"]), "json");
    assert_eq!(first(&[buildkit], &["-q"]), "quiet");
    assert_eq!(first(&[buildkit, ("KILN_PROGRESS", "json")], &[]), "json");
    assert_eq!(first(&[("BUILDKIT_PROGRESS", "none")], &[]), "quiet");
    assert_eq!(first(&[("BUILDKIT_PROGRESS", "loud")], &[]), "plain");
    assert_eq!(first(&[("BUILDKIT_PROGRESS", "tty")], &[]), "plain");
}

/// The fields of a shape, as a table.
fn table(shape: &Value, left_out: &[&str]) -> String {
    let mut text = "\n| field | |\n| --- | --- |\n".to_owned();
    let required: Vec<&str> = shape["required"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for (name, field) in shape["properties"].as_object().unwrap() {
        if left_out.contains(&name.as_str()) {
            continue;
        }
        let mark = if required.contains(&name.as_str()) {
            ""
        } else {
            ", optional"
        };
        let what = field["description"].as_str().unwrap_or_default();
        writeln!(text, "| `{name}`{mark} | {what} |").unwrap();
    }
    text
}

const COMMON: [&str; 3] = ["build", "time", "at_us"];

fn page(schema: &Schema) -> String {
    let names = schema.alternatives();
    let mut text = "\nEvery event has these fields:\n".to_owned();
    let begun = schema.definition("begun");
    let others: Vec<&str> = begun["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let others: Vec<&str> = others
        .into_iter()
        .filter(|name| !COMMON.contains(name) && *name != "event")
        .collect();
    text += &table(begun, &others);
    text = text.replace(
        "| `event` |  |",
        "| `event` | What happened: a name below. |",
    );
    for name in names {
        let shape = schema.definition(name);
        write!(
            text,
            "\n### {name}\n\n{}\n",
            shape["description"].as_str().unwrap()
        )
        .unwrap();
        text += &table(shape, &[&COMMON[..], &["event"]].concat());
        let part = match name {
            "planned" => Some("step"),
            "started" => Some("reason"),
            "ended" => Some("cause"),
            _ => None,
        };
        if let Some(part) = part {
            write!(text, "\nA {part}:\n{}", table(schema.definition(part), &[])).unwrap();
        }
    }
    text + "\n"
}

#[test]
fn the_page_is_made_of_the_schema() {
    let path = repository().join("docs/events.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once("events:: -->\n").unwrap();
    let (_, tail) = rest.split_once("<!-- end -->").unwrap();
    let made = format!("{head}events:: -->\n{}<!-- end -->{tail}", page(&schema()));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text == made,
        "docs/events.md is stale: run this test with UPDATE_GOLDEN=1"
    );
}

#[test]
fn the_schema_knows_all_events() {
    let source = repository().join("builder/engine/src/event.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let (_, body) = source.split_once("pub enum EventKind {\n").unwrap();
    let (body, _) = body.split_once("\n}\n").unwrap();
    let variants = body
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.strip_suffix(" {"));
    let snake = |name: &str| -> String {
        let letter = |c: char| match c.is_uppercase() {
            true => format!("_{}", c.to_ascii_lowercase()),
            false => c.to_string(),
        };
        name.chars()
            .map(letter)
            .collect::<String>()
            .trim_start_matches('_')
            .to_owned()
    };
    let mut told: BTreeSet<String> = variants
        .filter(|name| !name.starts_with(' '))
        .map(snake)
        .collect();
    told.extend(["output", "ended"].map(str::to_owned));
    let schema = schema();
    let known: BTreeSet<String> = schema
        .alternatives()
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(told, known);
}

/// Several builds, warnings, results and failures: only the results are not events, and they are on standard output.
fn commands_that_build_several_times_tell_nothing_else(space: &Space) {
    space.write("big", vec![b'x'; 300_000]);
    let text = "FROM scratch AS a\nCOPY big /a\nFROM scratch\nCOPY big /a\n";
    let file = space.write("Dockerfile", text);
    space.give(&space.context());
    space.give(&file);
    let context = space.context();
    let advise = |more: &[&str]| {
        let advise = space.kiln(["advise", "--progress", "json"]).arg(&file);
        advise.arg("--context").arg(&context).args(more)
    };
    told_by(advise(&["--apply"]), 0);
    let missing = advise(&["--", "--target", "none"]);
    told_by(missing, 1);
    let compare = |more: &[&str]| {
        let compare = space.kiln(["compare", "--progress", "json", "--no-times", "--context"]);
        compare.arg(&context).arg(&file).args(more)
    };
    let compared = told_by(compare(&[]), 0);
    assert!(compared.iter().any(|event| event["event"] == "image"));
    told_by(compare(&["--max-size", "1kB"]), 1);
    let raw = space
        .kiln(["advise", "--progress", "rawjson", "--apply"])
        .arg(&file);
    let raw = raw.arg("--context").arg(&context).ok();
    for line in raw.stderr.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}

fn archives_have_the_shape_of_the_schema(space: &Space) {
    // what does not become smaller is much to read again
    let mut state = 1_u64;
    let noise = std::iter::from_fn(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.to_le_bytes())
    });
    let noise: Vec<u8> = noise.take(6 << 17).flatten().collect();
    space.write("big", noise);
    space.build("FROM scratch\nCOPY big /\n").ok();
    let works = |events: &[Value], work: &str| {
        let is_of = |event: &&Value| event["event"] == "work" && event["work"] == work;
        let told: Vec<&Value> = events.iter().filter(is_of).collect();
        assert_eq!(told[0]["done"], 0);
        let last = told[told.len() - 1];
        assert_eq!(
            (&last["ended"], &last["done"]),
            (&true.into(), &last["total"])
        );
    };
    let save = [
        "save",
        "--progress",
        "json",
        "--layer-compression",
        "gzip",
        "-o",
        "a.tar",
        "app",
    ];
    let saved = told_by(space.kiln(save), 0);
    works(&saved, "save");
    works(&saved, "compress");
    let warned = [
        "save",
        "--progress",
        "json",
        "--compress",
        "zstd",
        "-o",
        "b.tar",
        "app",
    ];
    let warned = told_by(space.kiln(warned), 0);
    assert!(warned.iter().any(|event| event["event"] == "warning"));
    space.remove_store();
    works(
        &told_by(space.kiln(["load", "--progress", "json", "-i", "a.tar"]), 0),
        "load",
    );
    told_by(
        space.kiln(["load", "--progress", "json", "-i", "nothing.tar"]),
        1,
    );
}
