//! `kiln start`: containers run, once more or for the first time, with what they have changed before.

use crate::attendant::{background, judged};
use crate::command::run::attended::attended;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::{containers, session, table};
use clap::Args;
use kiln_engine::event::{Cancel, Events};

/// Arguments of `kiln start`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Names or IDs of containers
    #[arg(value_name = "CONTAINER", required = true)]
    names: Vec<String>,
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
/// There is no such container, or it cannot be started.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    if let Some(name) = background::subject() {
        return in_background(&name, globals);
    }
    match (&*arguments.names, arguments.attach || arguments.interactive) {
        ([name], true) => here(name, globals),
        (_, true) => {
            let failure = Failure::usage("several containers cannot be attended at once");
            Err(failure.hint("leave -a and -i out, or name one container"))
        }
        (names, false) => containers::each_by_itself(names, background::start),
    }
}

/// Starts one here, and attends it.
fn here(name: &str, globals: &Globals) -> Result<(), Failure> {
    let session = session::open(globals, Events::ignored(), Cancel::default())?;
    let kept = containers::find(&session.store, name)?;
    let memory = kept.record.draft.container.options.limits.memory;
    let held = kept.hold(&session.store).map_err(containers::failure)?;
    judged(&attended(session, held, None)?, memory)
}

/// Starts one as the process that runs it; one that runs is as it should be.
///
/// # Errors
/// There is no such container, or it cannot be started.
pub fn in_background(name: &str, globals: &Globals) -> Result<(), Failure> {
    let session = session::open(globals, Events::ignored(), Cancel::default())?;
    let kept = containers::find(&session.store, name)?;
    if kept.runs() {
        table::line(name);
        return Ok(());
    }
    let held = kept.hold(&session.store).map_err(containers::failure)?;
    attended(session, held, Some(name.to_owned())).map(drop)
}
