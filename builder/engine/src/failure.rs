//! Why a build failed, by kind. The command line adds hints and exit codes; nothing here is ever printed by the engine.

use crate::execute::copy::CopyError;
use crate::execute::users::UserError;
use crate::host::agent::AgentError;
use crate::request::policy::Refusal;
use crate::source::fetch::error::FetchError;
use crate::source::host_tools::HostToolsError;
use kiln_cache::{CommitError, ContextError, ImageError, ReadError, ResolveError, StoreError};
use kiln_parser::diagnostic::Diagnostic;
use kiln_parser::source::Span;
use kiln_sandbox::{EnterError, LimitError, MountError, SpawnError};
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;

/// A build that did not end well.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The Dockerfile is wrong; at least one of the diagnostics is an error.
    #[error("the Dockerfile has errors")]
    Dockerfile(Vec<Diagnostic>),
    /// Images that the store does not hold.
    #[error("{} not in the store", if .0.len() == 1 { "an image is" } else { "images are" })]
    MissingImages(Vec<MissingImage>),
    /// Addresses and repositories that only the network has, which must not be used.
    #[error("sources are not in the store")]
    MissingSources(Vec<MissingSource>),
    /// A source policy forbids what the build needs.
    #[error("sources are refused")]
    Refused(Vec<RefusedSource>),
    /// A step failed.
    #[error("{}", .0.title)]
    Step(Box<StepFailure>),
    /// A context could not be read.
    #[error("the build context {name} cannot be read")]
    Context {
        /// Folder or name.
        name: String,
        /// Why.
        #[source]
        source: ContextError,
    },
    /// A file that steers the build could not be used.
    #[error("{path}: {message}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A source outside the machine cannot be had.
    #[error(transparent)]
    Fetch(FetchError),
    /// Programs of the host.
    #[error(transparent)]
    HostTools(#[from] HostToolsError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The image could not be put into the store.
    #[error("the image cannot be stored")]
    Image(#[from] ImageError),
    /// The image is built and in the store, but could not be brought where it should go too.
    #[error("the image is built, but not written to its output")]
    Export(#[from] crate::image::export::ExportError),
    /// The image is built and at its outputs, but the cache for others is not.
    #[error("the image is built, but the cache {place} is not written")]
    Cache {
        /// Where it should be.
        place: String,
        /// Why not.
        #[source]
        source: crate::exchange::BackendError,
    },
    /// A limit of RUN that means nothing on this machine.
    #[error("--{0}")]
    Limit(#[from] LimitError),
    /// The user asked to stop.
    #[error("stopped")]
    Cancelled,
}

/// An image that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingImage {
    /// As the Dockerfile names it, variables expanded.
    pub reference: String,
    /// The place that asks.
    pub span: Span,
    /// Why it cannot be used, when the reason is another than absence.
    pub problem: Option<String>,
    /// What a person can do about it.
    pub hint: Option<String>,
}

/// A source of `ADD` that is not there.
#[derive(Debug)]
pub struct MissingSource {
    /// Why not.
    pub error: FetchError,
    /// The place that asks.
    pub span: Option<Span>,
}

/// A source that a policy forbids, or cannot be used as a policy wants.
#[derive(Debug)]
pub struct RefusedSource {
    /// Why.
    pub refusal: Refusal,
    /// The place that asks; none on the command line.
    pub span: Option<Span>,
}

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
        log: PathBuf,
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
    /// The root file system could not be mounted.
    #[error("the root file system cannot be mounted")]
    Mount(#[from] MountError),
    /// The command could not be started.
    #[error("the command cannot be started")]
    Spawn(#[from] SpawnError),
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
    /// A source outside the machine cannot be had.
    #[error(transparent)]
    Fetch(FetchError),
    /// An SSH agent cannot be used.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A secret that is to be a variable is none.
    #[error(
        "the secret {0} cannot be a variable: it is not UTF-8 text or holds a NUL byte; use it as a file"
    )]
    SecretIsNoText(String),
    /// A secret that is required was not given.
    #[error("the secret {0} is required and was not given")]
    MissingSecret(String),
    /// The step asks for something that kiln does not do here.
    #[error("{0}")]
    Unsupported(String),
    /// Another step failed, or the user asked to stop.
    #[error("stopped")]
    Stopped,
}

impl From<FetchError> for BuildError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Stopped => BuildError::Cancelled,
            FetchError::Store(error) => BuildError::Store(error),
            other => BuildError::Fetch(other),
        }
    }
}

impl From<FetchError> for StepError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Stopped => StepError::Stopped,
            FetchError::Store(error) => StepError::Store(error),
            other => StepError::Fetch(other),
        }
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
