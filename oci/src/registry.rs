//! The client of registries (OCI distribution specification 1.1): manifests and blobs, read and
//! written. Unaware of images as a whole, of the store and of what anything is for.
//!
//! Calls block; tokio is inside only, started by the first call that needs the network. All calls
//! may be made from many threads at once.
//!
//! The client stands on reqwest and not on the crate oci-client, of which next to nothing would have
//! been left: it reads manifests, errors and tokens of any size, ends the process at a token with a
//! line feed, never shows `Retry-After`, does not renew a token that is refused, ignores failures of
//! the token service, cannot ask for the two scopes that a mount needs, knows no identity tokens, and
//! leaves no choice about redirects. http-auth (challenges), rustls-native-certs (certificates), jiff
//! (dates) and base64 are used for what they do.
//!
//! What holds whatever a registry does: each answer has a limit of size and of time, each transfer a
//! least speed, each repetition a number; content is digested before it counts; credentials go to the
//! host that they are for, over https, except where the user allows plain http.

use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Runtime};

use crate::descriptor::Descriptor;
use crate::digest::{Digest, Hasher};
use crate::document::MAX_DOCUMENT;
use crate::reference::Reference;

mod answer;
mod authorize;
mod blob;
mod challenge;
pub mod configuration;
pub mod credentials;
mod download;
mod endpoint;
mod error;
mod exchange;
mod login;
mod manifest;
mod retry;
mod session;
mod settings;
mod tags;
mod token;
mod transport;
mod upload;
mod upload_body;

pub use blob::BlobReader;
pub use configuration::{Configuration, ConfigurationError, Mirror};
pub use credentials::{Credential, CredentialsError, Keychain, Secret};
pub use error::Error;
pub use settings::{Cancel, Certificates, Patience, Proxies, Settings, Told};

use blob::BlobStream;
use endpoint::Endpoint;
use error::Result;
use session::Session;

/// Threads that serve connections; whoever calls does the digests and the disk.
const THREADS: usize = 2;

/// A client of all registries. Cheap to make and to clone; clones share connections and tokens.
#[derive(Debug, Clone)]
pub struct Client(Arc<Shared>);

/// A manifest or index as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The digest of `bytes`; where a digest was asked for, that one.
    pub digest: Digest,
    /// One of the four media types of manifests and indexes, as [`crate::media_type`] has them.
    pub media_type: String,
    /// The document, verbatim, at most 4 MiB; it has the fields of its media type and is no deeper
    /// than [`crate::document`] allows.
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
struct Shared {
    session: Session,
    runtime: OnceLock<Runtime>,
}

