//! What completions offer, and that nothing in names of images, stages or files does harm to a shell.

use std::fs;
use std::process::Command;

use crate::support::{Mode, Space, mode, plain_cases};

plain_cases! {
    names_of_images_and_stages_are_offered,
    builds_and_their_steps_are_offered,
    flags_and_commands_are_offered,
    what_cannot_be_read_offers_nothing,
    bash_inserts_only_names,
    bash_carries_out_nothing_in_a_name,
    zsh_asks_kiln,
    fish_asks_kiln,
}

const DOCKERFILE: &str = "ARG BASE=scratch\nFROM scratch AS first\nARG VERSION\nCOPY Dockerfile /\n\
    FROM $BASE AS second\nCOPY --from=first / /\n";

/// What may stand at the end of `kiln WORD…`: the words, and the line about files.
fn offered(space: &Space, words: &[&str]) -> (Vec<String>, String) {
    let answer = space.kiln(["__complete", "--"]).args(words).ok();
    assert_eq!(answer.stderr, "");
    let mut lines: Vec<String> = answer.stdout.lines().map(str::to_owned).collect();
    let files = lines.pop().unwrap();
    let word = |line: &String| line.split('\t').next().unwrap().to_owned();
    (lines.iter().map(word).collect(), files)
}

fn words(space: &Space, words: &[&str]) -> Vec<String> {
    offered(space, words).0
}

/// A store with the image `app:v1`, and a Dockerfile in the folder where kiln is started.
fn prepared(space: &Space) {
    let file = space.write_in("own", "Dockerfile", DOCKERFILE);
    space.give(&file);
    space
        .kiln([
            "build",
            "-q",
            "-t",
            "app:v1",
            "-t",
            "registry.example/team/app:v2",
            ".",
        ])
        .ok();
}

fn builds_and_their_steps_are_offered(space: &Space) {
    prepared(space);
    let id = space.kiln(["builds", "-q"]).ok().stdout.trim().to_owned();
    for command in ["logs", "stats"] {
        assert_eq!(words(space, &[command, ""]), [id.as_str()]);
    }
    let steps = ["Dockerfile:4", "Dockerfile:6"];
    assert_eq!(words(space, &["logs", "--step", ""]), steps);
    assert_eq!(
        words(space, &["logs", &id, "--step", "Dockerfile:6"]),
        steps[1..]
    );
    assert!(words(space, &["logs", "nothing", "--step", ""]).is_empty());
}

fn names_of_images_and_stages_are_offered(space: &Space) {
    prepared(space);
    let images = ["app:v1", "registry.example/team/app:v2"];
    for line in [
        ["rmi", ""],
        ["inspect", ""],
        ["history", ""],
        ["save", ""],
        ["diff", ""],
    ] {
        assert_eq!(words(space, &line), images, "{line:?}");
    }
    assert_eq!(words(space, &["rmi", "app:v1", "reg"]), images[1..]);
    assert_eq!(words(space, &["image", "rm", "app:"]), images[..1]);
    assert_eq!(words(space, &["build", "-t", "a"]), images[..1]);
    assert_eq!(words(space, &["--store", "elsewhere", "rmi", ""]), [""; 0]);
    let stages = ["first", "second"];
    assert_eq!(words(space, &["build", "--target", ""]), stages);
    assert_eq!(
        words(space, &["build", ".", "--target=f"]),
        ["--target=first"]
    );
    assert_eq!(
        words(space, &["builder", "build", "--no-cache-filter", "s"]),
        stages[1..]
    );
    assert_eq!(
        words(space, &["build", "--build-arg", ""]),
        ["BASE=", "VERSION="]
    );
    // the Dockerfile that the line names
    fs::create_dir(space.own().join("other")).unwrap();
    space.write_in("own", "other/Special", "FROM scratch AS third\nARG NEW\n");
    assert_eq!(
        words(space, &["build", "-f", "other/Special", "--target", ""]),
        ["third"]
    );
    assert_eq!(
        words(space, &["build", "-fSpecial", "other", "--target", ""]),
        ["third"]
    );
    assert_eq!(
        words(
            space,
            &["build", "--file=Special", "other", "--build-arg", "N"]
        ),
        ["NEW="]
    );
}

