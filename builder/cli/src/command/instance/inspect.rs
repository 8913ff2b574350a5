//! `docker buildx inspect`: the one builder, in the lines that CI actions read.

use super::named;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::{plugin, table};
use clap::Args;
use kiln_oci::Platform;

/// Arguments of `buildx inspect`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// No effect: it is always ready
    #[arg(long, add = Takes::Switch)]
    bootstrap: bool,
    /// Builder
    #[arg(long, value_name = "NAME", add = Takes::Single)]
    builder: Option<String>,
    /// Builder
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Shows it.
///
/// # Errors
/// There is no such builder.
pub fn run(arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    let name = named(arguments.name.or(arguments.builder).as_ref())?;
    let lines = [
        format!("Name:          {name}"),
        "Driver:        kiln".to_owned(),
        String::new(),
        "Nodes:".to_owned(),
        format!("Name:             {name}"),
        "Endpoint:         this machine".to_owned(),
        "Status:           running".to_owned(),
        format!("BuildKit version: {}", plugin::LEVEL),
        format!("Platforms:        {}", Platform::host()),
    ];
    lines.iter().for_each(|line| table::line(line));
    Ok(())
}
