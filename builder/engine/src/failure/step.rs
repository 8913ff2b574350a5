//! Why a step failed: its command, the files that it copies, the users that it names.

use super::{AgentError, FetchError};
use crate::event::{LogFile, Used};
use kiln_cache::{CommitError, LayerError, ReadError, ResolveError, StoreError};
use kiln_parser::source::Span;
use kiln_sandbox::{EnterError, MountError, NetworkStack, SpawnError};
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// A step that failed.
#[derive(Debug)]
pub struct StepFailure {
    /// Node number.
    pub node: usize,
    /// The instruction.
    pub title: String,
    /// `build 2/5`.
    pub place: String,
    /// Its bytes in the Dockerfile, if it stands there.
    pub span: Option<Span>,
    /// Its first line, from 1.
    pub line: u32,
    /// Why this machine may not run it, when it is for another processor.
    pub emulation: Option<String>,
    /// The reason.
    pub error: StepError,
}

/// Why a step failed.
#[derive(Debug, Error)]
pub enum StepError {
    /// The command ended badly.
    #[error("{}", ended(*code, *signal, *exceeded))]
    Command {
        /// Exit code.
        code: Option<i32>,
        /// Signal that ended it.
        signal: Option<i32>,
        /// The limit of memory, where a process was killed for it.
        exceeded: Option<u64>,
        /// All its output.
        log: LogFile,
        /// What it used.
        used: Used,
        /// What may help.
        hints: Vec<String>,
    },
    /// Files could not be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// USER or an owner is unknown.
    #[error(transparent)]
    User(#[from] UserError),
    /// The machine, or the container that kiln is in, refuses namespaces.
    #[error("RUN needs namespaces, and they are refused here")]
    NoNamespaces(#[source] Arc<EnterError>),
    /// Neither namespaces nor a supervised chroot are possible.
    #[error("{}{refused}", without_namespaces(namespaces.as_deref()))]
    NotSupervised {
        /// Why there are no namespaces, if they were tried.
        namespaces: Option<Arc<EnterError>>,
        /// What is refused.
        refused: Arc<SpawnError>,
    },
    /// The root file system could not be mounted.
    #[error("the root file system cannot be mounted")]
    Mount(#[from] MountError),
    /// The command could not be started.
    #[error("the command cannot be started")]
    Spawn(#[from] SpawnError),
    /// A private network needs a program that is not installed; which ones would do.
    #[error("a private network needs {}, which is not installed", either(.0))]
    NoNetworkStack(Vec<NetworkStack>),
    /// The result could not be kept.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A link of the root file system cannot be followed.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A file of the root file system cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An input or output error of the engine's own files.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A thread that the step needs cannot be started.
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// A source outside the machine cannot be fetched.
    #[error(transparent)]
    Fetch(FetchError),
    /// An SSH agent cannot be used.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A secret cannot be a variable: it is not text.
    #[error(
        "the secret {0} cannot be a variable: it is not UTF-8 text or holds a NUL byte; use it as a file"
    )]
    SecretIsNoText(String),
    /// A secret that is required was not given.
    #[error("the secret {0} is required and was not given: build with --secret id={0},src=FILE")]
    MissingSecret(String),
    /// The step asks for something that kiln does not do here.
    #[error("{0}")]
    Unsupported(String),
    /// Another step failed, or the user asked to stop.
    #[error("stopped")]
    Cancelled,
}

fn either(stacks: &[NetworkStack]) -> String {
    let names: Vec<&str> = stacks.iter().map(|stack| stack.name()).collect();
    names.join(" or ")
}

impl StepError {
    /// Whether it only says that the build is stopped.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled | Self::Store(StoreError::Cancelled))
    }

    /// What the command used that has failed.
    #[must_use]
    pub fn used(&self) -> Option<Used> {
        match self {
            Self::Command { used, .. } => Some(*used),
            _ => None,
        }
    }

    /// Whether the store, or a file of it, had no room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Store(error)
            | Self::Commit(CommitError::Store(error))
            | Self::Copy(CopyError::Store(error)) => error.is_full(),
            Self::Commit(CommitError::Layer(error)) | Self::Copy(CopyError::Layer(error)) => {
                error.is_full()
            }
            _ => false,
        }
    }

    /// The file that is not what it was when its folder was read.
    #[must_use]
    pub fn changed_file(&self) -> Option<&str> {
        match self {
            Self::Copy(CopyError::Layer(LayerError::FileChanged { path })) => Some(path),
            _ => None,
        }
    }
}

