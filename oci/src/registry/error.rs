//! What can go wrong with registries. Messages hold no secrets. Unaware of how requests are made.

use std::io;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::http;

/// Why a registry did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer, or none that helps.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// There is no such manifest or blob.
    #[error("{what} is not in {host}{message}")]
    NotFound {
        /// The reference or digest.
        what: String,
        /// Host and port.
        host: String,
        /// What the registry says, with `: ` before it, or nothing.
        message: String,
    },
    /// The registry wants other credentials, or any.
    #[error("{host} refuses access to {what}: {reason}")]
    Denied {
        /// Host and port.
        host: String,
        /// The repository, or "the registry".
        what: String,
        /// Which credentials were shown, and what the registry says.
        reason: String,
    },
    /// The answer breaks the protocol.
    #[error("{url} answered nonsense: {reason}")]
    Protocol {
        /// Of whom, without a query.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The registry was set up to delete nothing.
    #[error("{host} deletes nothing")]
    NoDeletion {
        /// Host and port.
        host: String,
    },
    /// The service that hands out tokens.
    #[error("cannot get a token for {host} from {realm}: {reason}")]
    Token {
        /// The registry's host and port.
        host: String,
        /// The service, without a query.
        realm: String,
        /// What is wrong.
        reason: String,
    },
    /// A manifest that cannot be one, or is of two kinds at once.
    #[error("the manifest {what} from {host} is refused: {reason}")]
    Manifest {
        /// The reference.
        what: String,
        /// Host and port.
        host: String,
        /// Why.
        reason: String,
    },
    /// Content with another digest or size, more than once.
    #[error("{host} sent wrong content for {expected}: {actual}")]
    Content {
        /// Host and port.
        host: String,
        /// What was asked for.
        expected: Digest,
        /// What came, in words.
        actual: String,
    },
    /// The part file of a download.
    #[error("cannot write {path}")]
    Part {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The content of a blob to push cannot be read, or is not what its descriptor says.
    #[error("cannot read the blob {digest} to push it")]
    Source {
        /// The blob.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// Neither a mirror nor the registry did it.
    #[error("{mirrors}, then the registry")]
    Mirrored {
        /// Which mirrors were asked, each with its answer.
        mirrors: String,
        /// The failure of the registry.
        source: Box<Error>,
    },
    /// A file of credentials or a credential helper.
    #[error(transparent)]
    Credentials(#[from] super::credentials::CredentialsError),
}

impl Error {
    /// The failure of the registry itself.
    fn of_registry(&self) -> &Self {
        match self {
            Self::Mirrored { source, .. } => source,
            error => error,
        }
    }

    /// Whether the registry has no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self.of_registry(), Self::NotFound { .. })
    }

    /// Whether the user wanted to end.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.of_registry(), Self::Http(http::Error::Cancelled))
    }

    /// Whether the registry said no, to this request at least.
    pub(super) fn is_refusal(&self) -> bool {
        use Error::{Denied, Http, NotFound, Token};
        matches!(
            self.of_registry(),
            Denied { .. } | NotFound { .. } | Token { .. } | Http(http::Error::Status { .. })
        )
    }

    /// What a person can do about it, when the message does not say it.
    pub fn hint(&self) -> Option<String> {
        match self.of_registry() {
            Self::Http(error) => error.hint(),
            Self::Denied { host, reason, .. } => Some(match reason.contains("403") {
                true => {
                    format!("log in with `kiln login {host}` as somebody who has the right to it")
                }
                false => format!("log in with `kiln login {host}`"),
            }),
            Self::NoDeletion { .. } => Some(
                "let it delete (Distribution's registry: REGISTRY_STORAGE_DELETE_ENABLED=true), or set rules of its own for what it keeps".to_owned(),
            ),
            _ => None,
        }
    }
}

/// Shorthand of this module.
pub(super) type Result<T> = std::result::Result<T, Error>;
