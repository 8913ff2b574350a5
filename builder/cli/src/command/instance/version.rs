//! `docker buildx version`: kiln's version behind that of the buildx which it answers like. Scripts take the first version for buildx's.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::{plugin, table};
use clap::Args;

/// Arguments of `buildx version`.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Prints it.
///
/// # Errors
/// Never.
pub fn run(_arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    table::line(&format!(
        "kiln/buildx {} kiln-{}",
        plugin::LEVEL,
        env!("CARGO_PKG_VERSION")
    ));
    Ok(())
}
