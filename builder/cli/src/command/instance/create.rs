//! `docker buildx create`: remembers the name and prints it, as scripts expect. What asks for another machine is refused.

use super::{NEEDLESS, file};
use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::{render, table};
use clap::Args;
use std::fs;

/// Drivers that run BuildKit on this machine: kiln does instead of them.
const HERE: [&str; 3] = ["docker", "docker-container", "kiln"];

/// Arguments of `buildx create`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name of the builder [default: kiln]
    #[arg(long, value_name = "NAME", add = Takes::Single)]
    name: Option<String>,
    /// docker, docker-container or kiln: all mean kiln
    #[arg(long, value_name = "DRIVER", add = Takes::Single)]
    driver: Option<String>,
    /// No effect
    #[arg(long, value_name = "KEY=VALUE", add = Takes::List)]
    driver_opt: Vec<String>,
    /// No effect
    #[arg(long, alias = "config", value_name = "FILE", add = Takes::Single)]
    buildkitd_config: Option<String>,
    /// No effect
    #[arg(long, value_name = "FLAGS", add = Takes::Single)]
    buildkitd_flags: Option<String>,
    /// No effect
    #[arg(long, value_name = "PLATFORM", add = Takes::List)]
    platform: Vec<String>,
    /// No effect
    #[arg(long, value_name = "NODE", add = Takes::Single)]
    node: Option<String>,
    /// No effect
    #[arg(long, value_name = "DURATION", add = Takes::Single)]
    timeout: Option<String>,
    /// No effect
    #[arg(long, add = Takes::Switch)]
    append: bool,
    /// No effect
    #[arg(long, add = Takes::Switch)]
    leave: bool,
    /// No effect
    #[arg(long, add = Takes::Switch)]
    bootstrap: bool,
    /// No effect
    #[arg(long = "use", add = Takes::Switch)]
    select: bool,
    /// A context or socket of docker; other machines are refused
    #[arg(value_name = "ENDPOINT")]
    endpoint: Option<String>,
}

/// Remembers the name.
///
/// # Errors
/// It asks for another machine, or cannot be remembered.
pub fn run(arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    check(&arguments)?;
    let name = arguments.name.unwrap_or_else(|| "kiln".to_owned());
    let file = file(&name)?;
    let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
    let made = folder.and_then(|()| fs::write(&file, ""));
    made.map_err(|error| {
        let message = format!("cannot remember the builder in {}: {error}", file.display());
        Failure::new(Kind::Environment, message)
    })?;
    render::note(NEEDLESS);
    table::line(&name);
    Ok(())
}

fn check(arguments: &Arguments) -> Result<(), Failure> {
    let driver = arguments.driver.as_deref().unwrap_or("kiln");
    if !HERE.contains(&driver) {
        let why = "asks for a builder elsewhere: kiln builds on this machine";
        let failure = Failure::usage(format!("--driver {driver} {why}"));
        return Err(failure.hint(format!("choose {}", HERE.join(", "))));
    }
    let endpoint = arguments.endpoint.as_deref().unwrap_or_default();
    let elsewhere = ["tcp://", "ssh://", "https://"];
    match elsewhere.iter().any(|scheme| endpoint.starts_with(scheme)) {
        true => Err(Failure::usage(format!(
            "{endpoint} is another machine: kiln builds on this one"
        ))),
        false => Ok(()),
    }
}
