//! `kiln debug`: how kiln reads things, as JSON for tools. Shapes are documented in `kiln_parser::debug`.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::table;
use clap::{Args, Subcommand};
use std::io::BufRead;
use std::path::PathBuf;

/// Arguments of `kiln debug`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// A Dockerfile's instructions; exit code 1 if it has errors
    Parse {
        /// As JSON, the only form
        #[arg(long, required = true)]
        json: bool,
        /// The Dockerfile
        file: PathBuf,
    },
    /// Words after expansion: one JSON object a line on standard input
    Words {
        /// As JSON, the only form
        #[arg(long, required = true)]
        json: bool,
    },
    /// Which paths patterns ignore: one JSON object a line on standard input
    Ignore {
        /// As JSON, the only form
        #[arg(long, required = true)]
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
            let bytes = std::fs::read(&file)
                .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
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

fn lines(answer: impl Fn(&str) -> String) -> Result<(), Failure> {
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Failure::usage(format!("standard input: {error}")))?;
        if !line.trim().is_empty() {
            table::line(&answer(&line));
        }
    }
    Ok(())
}
