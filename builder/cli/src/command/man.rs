//! `kiln man`: the manual page, from the same source as the help.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use clap::{Args, CommandFactory};

/// Arguments of `kiln man`.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Prints it in roff.
///
/// # Errors
/// When standard output fails.
pub fn run(_arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    let page = clap_mangen::Man::new(crate::Arguments::command());
    page.render(&mut std::io::stdout())
        .map_err(|error| Failure::new(Kind::Environment, error.to_string()))
}
