//! Completion of command lines: the scripts for shells, which ask kiln, and its answer. A name is offered only if no shell reads anything
//! else into it, so that nobody has to quote it; files are left to the shell. Unaware of what commands do.
//!
//! The answer has a line for each word, with what it means behind a tab where that is known, and a last line that says whether files fit too:
//! `:files`, `:folders` or `:nothing`.

mod line;
mod names;
#[cfg(test)]
mod tests;

use crate::environment::Globals;
use crate::pflag;
use clap::{Arg, Command, CommandFactory};
use clap_complete::Shell;
use line::{Cursor, Line};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The script of a shell that asks kiln itself.
pub fn script(shell: Shell) -> Option<&'static str> {
    match shell {
        Shell::Bash => Some(include_str!("completion/kiln.bash")),
        Shell::Zsh => Some(include_str!("completion/kiln.zsh")),
        Shell::Fish => Some(include_str!("completion/kiln.fish")),
        _ => None,
    }
}

/// What files may stand in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Files {
    #[default]
    Nothing,
    Any,
    Folders,
}

/// What may stand at the end of a line.
#[derive(Debug, Default)]
struct Answer {
    /// Words, and what they mean.
    words: BTreeMap<String, String>,
    files: Files,
}

impl Answer {
    fn of(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let words = names.into_iter().map(|name| (name.into(), String::new()));
        Answer {
            words: words.collect(),
            files: Files::Nothing,
        }
    }

    /// Words with what they mean.
    fn told(words: Vec<(String, String)>) -> Self {
        Answer {
            words: words.into_iter().collect(),
            files: Files::Nothing,
        }
    }

    fn with(self, files: Files) -> Self {
        Answer { files, ..self }
    }

    /// As lines: the words that begin so, and mean only themselves to a shell.
    fn text(&self, before: &str, begin: &str) -> String {
        let mut text = String::new();
        let fits =
            |word: &String| word.starts_with(begin) && is_plain(word) && !word.starts_with(':');
        for (word, meaning) in self.words.iter().filter(|(word, _)| fits(word)) {
            // writing to a text does not fail
            let _ = match meaning.lines().next() {
                Some(meaning) => writeln!(text, "{before}{word}\t{meaning}"),
                None => writeln!(text, "{before}{word}"),
            };
        }
        text + match self.files {
            Files::Nothing => ":nothing\n",
            Files::Any => ":files\n",
            Files::Folders => ":folders\n",
        }
    }
}

/// Whether a shell reads nothing but letters in a word.
fn is_plain(word: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.,:/@+=".contains(&byte);
    word.bytes().all(is_letter)
}

/// What may stand at the end of a line.
pub fn answer(words: &[String], globals: &Globals) -> String {
    let root = crate::Arguments::command();
    let line = Line::read(&root, words);
    match &line.cursor {
        Cursor::Value {
            flag,
            before,
            begin,
        } => values(flag, &line, globals).text(before, begin),
        Cursor::Flag { begin } => flags(&line).text("", begin),
        Cursor::Word { begin } => {
            let mut answer = line
                .argument()
                .map_or_else(Answer::default, |argument| values(argument, &line, globals));
            if line.arguments.is_empty() {
                answer.words.extend(commands(line.command()));
            }
            answer.text("", begin)
        }
    }
}

/// The commands below one, with what they do.
fn commands(command: &Command) -> impl Iterator<Item = (String, String)> {
    let shown = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let about = |command: &Command| {
        command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    shown.map(move |command| (command.get_name().to_owned(), about(command)))
}

/// The flags of a command, with what they do.
fn flags(line: &Line<'_>) -> Answer {
    let shown = pflag::flags(&line.commands).filter(|flag| !flag.is_hide_set());
    let help = |flag: &Arg| flag.get_help().map(ToString::to_string).unwrap_or_default();
    let named = shown.filter_map(|flag| Some((format!("--{}", flag.get_long()?), help(flag))));
    let mut words: BTreeMap<String, String> = named.collect();
    words.insert("--help".to_owned(), "Print help".to_owned());
    Answer {
        words,
        files: Files::Nothing,
    }
}

/// What a value can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Images,
    /// Images of the store, and archives or folders.
    ImagesAndFiles,
    Stages,
    Arguments,
    Builds,
    Containers,
    /// Containers and builds.
    Logged,
    /// Containers and images.
    Inspected,
    Steps,
    Words(&'static [&'static str]),
    Files,
    Folders,
}

