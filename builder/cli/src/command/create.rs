//! `kiln create`: a container with the flags of `kiln run`, which `kiln start` starts.

use crate::command::run;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::table;

pub use run::Arguments;

/// Makes it, and prints its ID.
///
/// # Errors
/// It cannot be made.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let (held, _) = run::created(&arguments, globals, false).map_err(run::not_started)?;
    table::line(&held.record.id);
    Ok(())
}
