//! `kiln rename`: a container is called otherwise.

use crate::command::run;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::{containers, session};
use clap::Args;

/// Arguments of `kiln rename`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name or ID of the container
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// What it is called from now on
    #[arg(value_name = "NEW_NAME")]
    name: String,
}

/// Renames.
///
/// # Errors
/// There is no such container, or the name is taken.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    run::check_name(&arguments.name)?;
    let store = session::reading(globals)?;
    let kept = containers::find(&store, &arguments.container)?;
    let renamed = kept.rename(&store, &arguments.name);
    renamed.map_err(containers::failure)
}