impl From<FetchError> for StepError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Cancelled => StepError::Cancelled,
            FetchError::Store(error) => StepError::Store(error),
            other => StepError::Fetch(other),
        }
    }
}

/// Why a COPY or ADD fails.
#[derive(Debug, Error)]
pub enum CopyError {
    /// A path without wildcards that is not there.
    #[error("{path}: not found{}", hint.as_deref().map(|h| format!(" ({h})")).unwrap_or_default())]
    NotFound {
        /// As written.
        path: String,
        /// Why that may be.
        hint: Option<String>,
    },
    /// A pattern that cannot be matched.
    #[error("{0}: bad pattern")]
    BadPattern(String),
    /// An `--exclude` pattern that cannot be matched.
    #[error("--exclude={pattern}: {message}")]
    BadExclude {
        /// As written.
        pattern: String,
        /// What is wrong.
        message: String,
    },
    /// A directory would have to become something else.
    #[error("cannot replace to directory /{0} with file")]
    DirectoryInTheWay(String),
    /// Something that is not a directory would have to hold files.
    #[error("cannot copy to non-directory: /{0}")]
    NotADirectory(String),
    /// `--chown` has an impossible number.
    #[error("--chown={chown}: {source}")]
    Owner {
        /// As written.
        chown: String,
        /// The reason.
        source: UserError,
    },
    /// Links that lead in circles.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The layer could not be written.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The store could not keep the layer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A source could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The source.
        path: String,
        /// The reason.
        source: std::io::Error,
    },
    /// An archive that ADD should unpack is damaged or hostile.
    #[error("cannot unpack {path}: {message}")]
    Archive {
        /// The archive.
        path: String,
        /// What is wrong.
        message: String,
    },
}

/// A user or group that cannot be resolved.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UserError {
    /// The name is in no line of `/etc/passwd`.
    #[error(
        "unable to find user {0}: no such user in the image's /etc/passwd; add it before (RUN useradd {0}), or give a number"
    )]
    NoSuchUser(String),
    /// The name is in no line of `/etc/group`.
    #[error(
        "unable to find group {0}: no such group in the image's /etc/group; add it before (RUN groupadd {0}), or give a number"
    )]
    NoSuchGroup(String),
    /// A number above 2^31-1, as in runc.
    #[error("invalid user or group id {0}: ids go from 0 to 2147483647")]
    OutOfRange(String),
}

fn without_namespaces(refused: Option<&EnterError>) -> String {
    match refused {
        None => "RUN cannot be supervised here: ".to_owned(),
        Some(error) => format!(
            "RUN needs namespaces, and they are refused here: {error}; without them RUN cannot be supervised either: "
        ),
    }
}

fn ended(code: Option<i32>, signal: Option<i32>, exceeded: Option<u64>) -> String {
    // A command that survived the end of one of its processes has a code of its own.
    let survived = code.filter(|code| *code != 137);
    match (code, signal, exceeded) {
        (_, _, Some(limit)) => {
            let killed = match survived {
                None => "killed".to_owned(),
                Some(code) => format!("a process was killed (exit code {code})"),
            };
            let limit = memory(limit);
            format!("{killed}: it used more than the {limit} that --memory allows")
        }
        (_, Some(signal), None) => format!("the command was ended by signal {signal}"),
        (Some(code), None, None) => format!("the command ended with exit code {code}"),
        (None, None, None) => "the command ended in an unknown way".to_owned(),
    }
}

/// As people give limits: `64 MiB`.
pub(crate) fn memory(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units
        .iter()
        .find(|(power, _)| bytes.trailing_zeros() >= *power);
    whole.map_or(format!("{bytes} bytes"), |(power, unit)| {
        format!("{} {unit}", bytes >> power)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_killed_is_named() {
        let told = |code, signal| ended(code, signal, Some(64 << 20));
        let killed = "killed: it used more than the 64 MiB that --memory allows";
        assert_eq!(told(Some(137), None), killed);
        assert_eq!(told(None, Some(9)), killed);
        assert!(told(Some(2), None).starts_with("a process was killed (exit code 2): it used"));
        assert_eq!(memory(3 << 30), "3 GiB");
        assert_eq!(memory((64 << 20) + 1), "67108865 bytes");
    }
}
