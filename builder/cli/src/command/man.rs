//! `kiln man`: the manual page, or those of all commands as files, from the same source as the help.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::{help, stdout};
use clap::{Args, Command};
use clap_mangen::Man;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Arguments of `kiln man`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder to write the pages of all commands to, such as ~/.local/share/man/man1; it is created if necessary
    /// [default: the page kiln(1) on standard output]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Prints or writes.
///
/// # Errors
/// When a page cannot be written.
pub fn run(arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    let mut command = help::command();
    command.build();
    let Some(folder) = &arguments.folder else {
        let text =
            page(&command).map_err(|error| Failure::new(Kind::Internal, error.to_string()))?;
        stdout::print(&text);
        return Ok(());
    };
    fs::create_dir_all(folder).map_err(|error| Failure::of_file(folder, &error))?;
    write_all(&command, folder)
}

/// The page of a command and of those below it, each in a file of its own.
fn write_all(command: &Command, folder: &Path) -> Result<(), Failure> {
    let name = command.get_display_name().unwrap_or("kiln");
    let path = folder.join(format!("{name}.1"));
    let written = page(command).and_then(|text| fs::write(&path, text));
    written.map_err(|error| Failure::of_file(&path, &error))?;
    let mut shown = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    shown.try_for_each(|command| write_all(command, folder))
}

/// A page in roff.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let version = concat!("kiln ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone())
        .manual("kiln manual")
        .source(version);
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    text.extend(synopsis(command).bytes());
    man.render_description_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    man.render_options_section(&mut text)?;
    if let Some(examples) = command.get_after_long_help() {
        text.extend(example_section(&examples.to_string()).bytes());
    }
    text.extend(b".SH SEE ALSO\n\\fBkiln\\fR(1)\n");
    Ok(in_ascii(&String::from_utf8_lossy(&text)))
}

/// How the command is written: clap_mangen's own synopsis names every flag.
fn synopsis(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let lines = usage.trim_start_matches("Usage:").lines();
    let lines: Vec<String> = lines.map(|line| escaped(line.trim())).collect();
    format!(".SH SYNOPSIS\n{}", lines.join(".br\n"))
}

/// Other letters by their number: readers of pages know no encoding.
fn in_ascii(text: &str) -> Vec<u8> {
    let letter = |letter: char| match letter.is_ascii() {
        true => letter.to_string(),
        false => format!("\\[u{:04X}]", u32::from(letter)),
    };
    text.chars().map(letter).collect::<String>().into_bytes()
}

/// A line as it is, with what roff would read as its own written out.
fn escaped(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    let line = line.replace('\'', "\\(aq").replace('`', "\\(ga");
    // one that begins with a dot would be a request
    format!("\\&{line}\n")
}

/// Examples as they are typed, without filling.
fn example_section(help: &str) -> String {
    let lines = help.lines().skip(1);
    let lines: String = lines
        .map(|line| escaped(line.strip_prefix("  ").unwrap_or(line)))
        .collect();
    format!(".SH EXAMPLES\n.nf\n{lines}.fi\n")
}
