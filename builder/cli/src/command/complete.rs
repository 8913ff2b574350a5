//! `kiln __complete -- WORD…`: what may stand at the end of a line, for the scripts that `kiln completions` prints.

use crate::completion;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::stdout;
use clap::Args;
use std::ffi::OsString;

/// Arguments of `kiln __complete`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What stands behind `kiln`, up to the cursor; the last word is the one to complete, and may be empty
    #[arg(last = true, value_name = "WORD")]
    words: Vec<OsString>,
}

/// Prints it. What cannot be read gives no completions: nobody who types wants to see an error.
///
/// # Errors
/// Never.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let words = arguments
        .words
        .iter()
        .map(|word| word.to_string_lossy().into_owned());
    let words: Vec<String> = words.collect();
    stdout::print(completion::answer(&words, globals).as_bytes());
    Ok(())
}
