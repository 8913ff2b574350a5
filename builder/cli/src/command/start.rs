//! `kiln start`: a container runs, once more or for the first time, with what it has changed before.

use crate::attendant::{background, judged};
use crate::command::run::attended::attended;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::{containers, session};
use clap::Args;
use kiln_engine::event::{Cancel, Events};

/// Arguments of `kiln start`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name or ID of the container
    #[arg(value_name = "CONTAINER")]
    name: String,
    /// Attend it here, and not in the background
    #[arg(short, long, add = Takes::Switch)]
    attach: bool,
    /// The same; standard input is that of the container, if it was made with -i
    #[arg(short, long, add = Takes::Switch)]
    interactive: bool,
}

/// Starts.
///
/// # Errors
/// There is no such container, it runs, or cannot be started.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let is_attached = arguments.attach || arguments.interactive;
    if !is_attached && !background::is_in_background() {
        return background::start();
    }
    let session = session::open(globals, Events::ignored(), Cancel::default())?;
    let kept = containers::find(&session.store, &arguments.name)?;
    let memory = kept.record.draft.container.options.limits.memory;
    let held = kept.hold(&session.store).map_err(containers::failure)?;
    let exit = attended(session, held, (!is_attached).then_some(arguments.name))?;
    match is_attached {
        true => judged(&exit, memory),
        false => Ok(()),
    }
}
