//! What can go wrong with a request. Messages never hold a password, a token or the query of a URL (signed addresses carry their secret
//! there). Unaware of how requests are made.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What is waited for until a connection stands.
pub(super) const NO_CONNECTION: &str = "a connection";

/// Why a server did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// [`Cancel`](super::Cancel) said so.
    #[error("cancelled")]
    Cancelled,
    /// No thread for the network's work.
    #[error("a thread cannot be started")]
    Start(#[source] io::Error),
    /// The certificate authorities to trust cannot be read.
    #[error("cannot use the certificates in {path}: {reason}")]
    Authorities {
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
    /// No connection: the name is unknown, or nothing listens there.
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
    /// Nothing, or less than [`Patience`](super::Patience) asks for, came or went.
    #[error("{host} stalled: waited {} s for {what}", .waited.as_secs_f32())]
    Stalled {
        /// Host and port.
        host: String,
        /// What was waited for.
        what: &'static str,
        /// How long.
        waited: Duration,
    },
    /// The server is overloaded and wants to be left alone for longer than is sensible.
    #[error("{host} asks to come back in {} s ({status}){}", .wait.as_secs(), after_colon(message))]
    Busy {
        /// Host and port.
        host: String,
        /// Status code and its name.
        status: String,
        /// The time that it asks for.
        wait: Duration,
        /// What it says, or nothing.
        message: String,
    },
    /// Any other answer than the one that was hoped for.
    #[error("{method} {url} failed: {status}{}", after_colon(message))]
    Status {
        /// What was asked.
        method: String,
        /// Of whom, without a query.
        url: String,
        /// Status code.
        code: u16,
        /// Status code and its name.
        status: String,
        /// What the server says, or nothing.
        message: String,
        /// When it asks to come back.
        retry_after: Option<Duration>,
    },
    /// A redirect that is not followed.
    #[error("{host} redirects {reason}")]
    Redirect {
        /// Host and port.
        host: String,
        /// Where to, and why not.
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
    /// What is to be sent cannot be read.
    #[error("cannot read what is to be sent")]
    Source(#[source] io::Error),
    /// What came cannot be written.
    #[error("cannot write what came")]
    Write(#[source] io::Error),
}

/// What helps where a server counts requests.
const BUSY: &str = "the server allows no more requests for now: wait, log in (who is known may ask more), or use a mirror";

impl Error {
    /// Whether the same request may succeed a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Broken { .. } | Self::Stalled { .. } => true,
            // All but 501, which says that the server cannot do it.
            Self::Status { code, .. } => matches!(code, 408 | 429 | 500 | 502..=599),
            _ => false,
        }
    }

    /// The time in which nothing was heard.
    pub(crate) fn silence(&self) -> Duration {
        match self {
            Self::Stalled { waited, .. } => *waited,
            _ => Duration::ZERO,
        }
    }

    /// Of two attempts of which the second one failed with `then`: the waits together, or the first failure.
    pub(crate) fn or_longer(self, then: Self) -> Self {
        match then {
            Self::Stalled { host, what, waited } => Self::Stalled {
                host,
                what,
                waited: waited + self.silence(),
            },
            _ => self,
        }
    }

    /// Host and port of a server that may do better a moment later.
    pub(super) fn host(&self) -> &str {
        match self {
            Self::Connect { host, .. } | Self::Broken { host, .. } | Self::Stalled { host, .. } => {
                host
            }
            Self::Status { url, .. } => url.split('/').nth(2).unwrap_or_default(),
            _ => "",
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The same, of a server that asks for a pause that is too long.
    pub(super) fn busy(self, wait: Duration) -> Self {
        let host = self.host().to_owned();
        match self {
            Self::Status {
                status, message, ..
            } => Self::Busy {
                host,
                status,
                wait,
                message,
            },
            other => other,
        }
    }

    /// What a reader of an answer failed with.
    pub(super) fn of_reader(error: io::Error, host: &str) -> Self {
        error
            .downcast()
            .unwrap_or_else(|error: io::Error| Self::Broken {
                host: host.into(),
                reason: error.to_string(),
            })
    }

    /// What a person can do about it, when the message does not say it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Untrusted { host, .. } => format!(
                "name the file of its certificate authority in SSL_CERT_FILE, or, if you trust the network, pass \
                 --insecure-registry {host}"
            ),
            Self::NotTls { host } => format!(
                "if it speaks plain http and you trust the network, pass --insecure-registry {host}"
            ),
            Self::Busy { .. } => BUSY.into(),
            Self::Status {
                code: 429,
                retry_after,
                ..
            } => match retry_after {
                Some(wait) => format!("{BUSY}; it asks to come back in {} s", wait.as_secs()),
                None => BUSY.into(),
            },
            Self::Status {
                code: 500..=599, ..
            } => "the server is at fault, not the request: try again later, or wait longer with --retry and --retry-delay".into(),
            Self::Connect { .. }
            | Self::Stalled {
                what: NO_CONNECTION,
                ..
            } => {
                "is the name right, and does a proxy stand between (HTTPS_PROXY, NO_PROXY)?".into()
            }
            _ => return None,
        })
    }
}

/// `: ` and a message, or nothing.
pub(crate) fn after_colon(message: &str) -> String {
    match message {
        "" => String::new(),
        message => format!(": {message}"),
    }
}
