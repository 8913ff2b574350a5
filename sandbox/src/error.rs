//! What can go wrong: the step that failed, its path, the cause, and what a person can do about it.
//! Unaware of how errors are shown.

pub(crate) mod hint;

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The step that needs the capability SETFCAP when root does it.
pub(crate) const MAP: &str = "write uid_map";

/// [`enter`](crate::enter) failed. The process can still do everything but mount and run.
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
    /// newgidmap failed after newuidmap had succeeded, so it is too late to fall back to one id.
    #[error("{helper} failed: {message}; without the range (disable idrange) a build has one id")]
    IdRange {
        /// `newuidmap` or `newgidmap`.
        helper: &'static str,
        /// What it said.
        message: String,
    },
    /// The caller disabled the namespaces that are needed.
    #[error("{0} are disabled")]
    Disabled(&'static str),
}

impl EnterError {
    pub(crate) fn at<E: Into<io::Error>>(step: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self::Step {
            step,
            source: error.into(),
        }
    }

    /// Whether the kernel has refused something, and not the caller.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Step { .. })
    }

    /// What can be done about it, one line for each person who can do something.
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
        /// How many are possible: 500, fewer without `lowerdir+`.
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

impl MountError {
    pub(crate) fn step<E: Into<io::Error>>(
        step: &'static str,
        path: Option<&Path>,
        hint: Option<String>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.map(Path::to_owned);
        move |error| Self::Step {
            step,
            path,
            source: error.into(),
            hint,
        }
    }
}

/// [`find_cgroup`](crate::find_cgroup): the machine does not have these processors or memory nodes.
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
///
/// Most of these errors happen in the re-executed process and travel to the caller.
#[derive(Debug, Error, Serialize, Deserialize)]
pub enum SpawnError {
    /// The spec asks for something impossible.
    #[error("{0}")]
    Invalid(String),
    /// The user namespace does not have this user or group.
    #[error("user {uid}:{gid} does not exist here, because {}", why_not_there(*has_range))]
    NoSuchId {
        /// The user id that was asked for.
        uid: u32,
        /// The group id that was asked for.
        gid: u32,
        /// There are other ids than that of the user who runs this.
        has_range: bool,
    },
    /// A port of the host cannot be taken.
    #[error("port {port} of this machine cannot be taken: {source}")]
    Port {
        /// `127.0.0.1:8080/tcp`.
        port: String,
        /// The answer of the kernel.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// A [`RootMount`](crate::RootMount) serves one run.
    #[error("a root mount can be used by one run only; mount the overlay again")]
    RootUsed,
    /// A step failed before the command started.
    #[error("{step}{}: {source}{}", at(path), advice(hint))]
    Step {
        /// What was tried: `mount /proc`, `pivot_root`.
        step: String,
        /// The path it was about, inside the root unless the step says otherwise.
        path: Option<PathBuf>,
        /// The answer of the kernel.
        #[serde(with = "errno")]
        source: io::Error,
        /// What can be done.
        hint: Option<String>,
    },
    /// No network stack of the host could connect the command's network; what each said.
    #[error("its network cannot be connected: {0}")]
    Network(String),
    /// The process that watches over the command was killed from outside; the command was killed too.
    #[error("the sandbox process was killed: {0}")]
    Lost(String),
}

impl SpawnError {
    /// A step failed that was about `path`.
    pub(crate) fn at<E: Into<io::Error>>(
        step: &str,
        path: &str,
    ) -> impl FnOnce(E) -> Self + use<E> {
        let (step, path) = (step.to_owned(), (!path.is_empty()).then(|| path.into()));
        move |error| Self::Step {
            step,
            path,
            source: error.into(),
            hint: None,
        }
    }

    /// A step failed that was about nothing in particular.
    pub(crate) fn of<E: Into<io::Error>>(step: &str) -> impl FnOnce(E) -> Self + use<E> {
        Self::at(step, "")
    }

    /// Whether what was asked for is impossible, and not something missing on this machine.
    #[must_use]
    pub fn is_of_request(&self) -> bool {
        match self {
            Self::Invalid(_) | Self::Port { .. } => true,
            Self::NoSuchId { has_range, .. } => *has_range,
            Self::Step { step, source, .. } => {
                step == CHDIR && source.kind() == io::ErrorKind::NotADirectory
            }
            Self::RootUsed | Self::Network(_) | Self::Lost(_) => false,
        }
    }

    /// The same error with advice, if it is a failed step with this error number.
    pub(crate) fn with_hint(mut self, errno: i32, advice: &str) -> Self {
        if let Self::Step { source, hint, .. } = &mut self
            && source.raw_os_error() == Some(errno)
        {
            *hint = Some(advice.to_owned());
        }
        self
    }
}

/// The step that enters the folder of the command.
pub(crate) const CHDIR: &str = "chdir";

fn why_not_there(has_range: bool) -> &'static str {
    match has_range {
        true => "the range of ids of this user is smaller (/etc/subuid, /etc/subgid)",
        false => {
            "the build has no range of ids: install newuidmap (package uidmap) and give this user lines in /etc/subuid and /etc/subgid"
        }
    }
}

/// An I/O error travels as the number that the kernel gave.
mod errno {
    use std::io;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(error: &io::Error, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i32(error.raw_os_error().unwrap_or(libc::EIO))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<io::Error, D::Error> {
        i32::deserialize(from).map(io::Error::from_raw_os_error)
    }
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
