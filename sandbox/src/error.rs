//! What can go wrong, with the failing step, the path, the cause and what a person can do about it.
//! Unaware of how errors are shown.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use rustix::process::geteuid;

use crate::enter::MAP;
use crate::hint;

/// [`enter`](crate::enter) failed. The process can go on with everything but mounts and runs.
#[derive(Debug, Error)]
pub enum EnterError {
    /// The caller has threads already; namespaces are entered before the first one.
    #[error("namespaces can be entered only by a process with one thread; this one has {0}")]
    Threads(usize),
    /// A system call failed.
    #[error("{step}: {source}")]
    Step {
        /// What was tried: `unshare(user namespace)`, `write uid_map`.
        step: &'static str,
        /// The answer of the kernel.
        source: io::Error,
    },
    /// newuidmap or newgidmap failed after the other one had succeeded, so one id is no way out any more.
    #[error("{helper} failed: {message}; without the range (disable idrange) a build has one id")]
    IdRange {
        /// `newuidmap` or `newgidmap`.
        helper: &'static str,
        /// What it said.
        message: String,
    },
    /// Namespaces are needed and were disabled by the caller.
    #[error("{0} are disabled")]
    Disabled(&'static str),
}

impl EnterError {
    /// What can be done about it, a line for each who can.
    #[must_use]
    pub fn hints(&self) -> Vec<&'static str> {
        match self {
            Self::Step { step: MAP, .. } if geteuid().is_root() => vec![hint::ROOT],
            Self::Step { source, .. } => hint::user_namespaces(source),
            Self::Disabled(_) => hint::CONTAINERS.to_vec(),
            Self::Threads(_) | Self::IdRange { .. } => Vec::new(),
        }
    }
}

/// [`mount_overlay`](crate::mount_overlay) failed.
#[derive(Debug, Error)]
pub enum MountError {
    /// More lowers than the kernel takes.
    #[error("an overlay holds at most {limit} layers here; this one has {lowers}")]
    TooMany {
        /// How many were given.
        lowers: usize,
        /// How many are possible: 500, less without `lowerdir+`.
        limit: usize,
    },
    /// A system call failed.
    #[error("{step}{}: {source}{}", at(path), advice(hint))]
    Step {
        /// What was tried: `fsopen overlay`, `lowerdir+`.
        step: &'static str,
        /// The folder it was about.
        path: Option<PathBuf>,
        /// The answer of the kernel.
        source: io::Error,
        /// What the kernel said besides, or what can be done.
        hint: Option<String>,
    },
}

/// [`find_cgroup`](crate::find_cgroup): processors or memory nodes that there are not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{limit} {wanted}: this machine offers {present}")]
pub struct LimitError {
    /// `cpuset-cpus` or `cpuset-mems`.
    pub limit: &'static str,
    /// What was asked for.
    pub wanted: String,
    /// What there is.
    pub present: String,
}

/// The command could not be started. (A command that failed is an [`Exit`](crate::Exit).)
#[derive(Debug, Error)]
pub enum SpawnError {
    /// The spec asks for something impossible.
    #[error("{0}")]
    Invalid(String),
    /// A user or group that the user namespace does not have.
    #[error(
        "user {uid}:{gid} does not exist here, because the build has no range of ids: install newuidmap (package uidmap) \
         and give this user lines in /etc/subuid and /etc/subgid"
    )]
    NoSuchId {
        /// The user id that was asked for.
        uid: u32,
        /// The group id that was asked for.
        gid: u32,
    },
    /// A [`RootMount`](crate::RootMount) serves one run.
    #[error("a root mount can be used by one run only; mount the overlay again")]
    RootUsed,
    /// A step failed before the command started.
    #[error("{step}{}: {source}{}", at(path), advice(hint))]
    Step {
        /// What was tried: `mount /proc`, `pivot_root`.
        step: String,
        /// The path it was about, inside the root where not said otherwise.
        path: Option<PathBuf>,
        /// The answer of the kernel.
        source: io::Error,
        /// What can be done.
        hint: Option<String>,
    },
    /// The process that watches over the command was killed from outside; the command was killed too.
    #[error("the sandbox process was killed: {0}")]
    Lost(String),
}

fn at(path: &Option<PathBuf>) -> String {
    path.as_ref()
        .map(|path| format!(" {path:?}"))
        .unwrap_or_default()
}

fn advice(hint: &Option<String>) -> String {
    hint.as_ref()
        .map(|hint| format!("; {hint}"))
        .unwrap_or_default()
}