/// Kinds by the flag's id.
const BY_FLAG: [(&str, Kind); 10] = [
    ("build_arg", Kind::Arguments),
    ("tag", Kind::Images),
    ("name", Kind::Images),
    ("manifest", Kind::Images),
    ("destination", Kind::Images),
    (
        "network",
        Kind::Words(&["default", "host", "none", "private"]),
    ),
    (
        "isolation",
        Kind::Words(&["auto", "namespaces", "supervised"]),
    ),
    (
        "pull",
        Kind::Words(&["always", "missing", "never", "newer"]),
    ),
    ("call", Kind::Words(&["check", "outline", "targets"])),
    ("compression", Kind::Words(&["gzip", "none", "zstd"])),
];

/// Platforms that people build for.
const PLATFORMS: &[&str] = &[
    "linux/386",
    "linux/amd64",
    "linux/arm/v7",
    "linux/arm64",
    "linux/riscv64",
    "linux/s390x",
];

/// Kinds by what the help calls the value.
const BY_VALUE: [(&str, Kind); 23] = [
    ("CONTAINER", Kind::Containers),
    ("CONTAINER|BUILD", Kind::Logged),
    ("CONTAINER|IMAGE", Kind::Inspected),
    ("BUILD", Kind::Builds),
    ("STEP", Kind::Steps),
    ("IMAGE", Kind::Images),
    ("A", Kind::ImagesAndFiles),
    ("B", Kind::ImagesAndFiles),
    ("VARIANT", Kind::ImagesAndFiles),
    ("DOCKERFILE|IMAGE", Kind::ImagesAndFiles),
    ("IMAGE|ARCHIVE|LIST", Kind::ImagesAndFiles),
    ("IMAGE|ARCHIVE|FILE", Kind::ImagesAndFiles),
    ("STAGE", Kind::Stages),
    ("PLATFORM", Kind::Words(PLATFORMS)),
    ("OS/ARCH", Kind::Words(PLATFORMS)),
    ("FILE", Kind::Files),
    ("ARCHIVE", Kind::Files),
    ("ROOTFS", Kind::Files),
    ("OUTPUT", Kind::Files),
    ("NAME=SOURCE", Kind::Files),
    ("HOST:TARGET[:ro|:O]", Kind::Files),
    ("DIR", Kind::Folders),
    ("CONTEXT", Kind::Folders),
];

fn kind(argument: &Arg, line: &Line<'_>) -> Option<Kind> {
    let named = argument.get_value_names().unwrap_or_default();
    let named = named.first().map_or("", |name| name.as_str());
    if named == "IMAGE"
        && ["blame", "explore", "size"]
            .iter()
            .any(|command| line.is_of(command))
    {
        return Some(Kind::ImagesAndFiles);
    }
    let by_flag = BY_FLAG.iter().find(|(id, _)| argument.get_id() == id);
    let by_value = || BY_VALUE.iter().find(|(name, _)| *name == named);
    by_flag.or_else(by_value).map(|(_, kind)| *kind)
}

/// What a flag or an argument may be.
fn values(argument: &Arg, line: &Line<'_>, globals: &Globals) -> Answer {
    let possible = argument.get_possible_values();
    if !possible.is_empty() {
        let shown = possible.iter().filter(|value| !value.is_hide_set());
        return Answer::of(shown.map(|value| value.get_name().to_owned()));
    }
    let images = || Answer::of(names::images(line, globals));
    match kind(argument, line) {
        None => Answer::default(),
        Some(Kind::Images) => images(),
        Some(Kind::ImagesAndFiles) => images().with(Files::Any),
        Some(Kind::Builds) => Answer::told(names::builds(line, globals)),
        Some(Kind::Containers) => Answer::told(names::containers(line, globals)),
        Some(Kind::Logged) => {
            let containers = names::containers(line, globals).into_iter();
            Answer::told(containers.chain(names::builds(line, globals)).collect())
        }
        Some(Kind::Inspected) => {
            let containers = names::containers(line, globals).into_iter();
            let containers = containers.map(|(name, _)| name);
            Answer::of(containers.chain(names::images(line, globals)))
        }
        Some(Kind::Steps) => Answer::told(names::steps(line, globals)),
        Some(Kind::Stages) => Answer::of(names::stages(line)),
        Some(Kind::Arguments) => Answer::of(names::arguments(line)),
        Some(Kind::Words(words)) => Answer::of(words.iter().copied()),
        Some(Kind::Files) => Answer::default().with(Files::Any),
        Some(Kind::Folders) => Answer::default().with(Files::Folders),
    }
}
