//! Standard output that is full, closed, or that nobody reads any more, for every command that prints something there.

use std::fs::File;

use crate::support::{Kiln, Space, plain_cases};

plain_cases! {
    what_is_not_printed_is_an_error,
    without_a_standard_output_only_what_prints_fails,
    a_reader_that_went_away_is_none,
}

/// Commands that print text; `CONTEXT` and `ARCHIVE` stand for what is there.
const TEXTS: &[&str] = &[
    "--version",
    "--help",
    "build --help",
    "image ls --help",
    "completions bash",
    "completions fish",
    "man",
    "doctor",
    "images",
    "images -q",
    "image ls --format json",
    "history app",
    "inspect app",
    "inspect -f {{.Id}} app",
    "df",
    "df -v",
    "system df",
    "fsck",
    "verify ARCHIVE",
    "verify --json ARCHIVE",
    "load -i ARCHIVE",
    "import ARCHIVE imported",
    "prune",
    "rmi imported",
    "debug parse --json CONTEXT/Dockerfile",
    "build -q CONTEXT",
    "build --check CONTEXT",
    "build --call=outline CONTEXT",
    "build --call=targets,format=json CONTEXT",
];

/// Commands that print a stream of bytes.
const STREAMS: &[&str] = &[
    "save app",
    "save --compress gzip app",
    "export app",
    "build -o - CONTEXT",
    "build -o type=oci,dest=- CONTEXT",
];

/// A space with an image, its archive, and a Dockerfile without findings.
fn prepared(space: &Space) {
    space.write("file", "content");
    space.build("FROM scratch\nCOPY file /\n").ok();
    space
        .kiln(["save", "--format", "docker-archive", "-o", "archive", "app"])
        .ok();
    space.kiln(["import", "archive", "imported"]).ok();
}

fn words(space: &Space, command: &str) -> Vec<String> {
    let command = command.replace("CONTEXT", space.context().to_str().unwrap());
    let command = command.replace("ARCHIVE", "archive");
    command.split(' ').map(str::to_owned).collect()
}

fn every_command(space: &Space) -> impl Iterator<Item = (&'static str, Kiln)> {
    let commands = TEXTS.iter().chain(STREAMS);
    commands.map(|command| (*command, space.kiln(words(space, command))))
}

fn what_is_not_printed_is_an_error(space: &Space) {
    prepared(space);
    for (command, mut kiln) in every_command(space) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = kiln.command().stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{command}: {said}");
        assert!(
            said.contains("No space left on device"),
            "{command}: {said}"
        );
        assert!(!said.contains("panicked"), "{command}: {said}");
    }
}

fn without_a_standard_output_only_what_prints_fails(space: &Space) {
    prepared(space);
    let ways = [
        (">&-", " is closed"),
        ("1< /dev/null", "Bad file descriptor"),
    ];
    for (way, cause) in ways {
        for command in TEXTS.iter().chain(STREAMS) {
            let words = words(space, command).join("' '");
            let printed = space.shell(&format!("exec kiln '{words}' {way}"));
            printed.exits(3).says(&[cause]);
        }
    }
    // what goes there by itself, and what goes nowhere
    let context = space.context();
    let context = context.to_str().unwrap();
    for redirected in [">&-", "> /dev/full"] {
        let silent = format!("kiln build {context} {redirected}; kiln tag app other {redirected}");
        space.shell(&silent).ok();
    }
    space
        .shell(&format!("kiln build -q {context} 1<> /dev/null"))
        .ok();
}

fn a_reader_that_went_away_is_none(space: &Space) {
    prepared(space);
    for (command, mut kiln) in every_command(space) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = kiln.command().stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let expected = if STREAMS.contains(&command) { 141 } else { 0 };
        assert_eq!(output.status.code(), Some(expected), "{command}: {said}");
        for word in ["error", "pipe", "panicked"] {
            assert!(!said.contains(word), "{command}: {said}");
        }
    }
    // questions without an end are no longer read
    let endless =
        "while :; do echo '{\"id\":1,\"word\":\"a\"}'; done | kiln debug words --json | true";
    space.shell(endless).ok();
}
