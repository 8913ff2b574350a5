//! What a registry client is told once, as data. Unaware of where it comes from: the command line
//! reads arguments, files and the environment.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::configuration::Mirror;
use super::credentials::Keychain;

/// How a [`Client`](super::Client) reaches registries. The default asks each registry itself, over
/// https, anonymously, and trusts what the system trusts.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Registries, as `host` or `host:port`, that may speak plain http or show a certificate that
    /// cannot be checked. Loopback addresses may speak plain http without being named here.
    pub insecure: Vec<String>,
    /// The same for whatever is pulled from.
    pub insecure_pulls: bool,
    /// So may every registry: `--tls-verify=false`.
    pub all_insecure: bool,
    /// Registry to the mirrors that are asked before it, in this order, when something is pulled.
    pub mirrors: BTreeMap<String, Vec<Mirror>>,
    /// Where user names and passwords are found.
    pub keychain: Keychain,
    /// Which authorities may vouch for a registry.
    pub certificates: Certificates,
    /// Through whom connections are made.
    pub proxies: Proxies,
    /// How long is waited for what.
    pub patience: Patience,
    /// Asked several times a second; once it says yes, every call ends with
    /// [`Error::Cancelled`](super::Error::Cancelled).
    pub cancel: Cancel,
    /// Hears what does not end a call, but matters to whoever set this up.
    pub told: Told,
}

/// Somebody who hears what happens, in words.
#[derive(Clone)]
pub struct Told(Arc<dyn Fn(String) + Send + Sync>);

impl Told {
    /// Calls `tell` with each text.
    pub fn by(tell: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(super) fn of(&self, text: String) {
        (self.0)(text);
    }
}

impl Default for Told {
    fn default() -> Self {
        Self::by(drop)
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

/// Which certificate authorities are trusted. Both empty: those of the system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    /// A file of PEM certificates (`SSL_CERT_FILE`); it replaces the system's.
    pub file: Option<PathBuf>,
    /// A folder of such files (`SSL_CERT_DIR`); it replaces the system's.
    pub directory: Option<PathBuf>,
}

/// Proxies as URLs, which may hold `user:password@`. Debug output leaves them out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For plain http (`HTTP_PROXY`).
    pub http: Option<String>,
    /// For https (`HTTPS_PROXY`).
    pub https: Option<String>,
    /// Hosts, domains and networks that are reached directly, with commas between (`NO_PROXY`).
    /// Loopback addresses always are.
    pub no_proxy: Option<String>,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

/// How long a client waits, how often it tries, how much it does at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// Until a connection, with TLS, stands.
    pub connect: Duration,
    /// Until an answer begins.
    pub answer: Duration,
    /// Until an answer begins that a registry gives once it has stored a whole blob.
    pub commit: Duration,
    /// The window in which a transfer must move at least [`Patience::least`] bytes.
    pub stall: Duration,
    /// Bytes that must move in each window; a transfer as a whole may take as long as it needs.
    pub least: u64,
    /// Attempts after the first one, without progress between them.
    pub retries: u32,
    /// The pause before the first of these; it doubles each time, up to [`Patience::longest_pause`].
    pub pause: Duration,
    /// The longest pause, also when a registry asks for a longer one with `Retry-After`; when it asks
    /// for more than [`Patience::longest_retry_after`], the attempt is given up.
    pub longest_pause: Duration,
    /// The longest `Retry-After` that is obeyed.
    pub longest_retry_after: Duration,
    /// Blobs that are downloaded or uploaded at once; further callers wait.
    pub transfers: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            answer: Duration::from_secs(60),
            commit: Duration::from_secs(600),
            stall: Duration::from_secs(30),
            least: 4096,
            retries: 4,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(8),
            longest_retry_after: Duration::from_secs(60),
            transfers: 4,
        }
    }
}

/// The question whether to go on.
#[derive(Clone)]
pub struct Cancel(Arc<dyn Fn() -> bool + Send + Sync>);

impl Cancel {
    /// Calls are cancelled once `requested` returns true; it must be quick.
    pub fn when(requested: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(requested))
    }

    /// Whether to end.
    pub fn requested(&self) -> bool {
        (self.0)()
    }
}

impl Default for Cancel {
    fn default() -> Self {
        Self::when(|| false)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.requested()).finish()
    }
}
