//! HTTP for all of kiln: connections, proxies, certificate authorities, time limits, retries, cancellation, and transfers with
//! progress. Registries, `ADD` of addresses and object storage stand on it. Unaware of what is asked for.
//!
//! Calls block; tokio is inside only, started by the first request. All calls may be made from many threads at once.
//!
//! What holds for every request: the connection, the answer, and each piece of a body have a time limit and stop at
//! [`Cancel`]; a wait that is longer than [`Patience::notice`] is told to the [`Observer`]; an answer has a limit of size; nothing leads
//! from https to plain http; an `Authorization` header goes to the scheme, host and port that it is for (CVE-2020-15157).

use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Runtime};

mod answer;
mod authorities;
mod error;
mod patience;
mod proxies;
mod request;
mod retry;
mod settings;
mod transport;
mod upload;

pub use answer::Answer;
pub use authorities::Authorities;
pub use error::Error;
pub(crate) use error::after_colon;
pub use patience::Patience;
pub use proxies::Proxies;
pub use request::{Body, Redirects, Request, same_origin};
pub use reqwest::{Method, StatusCode, Url, header};
pub use retry::Attempts;
pub use settings::{Cancel, Notice, Observer, Settings};
pub use transport::{host_of, without_query};
pub use upload::{Position, Rest, Upload};

use transport::Transports;

/// Threads that serve connections; the caller's thread does the digests and the disk.
const THREADS: usize = 2;

/// Debug output for types whose content says nothing, or too much.
macro_rules! opaque {
    ($($name:ty),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}
opaque!(
    Attempts,
    Body<'_>,
    Observer,
    Position,
    Redirects<'_>,
    Rest,
    Upload
);

/// Shorthand of this module.
type Result<T> = std::result::Result<T, Error>;

/// A client of all servers. Cheap to make and to clone; clones share their connections.
#[derive(Debug, Clone, Default)]
pub struct Client(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    settings: Settings,
    transports: Transports,
    runtime: OnceLock<Runtime>,
}

impl Client {
    /// A client; nothing is started, opened or asked yet.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            settings,
            transports: Transports::default(),
            runtime: OnceLock::new(),
        }))
    }

    /// What the client was given.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    fn runtime(&self) -> Result<&Runtime> {
        if let Some(runtime) = self.0.runtime.get() {
            return Ok(runtime);
        }
        let mut builder = Builder::new_multi_thread();
        let builder = builder.worker_threads(THREADS).thread_name("http");
        let runtime = builder.enable_all().build().map_err(Error::Start)?;
        Ok(self.0.runtime.get_or_init(|| runtime))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A name that is still being resolved must not hold up the end.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
