//! `kiln debug`: how kiln reads things, as JSON for tools. Shapes are documented in docs/debug.md.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::{stdout, table, units};
use clap::{Args, Subcommand};
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

/// The longest question.
const MAX_LINE: u64 = 64 << 20;

/// Arguments of `kiln debug`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// A Dockerfile's instructions as one JSON object; exit code 1 if it has errors
    ///
    /// Prints {"error", "directives", "escape", "instructions", "stages", "global_args"}; what cannot be known because of an error is missing.
    Parse {
        /// As JSON, the only form
        #[arg(long, required = true, add = Takes::Switch)]
        json: bool,
        /// The Dockerfile, or - for standard input
        file: PathBuf,
    },
    /// Words after expansion: one JSON object a line on standard input
    ///
    /// Takes {"id", "word", "env", "mode", "escape", "quotes", "unset"}, gives {"id"} with "result" and "unset", "words" or "error".
    Words {
        /// As JSON, the only form
        #[arg(long, required = true, add = Takes::Switch)]
        json: bool,
    },
    /// Which paths patterns ignore: one JSON object a line on standard input
    ///
    /// Takes {"id", "patterns" or "file", "paths"}, gives {"id"} with "ignored" (and "patterns" as read from a file) or "error".
    Ignore {
        /// As JSON, the only form
        #[arg(long, required = true, add = Takes::Switch)]
        json: bool,
    },
}

/// Shows.
///
/// # Errors
/// When the input cannot be read or the Dockerfile has errors.
pub fn run(arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    match arguments.verb {
        Verb::Parse { file, .. } => {
            let bytes = read(&file).map_err(|error| Failure::of_file(&file, &error))?;
            let (value, good) = kiln_parser::debug::parse_json(&String::from_utf8_lossy(&bytes));
            table::line(&value.to_string());
            if good {
                Ok(())
            } else {
                Err(Failure::new(Kind::Build, ""))
            }
        }
        Verb::Words { .. } => lines(kiln_parser::debug::words_line),
        Verb::Ignore { .. } => lines(kiln_parser::debug::ignore_line),
    }
}

/// A Dockerfile's bytes; of one that is too long as many as make the parser say so.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = kiln_parser::MAX_SOURCE as u64 + 1;
    if path.as_os_str() == "-" {
        io::stdin().lock().take(most).read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn lines(answer: impl Fn(&str) -> String) -> Result<(), Failure> {
    let wrong = |why: String| Failure::usage(format!("standard input: {why}"));
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let mut limited = input.by_ref().take(MAX_LINE + 1);
        let read = limited.read_until(b'\n', &mut line);
        if read.map_err(|error| wrong(error.to_string()))? == 0 {
            return Ok(());
        }
        if line.len() as u64 > MAX_LINE {
            return Err(wrong(format!(
                "a line has more than {}",
                units::bytes(MAX_LINE)
            )));
        }
        let line = String::from_utf8_lossy(&line);
        if !line.trim().is_empty() {
            table::line(&answer(&line));
        }
        if !stdout::is_open() {
            return Ok(());
        }
    }
}
