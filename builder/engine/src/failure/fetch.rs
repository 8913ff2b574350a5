//! Why something outside cannot be fetched. Addresses are shown without their credentials. Unaware of Dockerfiles.

use super::{AgentError, CopyError, Wrong};
use kiln_cache::{LayerError, ReadError, StoreError};
use std::path::PathBuf;
use thiserror::Error;

/// See the module.
#[derive(Debug, Error)]
pub enum FetchError {
    /// An address that cannot be used.
    #[error("{url}: {message}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        message: String,
    },
    /// The other side could not be reached, or the connection broke.
    #[error("cannot fetch {url}: {reason}")]
    Connection {
        /// The address.
        url: String,
        /// Why, on one line.
        reason: String,
    },
    /// The other side answers that it will not.
    #[error("cannot fetch {url}: the server answers {status}")]
    Status {
        /// The address.
        url: String,
        /// Number and name: `404 Not Found`.
        status: String,
    },
    /// More than kiln takes.
    #[error("cannot fetch {url}: it has more than {limit} bytes")]
    TooLarge {
        /// The address.
        url: String,
        /// Bytes.
        limit: u64,
    },
    /// Not what was asked for.
    #[error("{url} is {found}, expected {expected}")]
    Checksum {
        /// The address.
        url: String,
        /// What the Dockerfile says.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The network must not be used.
    #[error("{url} is needed, and the network must not be used")]
    Offline {
        /// The address.
        url: String,
        /// What the store holds of it, as the checksum that would name it.
        held: Option<String>,
    },
    /// The repository does not have what is asked for.
    #[error("{url} has no branch, tag or commit {reference}")]
    NoReference {
        /// The address.
        url: String,
        /// As written.
        reference: String,
    },
    /// The commit does not have the folder.
    #[error("{url} has no folder {folder:?}")]
    NoFolder {
        /// The address.
        url: String,
        /// As written.
        folder: String,
    },
    /// git cannot be started.
    #[error("git cannot be started: {0}")]
    NoGit(String),
    /// A program of this machine cannot be started.
    #[error("{program} cannot be started")]
    Start {
        /// What it is.
        program: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A thread cannot be started.
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// git failed.
    #[error("git {action} of {url} failed: {message}")]
    Git {
        /// What it should do.
        action: String,
        /// The address.
        url: String,
        /// What it said, on one line.
        message: String,
    },
    /// git did not end in time.
    #[error("git {action} of {url} took too long")]
    GitTooSlow {
        /// What it should do.
        action: String,
        /// The address.
        url: String,
    },
    /// A file of the engine's own.
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
    /// An archive that cannot be unpacked.
    #[error(transparent)]
    Archive(#[from] CopyError),
    /// An OCI layout that cannot be used.
    #[error("the OCI layout {path}: {wrong}")]
    Layout {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong: words, or why it cannot be read.
        #[source]
        wrong: Wrong,
    },
    /// What was fetched cannot be made a layer.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// What was fetched cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A repository's files cannot be read.
    #[error(transparent)]
    Files(#[from] kiln_cache::ContextError),
    /// The SSH agent cannot be used.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The user asked to stop.
    #[error("stopped")]
    Cancelled,
}

impl FetchError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            FetchError::Status { status, url }
                if status.starts_with("401") || status.starts_with("403") =>
            {
                let secret = format!("id=HTTP_AUTH_TOKEN_{},env=TOKEN", web_host(url));
                return Some(format!("credentials come from secrets: --secret {secret}"));
            }
            FetchError::Offline {
                held: Some(held), ..
            } => {
                let checksum = format!("--checksum={held}");
                return Some(format!(
                    "the store holds it as it was last fetched: with {checksum} it is used without the network"
                ));
            }
            FetchError::Offline { held: None, .. } => "build once without --offline",
            FetchError::NoGit(_) => "install git, or fetch the repository before the build",
            FetchError::Git { message, .. } => git_hint(message)?,
            FetchError::Connection { reason, .. } if reason.contains("certificate") => {
                "own certificate authorities come from SSL_CERT_FILE or SSL_CERT_DIR"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// What helps against a message of git.
fn git_hint(message: &str) -> Option<&'static str> {
    let secret = "credentials come from secrets: --secret id=GIT_AUTH_TOKEN,env=TOKEN";
    let hints = [
        ("could not read Username", secret),
        ("Authentication failed", secret),
        (
            "Permission denied (publickey",
            "ssh uses the keys of an agent: --ssh default, or --ssh default=KEY",
        ),
        (
            "Host key verification failed",
            "the host shows another key than ~/.ssh/known_hosts has; if that is right: ssh-keygen -R HOST",
        ),
    ];
    let found = hints.iter().find(|(said, _)| message.contains(said));
    found.map(|(_, hint)| *hint)
}

fn web_host(url: &str) -> String {
    kiln_oci::http::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| "HOST".to_owned())
}
