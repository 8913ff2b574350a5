//! Verbs of buildx that mean BuildKit's own daemon: they are known, and refused with the reason.

use crate::environment::Globals;
use crate::failure::Failure;
use clap::Args;
use std::ffi::OsString;

/// Arguments of a verb that is refused: whatever they are.
#[derive(Debug, Args)]
pub struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _words: Vec<OsString>,
}

/// Refuses.
///
/// # Errors
/// Always.
pub fn run(_arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    let message = "this verb speaks to BuildKit's own daemon, which kiln does not have";
    Err(Failure::usage(message).hint("`docker buildx build` and `docker buildx prune` need none"))
}
