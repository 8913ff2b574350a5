//! `kiln kill`: containers get a signal.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::{containers, session, signal_name};
use clap::Args;

/// Arguments of `kiln kill`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Names or IDs of containers
    #[arg(value_name = "CONTAINER", required = true)]
    names: Vec<String>,
    /// Signal to send: a name or a number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", add = Takes::Single)]
    signal: String,
}

/// Sends it.
///
/// # Errors
/// A container does not run.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let signal = signal_name::read(&arguments.signal)?;
    let store = session::reading(globals)?;
    containers::each(&arguments.names, |name| {
        let kept = containers::find(&store, name)?;
        let mut line = containers::line(&store, &kept)?;
        line.signal(signal).map_err(containers::failure)?;
        Ok(name.to_owned())
    })
}
