//! `kiln debug`: its answers, and what it says of input that is none. docs/debug.md shows its examples as they are.

use std::fs;

use serde_json::{Value, json};

use crate::support::golden::repository;
use crate::support::{Space, plain_cases};

plain_cases! {
    the_page_shows_what_is_answered,
    a_dockerfile_as_json,
    dockerfiles_with_errors,
    dockerfiles_that_cannot_be_read,
    questions_that_are_none,
}

fn the_page_shows_what_is_answered(space: &Space) {
    let page = fs::read_to_string(repository().join("docs/debug.md")).unwrap();
    let examples: Vec<&str> = page.split("```console\n$ ").skip(1).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        let (command, answer) = example.split_once('\n').unwrap();
        let (answer, _) = answer.split_once("```").unwrap();
        assert_eq!(space.shell(command).ok().stdout, answer, "{command}");
    }
    assert!(!space.store().exists());
}

fn parse(space: &Space, dockerfile: &str, code: i32) -> Value {
    let asked = space
        .kiln(["debug", "parse", "--json", "-"])
        .stdin(dockerfile);
    serde_json::from_str(&asked.exits(code).stdout).unwrap()
}

fn a_dockerfile_as_json(space: &Space) {
    let source = "# escape=`\nARG A=1 B\nFROM --platform=$P x AS Y\nENV a=\"b\" c=$d\n\
        RUN --mount=target=/x <<E\nbody\nE\nONBUILD COPY a b\nCMD [\"x\"]\n";
    let tree = parse(space, source, 0);
    assert_eq!(tree["escape"], "`");
    assert_eq!(tree["directives"], json!({"escape": "`"}));
    assert_eq!(tree["global_args"], json!([["A", "1"], ["B", null]]));
    let stage = json!({"index": 0, "name": "y", "base": "x", "platform": "$P", "line": 3, "instructions": 4});
    assert_eq!(tree["stages"], json!([stage]));
    let list = &tree["instructions"];
    assert_eq!(list[2]["pairs"], json!([["a", "\"b\""], ["c", "$d"]]));
    assert_eq!((&list[3]["start"], &list[3]["end"]), (&json!(5), &json!(7)));
    assert_eq!(list[3]["heredocs"][0]["content"], "body\n");
    assert_eq!(list[4]["trigger"]["name"], "COPY");
    assert_eq!(
        (&list[5]["args"], &list[5]["json"]),
        (&json!(["x"]), &json!(true))
    );
}

fn dockerfiles_with_errors(space: &Space) {
    let tree = parse(space, "FROM x\nRUN <<E\nno end\n", 1);
    assert_eq!(
        (&tree["error"]["phase"], &tree["error"]["line"]),
        (&json!("syntax"), &json!(2))
    );
    assert!(tree.get("instructions").is_none());
    let tree = parse(space, "FROM x\nFROBNICATE\n", 1);
    assert_eq!(
        (&tree["error"]["phase"], &tree["error"]["line"]),
        (&json!("semantic"), &json!(2))
    );
    assert!(tree.get("instructions").is_some() && tree.get("stages").is_none());
    assert_eq!(
        parse(space, "", 1)["error"]["message"],
        "file with no instructions"
    );
    // Bytes that are no text are shown as replacement characters, wherever they stand.
    let asked = space
        .kiln(["debug", "parse", "--json", "-"])
        .stdin(b"FROM \xff\n".as_slice());
    assert!(asked.ok().stdout.contains('\u{fffd}'));
    let long = vec![b'#'; (16 << 20) + 1];
    let asked = space.kiln(["debug", "parse", "--json", "-"]).stdin(long);
    assert!(asked.exits(1).stdout.contains("larger than 16777216 bytes"));
}

fn dockerfiles_that_cannot_be_read(space: &Space) {
    let parse = |file: &str| space.kiln(["debug", "parse", "--json", file]).exits(2);
    parse("/no/such/file").says(&["/no/such/file", "No such file"]);
    parse("/dev").says(&["not a regular file"]);
    parse("/dev/zero").says(&["not a regular file"]);
    space
        .kiln(["debug", "parse", "x"])
        .exits(2)
        .says(&["--json"]);
    space
        .kiln(["debug", "frobnicate"])
        .exits(2)
        .says(&["frobnicate"]);
}

fn questions_that_are_none(space: &Space) {
    for verb in ["words", "ignore"] {
        let input = "nonsense\n\n{\"id\": 7, \"word\": \"'\", \"patterns\": [\"[\"]}\n[1]";
        let asked = space.kiln(["debug", verb, "--json"]).stdin(input).ok();
        let answers: Vec<Value> = asked
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
        assert_eq!(ids, [&Value::Null, &json!(7), &Value::Null], "{verb}");
        assert!(
            answers.iter().all(|answer| answer["error"].is_string()),
            "{verb}: {asked}"
        );
        let nothing = space.kiln(["debug", verb, "--json"]).ok();
        assert_eq!(nothing.stdout, "");
    }
}
