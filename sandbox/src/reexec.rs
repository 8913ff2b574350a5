//! The other side of [`run`](crate::run) and [`probe`](crate::probe): both start the program's own binary under another name, so that
//! what forks and mounts has one thread. Unaware of what the program is.

use std::process::ExitCode;

use crate::doctor::{PROBE, examine};
use crate::process::{supervisor, wire::SUPERVISOR};

/// Whether this process was started by [`run`](crate::run) or [`probe`](crate::probe). If so, this does that work and returns the code to
/// exit with. Call it first thing in `main`, before threads, logging and arguments.
#[must_use]
pub fn main_if_reexecuted() -> Option<ExitCode> {
    let name = std::env::args_os().next()?;
    if name == SUPERVISOR {
        Some(supervisor::main())
    } else if name == PROBE {
        Some(examine::main())
    } else {
        None
    }
}
