//! Why something failed, by kind: a whole build here, and in the files below each part of one. Every floor may use this one,
//! which uses none: an error is made where the failure happens. The command line adds hints and exit codes, and prints.

mod archive;
mod container;
mod exchange;
mod export;
mod fetch;
mod host;
mod kept;
mod remote;
mod source;
mod step;

pub use archive::ArchiveError;
pub use container::ContainerError;
pub use exchange::{BackendError, Foreign};
pub use export::{ExportError, FlattenError};
pub use fetch::FetchError;
pub use host::{AgentError, HostToolsError};
pub use kept::KeptError;
pub use remote::RemoteError;
pub use source::{MissingImage, MissingSource, Refusal, RefusedSource};
pub(crate) use step::memory;
pub use step::{CopyError, StepError, StepFailure, UserError};

use kiln_cache::{ContextError, ImageError, StoreError};
use kiln_parser::diagnostic::Diagnostic;
use kiln_sandbox::LimitError;
use std::path::PathBuf;
use thiserror::Error;

/// What is wrong with a file: words, or the error of the reader.
pub type Wrong = Box<dyn std::error::Error + Send + Sync>;

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
    /// What a shell would stand on cannot be had.
    #[error(transparent)]
    Mounted(StepError),
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
    #[error("{path}: {wrong}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong: words, or why it cannot be read.
        #[source]
        wrong: Wrong,
    },
    /// A source outside the machine cannot be fetched.
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
    Export(#[from] ExportError),
    /// The image is built and at its outputs, but the cache for others is not.
    #[error("the image is built, but the cache {place} is not written")]
    Cache {
        /// Where it should be.
        place: String,
        /// Why not.
        #[source]
        source: Box<BackendError>,
    },
    /// A cache is described in a way that means nothing.
    #[error("a cache cannot be used")]
    CacheOptions(#[source] ExportError),
    /// A limit of RUN that means nothing on this machine.
    #[error("--{0}")]
    Limit(#[from] LimitError),
    /// The user asked to stop.
    #[error("stopped")]
    Cancelled,
}

impl BuildError {
    /// Whether nothing went wrong, but somebody asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Cancelled | Self::Store(StoreError::Cancelled) => true,
            Self::Step(failure) => failure.error.is_cancelled(),
            _ => false,
        }
    }
}

impl From<FetchError> for BuildError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Cancelled => BuildError::Cancelled,
            FetchError::Store(error) => BuildError::Store(error),
            other => BuildError::Fetch(other),
        }
    }
}

/// An error and its causes on one line: `the store failed: no space left for …`. A cause that the text before it already
/// ends with is not repeated.
#[must_use]
pub fn chain_of_causes(error: &dyn std::error::Error) -> String {
    without_codes(&chain(error))
}

/// The same text without the numbers that Rust puts behind what the system says: `(os error 2)`.
#[must_use]
pub fn without_codes(text: &str) -> String {
    const BEGIN: &str = " (os error ";
    let mut parts = text.split(BEGIN);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((code, rest)) if code.bytes().all(|byte| byte.is_ascii_digit()) => plain += rest,
            _ => plain.extend([BEGIN, part]),
        }
    }
    plain
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
