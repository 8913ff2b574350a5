//! The command's side of a run without namespaces: a process in a chroot that gives up its rights, asks to be supervised and executes the
//! command. Unaware of who answers its calls.

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{chdir, chroot, fchdir, setsid};
use serde::{Deserialize, Serialize};

use super::call;
use crate::cgroup::Cgroups;
use crate::process::init::{die_with_supervisor, give_stdin};
use crate::process::terminal::{self, Borrowed};
use crate::process::{exec, rights, wire};
use crate::{RunSpec, SpawnError, seccomp, sys};

/// Everything that a run needs.
#[derive(Debug)]
pub struct Job {
    pub spec: RunSpec,
    /// The tree.
    pub root: OwnedFd,
    pub stdin: Option<OwnedFd>,
    /// Trees of which parts are put into the tree.
    pub roots: Vec<OwnedFd>,
    /// Sockets that get a name in the tree.
    pub sockets: Vec<OwnedFd>,
    /// Whether groups cannot be set here.
    pub groups_are_denied: bool,
    /// Signals that are ignored, to be put back to their default.
    pub ignored: Vec<i32>,
    /// A terminal that is given back at the end.
    pub borrowed: Option<Borrowed>,
}

/// What the command's side says, once.
#[derive(Debug, Serialize, Deserialize)]
pub enum Said {
    /// The command is executed next. With the descriptor by which its calls are answered.
    Supervised,
    /// It cannot be executed.
    Failed(SpawnError),
}

/// Runs the command, or says why not and ends.
pub fn main(job: &Job, cgroups: &Cgroups, say: &OwnedFd) -> ! {
    let Err(error) = start(job, cgroups, say);
    // If the supervisor is gone there is nobody to tell.
    let _ = wire::send(say, &Said::Failed(error), &[]);
    sys::exit_now(125)
}

fn start(job: &Job, cgroups: &Cgroups, say: &OwnedFd) -> Result<Infallible, SpawnError> {
    die_with_supervisor()?;
    cgroups.join()?;
    let stdin = job.stdin.as_ref().map(OwnedFd::try_clone).transpose();
    give_stdin(stdin.map_err(SpawnError::of("dup stdin"))?)?;
    fchdir(&job.root).map_err(SpawnError::of("fchdir to the root"))?;
    chroot(".").map_err(SpawnError::of("chroot to the root"))?;
    chdir("/").map_err(SpawnError::of("chdir to the root"))?;
    let _ = setsid();
    if job.spec.terminal.is_some() {
        terminal::control()?;
    }
    rights::assume_in_chroot(&job.spec, job.groups_are_denied)?;
    // The change of the user has cleared it.
    die_with_supervisor()?;
    sys::close_others_on_exec().map_err(SpawnError::of("close_range"))?;
    sys::reset_signals(&job.ignored);
    let listener = seccomp::load_supervised(call::is_notified);
    let listener = listener.map_err(SpawnError::of("load the seccomp filter"))?;
    let said = wire::send(say, &Said::Supervised, &[listener.as_fd()]);
    said.map_err(SpawnError::of("send the listener"))?;
    exec::exec(&job.spec)
}
