//! What the help says beyond what commands and flags say of themselves: the one screen of `kiln build -h`, and examples below the help of
//! commands, which their manual pages show too. Unaware of what commands do.

mod examples;

use clap::{Arg, Command, CommandFactory};
use examples::EXAMPLES;
use std::ffi::{OsStr, OsString};

/// The flags of `kiln build -h`, in its order, and what it says of each. `--help` says more, and has all flags.
const SCREEN: &[(&str, &str)] = &[
    ("file", "Dockerfile [default: the one in CONTEXT]"),
    ("tag", "Name for the image, as name:tag"),
    ("target", "Stage to build [default: the last]"),
    ("build_arg", "Value of an ARG"),
    ("build_context", "Folder or image that stages can name"),
    ("platform", "Such as linux/amd64,linux/arm64"),
    ("label", "Label of the image"),
    ("secret", "id=ID,src=FILE or id=ID,env=NAME"),
    ("ssh", "default, or keys: ID=KEY"),
    ("network", "Network of RUN: default, none, private"),
    ("no_cache", "Run every step again"),
    ("pull", "Ask registries for newer base images"),
    ("cache_from", "Cache to read, of another machine"),
    ("cache_to", "Cache to write, for other machines"),
    ("output", "FOLDER, or type=TYPE,dest=PATH"),
    ("push", "Push the image to the registry of its name"),
    ("metadata_file", "Write digests and names to a file"),
    ("progress", "auto, plain, tty, json, rawjson, quiet"),
    ("quiet", "Print only the ID of the image"),
    ("check", "Look for mistakes instead of building"),
];

/// The layout of that screen. It is as high as a small terminal, with the line of the prompt.
const LAYOUT: &str = "{usage-heading} {usage}
CONTEXT is a folder, a git repository, the URL of an archive, or - for stdin
{options}";

/// The whole command line, with examples below the help.
pub fn command() -> Command {
    with_examples(crate::Arguments::command())
}

/// The command line as a line asks for it: who asks for no help needs no examples.
pub fn for_line(command: Command, line: &[OsString]) -> Command {
    let asks = |help: &str| {
        line.iter()
            .take_while(|word| *word != "--")
            .any(|word| word == help)
    };
    if asks("-h") && is_build(line) {
        return on_screen(command);
    }
    if asks("--help") {
        return with_examples(command);
    }
    command
}

/// Whether the line is one of `kiln build`, by any of its names. Flags have been written as one word each.
fn is_build(line: &[OsString]) -> bool {
    let words = line
        .iter()
        .skip(1)
        .filter(|word| !word.as_encoded_bytes().starts_with(b"-"));
    let mut words = words.map(OsString::as_os_str);
    let first = words.next();
    let groups = ["image", "builder", "buildx"].map(OsStr::new);
    let word = if first.is_some_and(|first| groups.contains(&first)) {
        words.next()
    } else {
        first
    };
    word == Some(OsStr::new("build"))
}

/// Only what stands on the screen, in all commands that are called `build`.
fn on_screen(command: Command) -> Command {
    let command = command.mut_args(|flag| flag.hide(true));
    command.mut_subcommands(|command| match command.get_name() {
        "build" => screen(command),
        _ => command.mut_subcommands(|command| match command.get_name() {
            "build" => screen(command),
            _ => command,
        }),
    })
}

fn screen(build: Command) -> Command {
    let shown = |flag: Arg| {
        let mut screen = SCREEN.iter().enumerate();
        match screen.find(|(_, (id, _))| flag.get_id() == id) {
            Some((place, (_, text))) => brief(flag, text).display_order(place),
            None if flag.is_positional() => flag,
            None => flag.hide(true),
        }
    };
    let build = build.mut_args(shown).help_template(LAYOUT);
    build.disable_version_flag(true).after_long_help("")
}

/// A flag on one line.
fn brief(flag: Arg, text: &'static str) -> Arg {
    let flag = flag.help(text).hide_env(true);
    if flag.get_action().takes_values() {
        return flag.hide_possible_values(true).hide_default_value(true);
    }
    flag
}

/// All commands that have examples, with them.
fn with_examples(command: Command) -> Command {
    command.mut_subcommands(|command| match examples(command.get_name()) {
        Some(text) => command.after_long_help(text),
        None => command,
    })
}

/// The examples of a command, as its help shows them.
fn examples(command: &str) -> Option<String> {
    let (_, examples) = EXAMPLES.iter().find(|(name, _)| *name == command)?;
    let line = |(what, line): &(&str, &str)| format!("  # {what}\n  {line}\n");
    let text: String = examples.iter().map(line).collect();
    Some(format!("Examples:\n{text}"))
}
