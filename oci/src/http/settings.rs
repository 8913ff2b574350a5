//! What a client is told once, as data. Unaware of where it comes from: the command line reads arguments, files and the environment.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Authorities, Patience, Proxies};

/// How a [`Client`](super::Client) reaches servers. The default asks each server directly and trusts what the system trusts.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The authorities whose certificates count.
    pub authorities: Authorities,
    /// The proxies that connections are made through.
    pub proxies: Proxies,
    /// A socket of this machine on which the only server listens, whatever host is asked.
    pub socket: Option<PathBuf>,
    /// How long the client waits, and how often it tries.
    pub patience: Patience,
    /// Asked several times a second; once it says yes, every call ends with [`Error::Cancelled`](super::Error::Cancelled).
    pub cancel: Cancel,
    /// Hears what does not end a call, but matters to the user.
    pub observer: Observer,
}

/// Something that the user should know while a call goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The call waits, and has done so for [`Patience::notice`].
    Waiting {
        /// Host and port.
        host: String,
        /// What it waits for, such as "an answer".
        what: &'static str,
    },
    /// Something went wrong and was made up for; a sentence.
    Warning(String),
}

/// A listener to notices.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(Notice) + Send + Sync>);

impl Observer {
    /// Calls `hear` with each notice.
    pub fn new(hear: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    /// Tells the listener.
    pub fn tell(&self, notice: Notice) {
        (self.0)(notice);
    }
}

impl Default for Observer {
    fn default() -> Self {
        Self::new(drop)
    }
}

/// The question whether to end.
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