fn flags_and_commands_are_offered(space: &Space) {
    assert_eq!(words(space, &["bui"]), ["build", "builder", "builds"]);
    assert_eq!(words(space, &["image", "l"]), ["load", "ls"]);
    assert_eq!(
        words(space, &["build", "--build-"]),
        ["--build-arg", "--build-arg-file", "--build-context"]
    );
    assert!(words(space, &["build", "-"]).contains(&"--store".to_owned()));
    assert_eq!(words(space, &["build", "--progress", "r"]), ["rawjson"]);
    assert_eq!(words(space, &["completions", "f"]), ["fish"]);
    let answer = |words: &[&str]| offered(space, words).1;
    assert_eq!(answer(&["build", ""]), ":folders");
    assert_eq!(answer(&["build", "-f", ""]), ":files");
    assert_eq!(answer(&["load", "-i", ""]), ":files");
    assert_eq!(answer(&["explore", ""]), ":files");
    assert_eq!(answer(&["rmi", ""]), ":nothing");
    // flags of other engines crowd nothing, and are no hindrance
    assert_eq!(words(space, &["build", "--snapshot-"]), [""; 0]);
    assert_eq!(
        words(space, &["build", "--snapshot-mode", "redo", "--targ"]),
        ["--target"]
    );
    assert!(!space.store().exists(), "completions made a store");
}

fn what_cannot_be_read_offers_nothing(space: &Space) {
    assert_eq!(words(space, &["build", "--target", ""]), [""; 0]);
    assert_eq!(
        words(space, &["build", "-f", "no/such", "--target", ""]),
        [""; 0]
    );
    assert_eq!(
        words(
            space,
            &["build", "https://example.com/app.git", "--target", ""]
        ),
        [""; 0]
    );
    assert_eq!(words(space, &["build", "-", "--target", ""]), [""; 0]);
    // a pipe would be waited for
    let pipe = space.own().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(
        words(space, &["build", "-f", "pipe", "--target", ""]),
        [""; 0]
    );
    // what is being written has errors
    space.write_in(
        "own",
        "Dockerfile",
        "FROM scratch AS one\nRUN --mount\nCOPPY a\nFROM \nFROM scratch AS two\nARG \n",
    );
    assert_eq!(words(space, &["build", "--target", ""]), ["one", "two"]);
    // a damaged store
    fs::create_dir(space.store()).unwrap();
    space.write_in("own", "store/version", "no store");
    assert_eq!(words(space, &["rmi", ""]), [""; 0]);
    assert_eq!(words(space, &["nosuch", ""]), [""; 0]);
    assert_eq!(words(space, &[]), words(space, &[""]));
}

