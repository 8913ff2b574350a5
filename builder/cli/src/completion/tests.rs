//! How lines that are not whole are read, and what is plain to a shell.

use super::line::{Cursor, Line};
use super::{Answer, Files, is_plain};
use clap::{Command, CommandFactory};
use proptest::prelude::*;

fn root() -> Command {
    crate::Arguments::command()
}

fn read(root: &Command, text: &str) -> (Vec<String>, String) {
    let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let line = Line::read(root, &words);
    let names = line
        .commands
        .iter()
        .map(|command| command.get_name().to_owned());
    let cursor = match &line.cursor {
        Cursor::Value {
            flag,
            before,
            begin,
        } => format!("{}: {before}|{begin}", flag.get_id()),
        Cursor::Flag { begin } => format!("flag {begin}"),
        Cursor::Word { begin } => {
            let argument = line
                .argument()
                .map_or("none".to_owned(), |argument| argument.get_id().to_string());
            format!("{argument} {begin}")
        }
    };
    (names.skip(1).collect(), cursor)
}

#[test]
fn the_cursor_is_found() {
    let root = root();
    for (text, commands, cursor) in [
        ("", "", "none "),
        ("build -t", "build", "flag -t"),
        ("build -t ", "build", "tag: |"),
        ("build -qt x --target=", "build", "target: --target=|"),
        ("build --store x --tag", "build", "flag --tag"),
        ("--store x image rm a b", "image rm", "images b"),
        ("build -- -t", "build", "context -t"),
        ("build . x", "build", "none x"),
        ("build -tname --no-cache --pull y", "build", "context y"),
        ("tag a b", "tag", "name b"),
        ("build --dockerfile D --file", "build", "flag --file"),
    ] {
        let (found, at) = read(&root, text);
        assert_eq!(
            (found.join(" ").as_str(), at.as_str()),
            (commands, cursor),
            "{text}"
        );
    }
}

#[test]
fn values_are_remembered() {
    let root = root();
    let words = [
        "build",
        "-fA",
        "--file=B",
        "--dockerfile",
        "C",
        "-qf",
        "D",
        "ctx",
        "",
    ]
    .map(str::to_owned);
    let line = Line::read(&root, &words);
    assert_eq!(line.values.get("file").map(String::as_str), Some("D"));
    assert_eq!(line.arguments, ["ctx"]);
}

#[test]
fn what_a_shell_reads_otherwise_is_not_offered() {
    let names = [
        "app:v1",
        "$(x)",
        "a b",
        "a;b",
        "a'b",
        "a\"b",
        "a\\b",
        "a*b",
        "a\nb",
        "\u{1b}[2J",
        "é",
        "~",
        "#x",
        ":x",
    ];
    let answer = Answer::of(names).with(Files::Any);
    assert_eq!(answer.text("", ""), "app:v1\n:files\n");
    assert_eq!(
        Answer::of(["abc", "b"]).text("--x=", "a"),
        "--x=abc\n:nothing\n"
    );
}

proptest! {
    #[test]
    fn no_line_is_too_odd(words in prop::collection::vec("[-a-z=:. \\PC]{0,12}", 0..8)) {
        let root = root();
        let line = Line::read(&root, &words);
        prop_assert!(!line.commands.is_empty());
    }

    #[test]
    fn plain_words_are_words(word in "\\PC{0,20}") {
        let is_safe = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.,:/@+=".contains(c));
        prop_assert_eq!(is_plain(&word), is_safe);
    }
}
