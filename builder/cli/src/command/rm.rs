//! `kiln rm`: containers go, with all that they have changed.

use crate::command::stop::stop;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::{containers, session};
use clap::Args;
use kiln_cache::Store;
use kiln_engine::event::{Cancel, Events};
use signal_hook::consts::SIGKILL;

/// Arguments of `kiln rm`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Names or IDs of containers
    #[arg(value_name = "CONTAINER", required = true)]
    names: Vec<String>,
    /// Kill those that run
    #[arg(short, long, add = Takes::Switch)]
    force: bool,
    /// No effect: kiln has no volumes of containers
    #[arg(short = 'v', long = "volumes", hide = true, add = Takes::Switch)]
    _volumes: bool,
}

/// Removes.
///
/// # Errors
/// There is no such container, or one runs.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    // what it has changed may belong to the IDs of a range
    let session = session::open(globals, Events::ignored(), Cancel::default())?;
    let store = &session.store;
    let removed = containers::each(&arguments.names, |name| {
        if arguments.force {
            match containers::known(store, name)? {
                Some(_) => stop(store, name, Some(SIGKILL), None)?,
                // it is gone, as it should be
                None => return Ok(name.to_owned()),
            }
            // one of --rm has gone by itself
            if containers::known(store, name)?.is_none() {
                return Ok(name.to_owned());
            }
        }
        remove(store, name)?;
        Ok(name.to_owned())
    });
    store.settle()?;
    removed
}

/// Removes one that does not run.
fn remove(store: &Store, name: &str) -> Result<(), Failure> {
    let kept = containers::find(store, name)?;
    let held = kept.hold(store).map_err(containers::failure)?;
    held.remove(store).map_err(containers::failure)
}
