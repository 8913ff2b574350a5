//! The other side of [`run`](crate::run), [`join`](crate::join), [`probe`](crate::probe), [`try_supervised`](crate::try_supervised) and
//! [`find_cgroup`](crate::find_cgroup): they start the program's own
//! binary under another name, so that what forks and mounts has one thread, and what must be tidied up survives its caller. Unaware of
//! what the program is.

use std::process::ExitCode;

use crate::cgroup::trial::{self, TRIAL};
use crate::doctor::{PROBE, examine};
use crate::process::wire::{JOINS, SUPERVISOR, SUPERVISOR_OF_CALLS};
use crate::process::{join, supervised, supervisor};

/// Whether this process was started by [`run`](crate::run), [`join`](crate::join), [`probe`](crate::probe) or
/// [`find_cgroup`](crate::find_cgroup). If so, this does that work and returns the code to
/// exit with. Call it first thing in `main`, before threads, logging and arguments.
#[must_use]
pub fn main_if_reexecuted() -> Option<ExitCode> {
    let name = std::env::args_os().next()?;
    if name == SUPERVISOR {
        Some(supervisor::main())
    } else if name == SUPERVISOR_OF_CALLS {
        Some(supervised::main())
    } else if name == JOINS {
        Some(join::main())
    } else if name == supervised::trial::TRIAL {
        Some(supervised::trial::main())
    } else if name == PROBE {
        Some(examine::main())
    } else if name == TRIAL {
        Some(trial::main())
    } else {
        None
    }
}