/// Sets what bash sets for a completion function, calls that, and prints what it would insert.
const BASH: &str = r#"
source <(kiln completions bash)
compopt() { echo "option ${*: -1}"; }
try() {
  COMP_LINE=$1 COMP_POINT=${#1} COMP_CWORD=$(($# - 2))
  shift
  COMP_WORDS=("$@") COMPREPLY=()
  _kiln
  printf '%s\n' "${COMPREPLY[@]}"
}
"#;

fn bash(space: &Space, script: &str) -> String {
    let script = format!("{BASH}\n{script}");
    space.shell("exec bash -euc \"$0\"").arg(script).ok().stdout
}

fn bash_inserts_only_names(space: &Space) {
    prepared(space);
    assert_eq!(bash(space, "try 'kiln rmi a' kiln rmi a"), "app:v1\n");
    // what stands before a colon or a = is there already
    assert_eq!(bash(space, "try 'kiln rmi app:' kiln rmi app :"), "v1\n");
    assert_eq!(
        bash(space, "try 'kiln build --target=s' kiln build --target = s"),
        "second\n"
    );
    assert_eq!(
        bash(
            space,
            "try 'kiln build --build-arg V' kiln build --build-arg V"
        ),
        "option nospace\nVERSION=\n"
    );
    assert_eq!(
        bash(space, "try 'kiln build -f ' kiln build -f ''"),
        "option default\n\n"
    );
    assert_eq!(
        bash(space, "try 'kiln build ' kiln build ''"),
        "option dirnames\n\n"
    );
}

/// Neither of what is typed, nor of what is found.
fn bash_carries_out_nothing_in_a_name(space: &Space) {
    prepared(space);
    let hostile = "ARG $(touch${IFS}harm)=1\nARG `touch harm`\nFROM scratch AS $(touch harm)\nFROM scratch AS a;touch${IFS}harm\n\
        FROM scratch AS good\nARG FINE\n";
    space.write_in("own", "Dockerfile", hostile);
    for name in [
        "$(touch harm)",
        "`touch harm`",
        "a b",
        ";touch harm",
        "app:v1\n",
        "-rf",
    ] {
        space.write_in("own", name, "");
    }
    assert_eq!(
        bash(space, "try 'kiln build --target ' kiln build --target ''"),
        "good\n"
    );
    assert_eq!(
        bash(
            space,
            "try 'kiln build --build-arg ' kiln build --build-arg ''"
        ),
        "option nospace\nFINE=\n"
    );
    for typed in [
        "$(touch harm)",
        "`touch harm`",
        "\"$(touch harm)",
        "a\\ b",
        "*",
        "~",
        "\\",
    ] {
        let line = typed.replace('\'', "'\\''");
        bash(
            space,
            &format!("try 'kiln build -f {line}' kiln build -f '{line}'"),
        );
        bash(
            space,
            &format!("try 'kiln rmi {line} ' kiln rmi '{line}' ''"),
        );
    }
    assert!(!space.own().join("harm").exists());
}

fn is_there(shell: &str) -> bool {
    let is_there = Command::new(shell).arg("--version").output().is_ok();
    if !is_there {
        mode::skip(
            &format!("completions of {shell}"),
            Mode::Caller,
            &format!("there is no {shell}"),
        );
    }
    is_there
}

/// The builtins of zsh that complete are told apart by what they print.
const ZSH: &str = r#"
compdef() { }
source <(kiln completions zsh)
compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -rl -- "$@" }
_files() { print -r -- "files $*" }
compset() { }
try() { words=("$@") CURRENT=$# PREFIX=${words[-1]}; _kiln }
"#;

fn zsh_asks_kiln(space: &Space) {
    if !is_there("zsh") {
        return;
    }
    prepared(space);
    let zsh = |script: &str| {
        space
            .shell("exec zsh -fec \"$0\"")
            .arg(format!("{ZSH}\n{script}"))
            .ok()
            .stdout
    };
    assert_eq!(zsh("try kiln rmi a"), "app:v1\n");
    assert_eq!(zsh("try kiln build --target ''"), "first\nsecond\n");
    assert_eq!(zsh("try kiln build --build-arg ''"), "BASE=\nVERSION=\n");
    assert_eq!(zsh("try kiln build ''"), "files -/\n");
    assert_eq!(zsh("try kiln build -f '$(touch harm)'"), "files \n");
    assert!(!space.own().join("harm").exists());
}

fn fish_asks_kiln(space: &Space) {
    if !is_there("fish") {
        return;
    }
    prepared(space);
    let fish = |line: &str| {
        let script = "kiln completions fish | source; complete -C \"$argv[1]\"";
        let told = space
            .shell("exec fish -N -c \"$0\" \"$1\"")
            .args([script, line])
            .ok()
            .stdout;
        let word = |line: &str| line.split('\t').next().unwrap().to_owned();
        told.lines().map(word).collect::<Vec<_>>()
    };
    assert_eq!(fish("kiln rmi a"), ["app:v1"]);
    assert_eq!(fish("kiln build --target "), ["first", "second"]);
    assert_eq!(fish("kiln build --target=s"), ["--target=second"]);
    assert_eq!(fish("kiln build -f Dock"), ["Dockerfile"]);
    space.write_in("own", "$(touch harm)", "");
    fish("kiln build -f '$(touch harm)");
    assert!(!space.own().join("harm").exists());
}
