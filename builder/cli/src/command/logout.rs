//! `kiln logout`: credentials that are kept no longer.

use crate::command::login;
use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::{network, table};
use clap::Args;
use kiln_engine::chain_of_causes;
use kiln_oci::http::Cancel;
use kiln_oci::registry::credentials;

/// Arguments of `kiln logout`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The registry, as host or host:port
    #[arg(value_name = "REGISTRY", default_value = "docker.io")]
    registry: String,
}

/// Removes what is kept, from all files that are looked into.
///
/// # Errors
/// When a file cannot be used.
pub fn run(arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    let registry = login::host(&arguments.registry)?;
    let mut removed = false;
    for file in network::credential_files() {
        removed |= credentials::erase(&file, &registry, &Cancel::default())
            .map_err(|error| Failure::new(Kind::Environment, chain_of_causes(&error)))?;
    }
    table::line(&if removed {
        format!("Removed login credentials for {registry}")
    } else {
        format!("Not logged in to {registry}")
    });
    Ok(())
}
