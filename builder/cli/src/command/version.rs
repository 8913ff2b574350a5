//! `kiln version`: which kiln this is, and for which machine.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::table;
use clap::Args;
use kiln_oci::Platform;

/// Arguments of `kiln version`.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Prints it.
///
/// # Errors
/// Never.
pub fn run(_arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    table::line(&format!("kiln {version} ({})", Platform::host()));
    Ok(())
}
