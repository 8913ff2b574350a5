//! What can go wrong with registries. Messages never hold a password, a token or the query of a
//! URL (signed addresses carry their secret there). Unaware of how requests are made.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::digest::Digest;

/// Why a registry did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// [`Cancel`](super::Cancel) said so.
    #[error("cancelled")]
    Cancelled,
    /// The network's threads could not be started.
    #[error("cannot start the network's threads")]
    Start(#[source] io::Error),
    /// The certificates to trust cannot be read.
    #[error("cannot use the certificates in {path}: {reason}")]
    Certificates {
        /// The file or folder that was named.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A setting cannot be used.
    #[error("{what}: {reason}")]
    Setting {
        /// Which one.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// No connection: the name is unknown, nobody listens, nobody answers.
    #[error("cannot connect to {host}: {reason}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the system says.
        reason: String,
    },
    /// The certificate cannot be trusted.
    #[error("the certificate of {host} is not trusted: {reason}")]
    Untrusted {
        /// Host and port.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// https was spoken to, something else answered.
    #[error("{host} does not speak https")]
    NotTls {
        /// Host and port.
        host: String,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("the connection to {host} broke: {reason}")]
    Broken {
        /// Host and port.
        host: String,
        /// What the system says.
        reason: String,
    },
    /// Less moved than [`Patience`](super::Patience) asks for.
    #[error("{host} stalled: waited {} s for {what}", .waited.as_secs_f32())]
    Stalled {
        /// Host and port.
        host: String,
        /// What was waited for.
        what: &'static str,
        /// How long.
        waited: Duration,
    },
    /// The registry is overloaded and wants to be left alone for longer than is sensible.
    #[error("{host} asks to come back in {} s ({status}){message}", .wait.as_secs())]
    Busy {
        /// Host and port.
        host: String,
        /// Status code and its name.
        status: String,
        /// The time that it asks for.
        wait: Duration,
        /// What it says, with `: ` before it, or nothing.
        message: String,
    },
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
    /// Any other answer than the one that was hoped for.
    #[error("{method} {url} failed: {status}{message}")]
    Status {
        /// What was asked.
        method: &'static str,
        /// Of whom, without a query.
        url: String,
        /// Status code.
        code: u16,
        /// Status code and its name.
        status: String,
        /// What the registry says, with `: ` before it, or nothing.
        message: String,
        /// When it asks to come back.
        retry_after: Option<Duration>,
    },
    /// The answer breaks the protocol.
    #[error("{url} answered nonsense: {reason}")]
    Protocol {
        /// Of whom, without a query.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A redirect that is not followed.
    #[error("{host} redirects {reason}")]
    Redirect {
        /// Host and port.
        host: String,
        /// Where to, and why not.
        reason: String,
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
    /// An answer that is larger than allowed.
    #[error("{url} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for, without a query.
        url: String,
        /// How large it may be.
        limit: u64,
    },
    /// A manifest that is none, or one of two kinds at once.
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
    /// A file of credentials or a credential helper.
    #[error(transparent)]
    Credentials(#[from] super::credentials::CredentialsError),
}

/// Statuses that are often better a moment later.
const PASSING: [u16; 6] = [408, 429, 500, 502, 503, 504];

impl Error {
    /// Whether the same request may succeed a moment later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Broken { .. } | Self::Stalled { .. } => true,
            Self::Status { code, .. } => PASSING.contains(code),
            _ => false,
        }
    }

    /// Whether the registry has no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// What a person can do about it, when the message does not say it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Untrusted { host, .. } => format!(
                "name the file of its certificate authority in SSL_CERT_FILE, or, if you trust the network, pass \
                 --insecure-registry {host}"
            ),
            Self::NotTls { host } => {
                format!(
                    "if it speaks plain http and you trust the network, pass --insecure-registry {host}"
                )
            }
            Self::Denied { host, .. } => format!("log in with `kiln login {host}`"),
            Self::Connect { .. } => {
                "is the name right, and does a proxy stand between (HTTPS_PROXY, NO_PROXY)?".into()
            }
            _ => return None,
        })
    }
}

/// Shorthand of this module.
pub(super) type Result<T> = std::result::Result<T, Error>;