impl Shared {
    fn runtime(&self) -> Result<&Runtime> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let mut builder = Builder::new_multi_thread();
        let builder = builder.worker_threads(THREADS).thread_name("registry");
        let runtime = builder.enable_all().build().map_err(Error::Start)?;
        Ok(self.runtime.get_or_init(|| runtime))
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

impl Client {
    /// A client; nothing is started, opened or asked yet.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Shared {
            session: Session::new(settings),
            runtime: OnceLock::new(),
        }))
    }

    /// The manifest or index that `reference` names (by its digest, else its tag, else `latest`),
    /// checked against the digest. Mirrors are asked first.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the registry has none; [`Error`] otherwise.
    pub fn manifest(&self, reference: &Reference) -> Result<Fetched> {
        self.ask_places(reference, async |session, endpoint| {
            session.manifest(endpoint, reference).await
        })
    }

    /// The digest of what `reference` names now, by a HEAD request where the registry answers it.
    ///
    /// # Errors
    /// As [`Client::manifest`].
    pub fn manifest_digest(&self, reference: &Reference) -> Result<Digest> {
        self.ask_places(reference, async |session, endpoint| {
            session.manifest_digest(endpoint, reference).await
        })
    }

    /// Fetches `blob` of the repository of `reference` into `part_file`, and continues what the file
    /// holds already. On success the file holds exactly the blob, with the right size and digest;
    /// it is not synced. When the connection is lost for good, or the call is cancelled, the file keeps
    /// what came, for the next call; when the content is wrong twice, the file is removed.
    ///
    /// `progress` gets the number of bytes that the file holds, often; it falls when a wrong part is
    /// dropped. At most [`Patience::transfers`] run at once.
    ///
    /// # Errors
    /// [`Error`]; of the file as [`Error::Part`].
    pub fn download(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        part_file: &Path,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<()> {
        let session = &self.0.session;
        let endpoints = session.places(reference);
        self.run(session.download(&endpoints, blob, part_file, progress))
    }

    /// A small blob of the repository of `reference`, checked; wrong content is fetched again.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more bytes than a document has; [`Error`].
    pub fn document(&self, reference: &Reference, blob: &Descriptor) -> Result<Vec<u8>> {
        let limit = MAX_DOCUMENT as u64;
        if blob.size > limit {
            let url = blob.digest.to_string();
            return Err(Error::TooLarge { url, limit });
        }
        let session = &self.0.session;
        self.run(session.document(&session.places(reference), blob))
    }

    /// The tags of the repository of `reference`, in the order of the registry.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such repository; [`Error`] otherwise.
    pub fn tags(&self, reference: &Reference) -> Result<Vec<String>> {
        self.ask_places(reference, async |session, endpoint| {
            session.tags(endpoint).await
        })
    }

    /// Reads `blob` of the repository of `reference` without a file. The end is only reached when size
    /// and digest are right; otherwise reading fails with [`io::ErrorKind::InvalidData`]. A broken
    /// connection is continued by itself. The network is asked at the first `read`.
    ///
    /// # Errors
    /// None yet; the first `read` fails where the blob is missing.
    pub fn open_blob(&self, reference: &Reference, blob: &Descriptor) -> Result<BlobReader> {
        let endpoints = self.0.session.places(reference);
        let stream = BlobStream::new(endpoints, blob, Hasher::default(), 0);
        Ok(BlobReader::new(self.0.clone(), stream))
    }

    /// Whether the repository of `reference` has a blob; asked before it is pushed.
    ///
    /// # Errors
    /// [`Error`], when the registry answers neither yes nor no.
    pub fn has_blob(&self, reference: &Reference, digest: Digest) -> Result<bool> {
        let session = &self.0.session;
        let endpoint = Endpoint::origin(reference, &session.settings);
        self.run(session.has_blob(&endpoint, digest))
    }

    /// Asks the registry to take a blob of the repository of `from` into that of `to`. False when it
    /// does not, for whatever reason, or when these are two registries: then the blob is pushed.
    ///
    /// # Errors
    /// [`Error::Cancelled`], and failures of the connection.
    pub fn mount_blob(&self, to: &Reference, from: &Reference, digest: Digest) -> Result<bool> {
        let session = &self.0.session;
        if to.registry != from.registry {
            return Ok(false);
        }
        let endpoint = Endpoint::origin(to, &session.settings);
        self.run(session.mount_blob(&endpoint, &from.repository, digest))
    }

    /// Pushes a blob into the repository of `reference`: in one request, in pieces where the registry
    /// refuses that, continued after a break where it remembers. `open` gives the blob from its first
    /// byte; it may be called several times. At most [`Patience::transfers`] run at once. Whether the
    /// registry has the blob already is not asked.
    ///
    /// # Errors
    /// [`Error`]; of `open` and its reader as [`Error::Source`].
    pub fn push_blob(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        open: &(dyn Fn() -> io::Result<Box<dyn Read + Send>> + Sync),
    ) -> Result<()> {
        let session = &self.0.session;
        let endpoint = Endpoint::origin(reference, &session.settings);
        self.run(session.push_blob(&endpoint, blob, open))
    }

    /// Puts a manifest or index under the tag of `reference`, or its digest where it has one; its
    /// digest.
    ///
    /// # Errors
    /// [`Error`], also when the digest of `reference` is another one.
    pub fn push_manifest(
        &self,
        reference: &Reference,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest> {
        let session = &self.0.session;
        let endpoint = Endpoint::origin(reference, &session.settings);
        self.run(session.push_manifest(&endpoint, reference, media_type, bytes))
    }

    /// Checks a credential with a registry (`docker.io`, `host:port`); [`credentials::store`] keeps it.
    ///
    /// # Errors
    /// [`Error::Denied`] when the registry does not accept it.
    pub fn log_in(&self, registry: &str, credential: &Credential) -> Result<()> {
        let mut settings = self.0.session.settings.clone();
        let given = [(registry.to_owned(), credential.clone())];
        settings.keychain = Keychain {
            text: None,
            given: given.into(),
            files: Vec::new(),
        };
        // Tokens of other credentials must not speak for this one.
        Self::new(settings).check_login(registry)
    }

    fn check_login(&self, registry: &str) -> Result<()> {
        let session = &self.0.session;
        let endpoint = Endpoint::of_registry(registry, &session.settings);
        self.run(session.log_in(&endpoint))
    }

    /// Asks one place after the other; the last one's failure counts.
    fn ask_places<T>(
        &self,
        reference: &Reference,
        ask: impl AsyncFn(&Session, &Endpoint) -> Result<T>,
    ) -> Result<T> {
        let session = &self.0.session;
        let endpoints = session.places(reference);
        self.run(async {
            for endpoint in &endpoints {
                match ask(session, endpoint).await {
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    Err(error) if endpoint.is_mirror => session.leave_mirror(endpoint, &error),
                    end => return end,
                }
            }
            // The registry itself is the last one and always there.
            Err(Error::Setting {
                what: "mirrors",
                reason: "no registry is left".into(),
            })
        })
    }

    fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.0.session.check()?;
        self.0.runtime()?.block_on(work)
    }
}
