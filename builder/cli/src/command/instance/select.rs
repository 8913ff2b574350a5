//! `docker buildx use`: all builders are the same one.

use super::{NEEDLESS, named};
use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::render;
use clap::Args;

/// Arguments of `buildx use`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// No effect
    #[arg(long, add = Takes::Switch)]
    default: bool,
    /// No effect
    #[arg(long, add = Takes::Switch)]
    global: bool,
    /// Builder
    #[arg(value_name = "NAME")]
    name: String,
}

/// Says so.
///
/// # Errors
/// There is no such builder.
pub fn run(arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    named(Some(&arguments.name))?;
    render::note(NEEDLESS);
    Ok(())
}
