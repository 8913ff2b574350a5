//! Starts a command in a root file system and waits for it: the calling side. Unaware of mounts and namespaces, which are
//! made by the re-executed binary.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::{RootMount, RunSpec, SpawnError};

/// Where the command reads from.
#[derive(Debug)]
pub enum Stdin {
    /// `/dev/null`.
    Null,
    /// This file.
    Fd(OwnedFd),
}

/// The command's standard streams. Pipes are given to the command's user, so that it can open `/dev/stdout`.
#[derive(Debug)]
pub struct Stdio {
    /// What it reads.
    pub stdin: Stdin,
    /// What it writes to. A pipe reaches its end when the command and all its children are gone.
    pub stdout: OwnedFd,
    /// What it complains to; may be a duplicate of `stdout`.
    pub stderr: OwnedFd,
}

/// A command that runs. Dropping it kills it, with every process that it started.
#[derive(Debug)]
pub struct Running {
    _private: (),
}

/// Kills a [`Running`] from another thread, however often.
#[derive(Debug, Clone)]
pub struct KillHandle {
    _private: (),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// The exit code, when it ended by itself. 127: not found, 126: found but not executable.
    pub code: Option<i32>,
    /// The signal that ended it otherwise.
    pub signal: Option<i32>,
    /// CPU time in user mode, of it and the children that it waited for.
    pub user_time: Duration,
    /// CPU time in the kernel, likewise.
    pub system_time: Duration,
    /// The largest resident set of one process, in KiB.
    pub max_rss_kib: u64,
}

/// Starts `spec` in `root`. `extra` are what [`MountKind::Root`](crate::MountKind::Root) counts. May be called from any thread; the command does
/// not depend on that thread's life. Returns once the command is executing (or was not found: see [`Exit::code`]).
///
/// # Errors
/// With the step that failed. What the command itself does is never an error.
pub fn run(
    root: &RootMount,
    spec: &RunSpec,
    stdio: Stdio,
    extra: &[&RootMount],
) -> Result<Running, SpawnError> {
    let _ = (root, spec, stdio, extra);
    Err(SpawnError::RootUsed)
}

impl Running {
    /// Waits until the command has ended and all its processes are gone.
    ///
    /// # Errors
    /// When the process that watches over it was killed.
    pub fn wait(self) -> Result<Exit, SpawnError> {
        Err(SpawnError::RootUsed)
    }

    /// A handle that kills the command and everything that it started.
    #[must_use]
    pub fn kill_handle(&self) -> KillHandle {
        KillHandle { _private: () }
    }

    /// What is weaker inside than it should be (a `/proc` that shows the host's processes), for a person.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        None
    }
}

impl KillHandle {
    /// Kills with SIGKILL. Nothing happens when it has ended already.
    pub fn kill(&self) {}
}
