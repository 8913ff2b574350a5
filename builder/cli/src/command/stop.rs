//! `kiln stop`: containers get the signal that stops them, and those that go on are killed after a while.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::{containers, session};
use clap::Args;
use kiln_cache::Store;
use signal_hook::consts::SIGKILL;
use std::time::Duration;

/// Seconds until a container is killed; docker's number.
const PATIENCE: i64 = 10;

/// How containers are stopped.
#[derive(Debug, Args)]
#[group(skip)]
pub struct How {
    /// Seconds until a container that goes on is killed; -1 for never [default: 10]
    #[arg(short, long, alias = "timeout", value_name = "SECONDS", allow_negative_numbers = true, add = Takes::Number)]
    time: Option<i64>,
    /// Signal to send [default: the container's --stop-signal]
    #[arg(short, long, value_name = "SIGNAL", add = Takes::Single)]
    signal: Option<String>,
}

impl How {
    /// The signal, if it is not the container's own, and how long it is waited for; forever without a time.
    ///
    /// # Errors
    /// There is no such signal.
    pub fn read(&self) -> Result<(Option<i32>, Option<Duration>), Failure> {
        let signal = self.signal.as_deref().map(crate::signal_name::read);
        let seconds = self.time.unwrap_or(PATIENCE);
        let patience = u64::try_from(seconds).ok().map(Duration::from_secs);
        Ok((signal.transpose()?, patience))
    }
}

/// Arguments of `kiln stop`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    how: How,
    /// Names or IDs of containers
    #[arg(value_name = "CONTAINER", required = true)]
    names: Vec<String>,
}

/// Stops.
///
/// # Errors
/// There is no such container.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let (signal, patience) = arguments.how.read()?;
    let store = session::reading(globals)?;
    containers::each(&arguments.names, |name| {
        stop(&store, name, signal, patience)?;
        Ok(name.to_owned())
    })
}

/// Stops one. One that does not run is as it should be.
///
/// # Errors
/// There is no such container.
pub fn stop(
    store: &Store,
    name: &str,
    signal: Option<i32>,
    patience: Option<Duration>,
) -> Result<(), Failure> {
    let kept = containers::find(store, name)?;
    if !kept.runs() {
        return Ok(());
    }
    let mut line = containers::line(store, &kept)?;
    let signal = signal.unwrap_or(kept.record.draft.stop_signal);
    line.signal(signal).map_err(containers::failure)?;
    let ended = line.wait(patience).map_err(containers::failure)?;
    if ended.is_none() {
        line.signal(SIGKILL).map_err(containers::failure)?;
        line.wait(None).map_err(containers::failure)?;
    }
    Ok(())
}
