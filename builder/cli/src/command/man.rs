//! `kiln man`: the manual page, from the same source as the help.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::stdout;
use clap::{Args, CommandFactory};

/// Arguments of `kiln man`.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Prints it in roff.
///
/// # Errors
/// When it cannot be made.
pub fn run(_arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    let page = clap_mangen::Man::new(crate::Arguments::command());
    let mut text = Vec::new();
    page.render(&mut text)
        .map_err(|error| Failure::new(Kind::Internal, error.to_string()))?;
    stdout::print(&text);
    Ok(())
}
