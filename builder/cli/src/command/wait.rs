//! `kiln wait`: waits until containers have ended, and prints their exit codes.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::{containers, session};
use clap::Args;
use kiln_engine::trial::Status;

/// Arguments of `kiln wait`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Names or IDs of containers
    #[arg(value_name = "CONTAINER", required = true)]
    names: Vec<String>,
}

/// Waits.
///
/// # Errors
/// There is no such container.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let store = session::reading(globals)?;
    containers::each(&arguments.names, |name| {
        let kept = containers::find(&store, name)?;
        let code = match kept.status {
            Status::Exited(_, code) => code,
            Status::Created => 0,
            Status::Running(_) => {
                let mut line = containers::line(&store, &kept)?;
                let ended = line.wait(None).map_err(containers::failure)?;
                ended.unwrap_or_default()
            }
        };
        Ok(code.to_string())
    })
}
