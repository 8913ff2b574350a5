//! `kiln restart`: containers are stopped, and run once more, in the background.

use crate::attendant::background;
use crate::command::{start, stop};
use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::{containers, session};
use clap::Args;
use kiln_cache::Store;

/// Arguments of `kiln restart`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    how: stop::How,
    /// Names or IDs of containers
    #[arg(value_name = "CONTAINER", required = true)]
    names: Vec<String>,
}

/// Restarts.
///
/// # Errors
/// There is no such container, or it cannot be started.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    if let Some(name) = background::subject() {
        return start::in_background(&name, globals);
    }
    let how = arguments.how.read()?;
    let store = session::reading(globals)?;
    containers::each_by_itself(&arguments.names, |name| {
        may_stay(&store, name)?;
        stop::stop(&store, name, how.0, how.1)?;
        background::start(name)
    })
}

/// One that is removed when it ends cannot run once more.
fn may_stay(store: &Store, name: &str) -> Result<(), Failure> {
    let kept = containers::find(store, name)?;
    if !(kept.record.draft.is_temporary && kept.runs()) {
        return Ok(());
    }
    let message =
        format!("the container {name} was run with --rm, and is gone when it has stopped");
    Err(Failure::new(Kind::Build, message).hint("run it without --rm"))
}
