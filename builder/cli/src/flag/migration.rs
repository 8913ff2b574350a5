//! The tables of `docs/ci/from-….md`: each flag of another engine, and what kiln makes of it, from the tables that answer it. A flag that
//! kiln does not know fails, and so does a stale page. Unaware of what flags do.

use super::context::Source;
use super::{Flags, foreign};
use crate::environment::{self, Globals};
use crate::flag::reference::cell;
use crate::pflag;
use clap::{Arg, Args, Command};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const BEGIN: &str =
    "<!-- made of the tables of flags: UPDATE_GOLDEN=1 cargo test migration_pages -->\n";
const END: &str = "<!-- end -->\n";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A row: the flag as the other engine writes it, what becomes of it, and what a reader has to know.
fn row(command: &Command, line: &str) -> String {
    let (spelling, note) = line.split_once('\t').unwrap_or((line, ""));
    let (short, name) = spelling.split_once(' ').unwrap_or(("", spelling));
    let name = name.trim_start_matches("--");
    let (answer, text) = match (foreign::answer(name), own(command, name)) {
        (Some((answer, text)), _) => (answer.to_owned(), text.to_owned()),
        (None, Some(flag)) => (as_here(flag, name), first(flag)),
        (None, None) => panic!("kiln does not know --{name}"),
    };
    let text = if note.is_empty() {
        text
    } else {
        note.to_owned()
    };
    let short = match short {
        "" => String::new(),
        short => format!("`{short}`, "),
    };
    format!("| {short}`--{name}` | {answer} | {} |\n", cell(&text))
}

fn own<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let mut flags = command.get_arguments();
    flags.find(|flag| pflag::is_called(flag, name.as_bytes()))
}

fn as_here(flag: &Arg, name: &str) -> String {
    match flag.get_long() {
        Some(long) if long != name => format!("as `--{long}`"),
        _ => "the same".to_owned(),
    }
}

/// What the help says first.
fn first(flag: &Arg) -> String {
    let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
    let end = help.find(['[', ';', '(']).unwrap_or(help.len());
    help[..end].trim().to_owned()
}

fn table(engine: &str) -> String {
    let command = Globals::augment_args(Flags::augment_args(Source::augment_args(
        Command::default(),
    )));
    let list = repository().join(format!("fixtures/flags/{engine}.tsv"));
    let list = std::fs::read_to_string(list).unwrap();
    let mut table = format!("| {engine} | kiln | |\n| --- | --- | --- |\n");
    for line in list.lines().filter(|line| !line.starts_with('#')) {
        write!(table, "{}", row(&command, line)).unwrap();
    }
    table
}

#[test]
fn migration_pages() {
    for engine in ["kaniko", "buildah", "buildx"] {
        let path = repository().join(format!("docs/ci/from-{engine}.md"));
        let page = std::fs::read_to_string(&path).unwrap();
        let (head, rest) = page.split_once(BEGIN).unwrap();
        let (_, tail) = rest.split_once(END).unwrap();
        let made = format!("{head}{BEGIN}{}{END}{tail}", table(engine));
        if environment::variable("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(
            written == made,
            "{} is stale: run the tests with UPDATE_GOLDEN=1",
            path.display()
        );
    }
}
