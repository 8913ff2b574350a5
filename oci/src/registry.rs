//! The client of registries (OCI distribution specification 1.1): manifests and blobs, read and written. Unaware of images as a whole, of
//! the store and of what anything is for.
//!
//! All calls block, and may be made from many threads at once. Connections, limits and repetition are [`crate::http`]'s.
//!
//! The client is not the crate oci-client, of which next to nothing would have been left: it reads manifests, errors and tokens of any
//! size, ends the process at a token with a line feed, never shows `Retry-After`, does not renew a token that is refused, ignores failures
//! of the token service, cannot ask for the two scopes that a mount needs, knows no identity tokens, and leaves no choice about redirects.
//!
//! Whatever a registry does, content is digested before it counts, and credentials go to the host that they are for, over https, except
//! where the user allows plain http.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use crate::digest::Digest;
use crate::http::{self, Method, Notice, StatusCode};
use crate::lock::locked;
use crate::reference::Reference;

mod answer;
mod asked;
mod authorize;
mod blob;
mod challenge;
pub mod configuration;
pub mod credentials;
mod download;
mod endpoint;
mod error;
mod exchange;
mod manifest;
mod reader;
mod tags;
mod token;
mod upload;

pub use configuration::{Configuration, ConfigurationError, Mirror};
pub use credentials::{Credential, CredentialsError, Keychain, Secret};
pub use error::Error;
pub use reader::BlobReader;

use asked::Asked;
use authorize::Authorizations;
use endpoint::Endpoint;
use error::Result;

/// What is said about registries once. The default speaks https to each, anonymously.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Registries, as `host` or `host:port`, that may speak plain http or show a certificate that cannot be checked. Loopback addresses may
    /// speak plain http without being named here.
    pub insecure: Vec<String>,
    /// The same for whatever is pulled from.
    pub insecure_pulls: bool,
    /// So may every registry: `--tls-verify=false`.
    pub all_insecure: bool,
    /// Registry to the mirrors that are asked before it, in this order, when something is pulled.
    pub mirrors: BTreeMap<String, Vec<Mirror>>,
    /// Where user names and passwords are found.
    pub keychain: Keychain,
}

/// A client of all registries. Cheap to make and to clone; clones share connections and tokens.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    http: http::Client,
    settings: Settings,
    authorizations: Authorizations,
    /// Host to the scheme that it speaks, of those that may choose.
    schemes: Mutex<BTreeMap<String, &'static str>>,
    /// A permit for each transfer of a blob.
    transfers: Semaphore,
    /// Mirrors that could not be spoken to: they are not asked again.
    unreachable: Mutex<BTreeSet<String>>,
    /// Mirrors whose failure the user knows of.
    failed_mirrors: Mutex<BTreeSet<String>>,
}

/// A manifest or index as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The digest of `bytes`; where a digest was asked for, that one.
    pub digest: Digest,
    /// One of the four media types of manifests and indexes, as [`crate::media_type`] has them.
    pub media_type: String,
    /// The document, verbatim, at most 4 MiB; it has the fields of its media type and is no deeper than [`crate::document`] allows.
    pub bytes: Vec<u8>,
}

impl Client {
    /// A client; nothing is started, opened or asked yet.
    pub fn new(http: http::Client, settings: Settings) -> Self {
        let transfers = http.settings().patience.transfers;
        Self(Arc::new(Shared {
            http,
            settings,
            authorizations: Authorizations::default(),
            schemes: Mutex::default(),
            transfers: Semaphore::new(transfers.max(1)),
            unreachable: Mutex::default(),
            failed_mirrors: Mutex::default(),
        }))
    }

    /// Where a reference is pulled from, without mirrors that are known to be down.
    fn places(&self, reference: &Reference) -> Vec<Endpoint> {
        let unreachable = locked(&self.0.unreachable);
        let mut places = Endpoint::for_pull(reference, &self.0.settings);
        places.retain(|place| !place.is_mirror || !unreachable.contains(&place.host));
        places
    }

    /// The registry that a reference names.
    fn origin(&self, reference: &Reference) -> Endpoint {
        Endpoint::origin(reference, &self.0.settings)
    }

    /// Asks one place after the other; the last one's failure counts.
    fn ask_places<T>(
        &self,
        reference: &Reference,
        ask: impl Fn(&Endpoint) -> Result<T>,
    ) -> Result<T> {
        let mut asked = Asked::default();
        for endpoint in self.places(reference) {
            match ask(&endpoint) {
                Err(error) if endpoint.is_mirror && !error.is_cancelled() => {
                    self.leave_mirror(&endpoint, &error);
                    asked.note(&endpoint, &error);
                }
                end => return end.map_err(|error| asked.explain(error)),
            }
        }
        // The registry itself is the last one and always there.
        Err(http::Error::Setting {
            what: "mirrors",
            reason: "no registry is left".into(),
        }
        .into())
    }

    /// A mirror failed and another place is asked. The user is told once for each mirror, unless it only lacks the image. A mirror that does
    /// not answer at all is left alone from now on: each request would wait for it anew.
    fn leave_mirror(&self, mirror: &Endpoint, error: &Error) {
        let host = &mirror.host;
        tracing::debug!(%error, mirror = host, "a mirror failed");
        if !error.is_not_found() && locked(&self.0.failed_mirrors).insert(host.clone()) {
            let text = format!("the mirror {host} is passed over: {error}");
            let observer = &self.0.http.settings().observer;
            observer.tell(Notice::Warning(text));
        }
        let is_down = matches!(
            error,
            Error::Http(
                http::Error::Connect { .. }
                    | http::Error::Stalled { .. }
                    | http::Error::Untrusted { .. }
                    | http::Error::NotTls { .. }
            )
        );
        if is_down {
            locked(&self.0.unreachable).insert(host.clone());
        }
    }

    /// Checks a credential with a registry (`docker.io`, `host:port`); [`credentials::store`] keeps it.
    ///
    /// # Errors
    /// [`Error::Denied`] when the registry does not accept it.
    pub fn log_in(&self, registry: &str, credential: &Credential) -> Result<()> {
        let mut settings = self.0.settings.clone();
        settings.keychain = Keychain {
            given: [(registry.to_owned(), credential.clone())].into(),
            ..Keychain::default()
        };
        // Tokens of other credentials must not speak for this one.
        let client = Self::new(self.0.http.clone(), settings);
        let endpoint = Endpoint::of_registry(registry, &client.0.settings);
        // The API's root demands what the registry demands.
        let request = client.request(Method::GET, &endpoint, "")?;
        let mut request = request.called("the registry");
        request.scopes.clear();
        client.ask(&endpoint, &request, &[StatusCode::OK])?;
        Ok(())
    }
}
