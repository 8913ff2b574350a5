//! `docker buildx stop`: there is nothing that runs.

use super::{NEEDLESS, named};
use crate::environment::Globals;
use crate::failure::Failure;
use crate::render;
use clap::Args;

/// Arguments of `buildx stop`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Builder
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Says so.
///
/// # Errors
/// There is no such builder.
pub fn run(arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    named(arguments.name.as_ref())?;
    render::note(NEEDLESS);
    Ok(())
}
