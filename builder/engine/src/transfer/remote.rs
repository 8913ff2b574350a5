//! Images from registries and to them. Unaware of the protocol, which is in [`kiln_oci::registry`], and of the command line.
//!
//! A pull takes manifest and config; layers are fetched when something needs them ([`kiln_cache::lazy`]). A push sends what the other
//! side lacks: what it holds in another repository is mounted, layers are compressed once.

mod fetch;
mod platform;
mod pull;
mod push;

use std::sync::Arc;

use kiln_cache::{ImageError, Store, StoreError};
use kiln_oci::registry::{Client, Error, Proxies};
use kiln_oci::{Digest, DocumentError, Reference, ReferenceError};

use crate::event::Events;
use crate::event::cancel::Cancel;

pub use fetch::RegistryFetcher;
pub(crate) use fetch::{Transfer, descriptor};
pub use pull::{Pulled, pull};
pub(crate) use push::with_docker_types;
pub use push::{Form, MediaTypes, PushOptions, Pushed, push};

/// The way to registries.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Their client; `None` when the network is not to be used.
    pub registry: Option<Client>,
    /// Where transfers are reported.
    pub events: Events,
    /// What stops transfers.
    pub cancel: Cancel,
    /// The proxies for all else that speaks http: files, object storage.
    pub proxies: Proxies,
}

impl Remote {
    /// No way: the network is not to be used.
    #[must_use]
    pub fn offline() -> Self {
        Self {
            registry: None,
            events: Events::ignored(),
            cancel: Cancel::default(),
            proxies: Proxies::default(),
        }
    }

    /// Whether the network is not to be used.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.registry.is_none()
    }

    /// The store, which now fetches what it lacks.
    #[must_use]
    pub fn with_store(&self, store: &Store) -> Store {
        store.with_fetcher(Arc::new(RegistryFetcher::new(self.clone())))
    }

    /// All tags of a repository, in the registry's order.
    ///
    /// # Errors
    /// The registry does not answer or has no such repository.
    pub fn tags(&self, repository: &Reference) -> Result<Vec<String>, RemoteError> {
        Ok(self.registry()?.tags(repository)?)
    }

    /// The client of registries.
    ///
    /// # Errors
    /// The network is not to be used.
    pub(crate) fn registry(&self) -> Result<&Client, RemoteError> {
        self.registry.as_ref().ok_or(RemoteError::Offline)
    }

    /// An error once the user has asked to stop.
    pub(crate) fn check_cancelled(&self) -> Result<(), RemoteError> {
        match self.cancel.requested() {
            true => Err(RemoteError::Cancelled),
            false => Ok(()),
        }
    }
}

/// What a registry answered; `None` when it says that it has no such thing.
pub(crate) fn if_found<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(error) if error.is_not_found() => Ok(None),
        answer => answer.map(Some),
    }
}

/// Why an image could not be pulled or pushed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The network is not to be used.
    #[error("the network is not used (--offline)")]
    Offline,
    /// The user asked to stop.
    #[error("stopped")]
    Cancelled,
    /// The registry said no, or could not be reached.
    #[error(transparent)]
    Registry(#[from] Error),
    /// The name cannot be one of a registry.
    #[error(transparent)]
    Name(#[from] ReferenceError),
    /// A manifest, index or config cannot be understood.
    #[error("{digest}: {source}")]
    Document {
        /// The document.
        digest: Digest,
        /// Why.
        source: DocumentError,
    },
    /// The config's bytes are not what the manifest says.
    #[error("the config that came is not {expected}")]
    Config {
        /// What the manifest says.
        expected: Digest,
    },
    /// The index lists no image for the platform.
    #[error("{reference} is not made for {wanted}, only for {}", if available.is_empty() { "no platform" } else { available })]
    NoPlatform {
        /// The image.
        reference: String,
        /// What was asked for.
        wanted: String,
        /// What there is, separated by commas.
        available: String,
    },
    /// An index of indexes of indexes.
    #[error("{reference} is an index of indexes of indexes")]
    TooDeep {
        /// The image.
        reference: String,
    },
    /// An image of an index is neither in the store nor in the registry.
    #[error(
        "the index lists an image for {platform}, {digest}, which is neither in the store nor in the registry"
    )]
    AbsentChild {
        /// The image.
        digest: Digest,
        /// What it is for.
        platform: String,
    },
    /// Docker's media types know no zstd.
    #[error("docker's media types have none for zstd: use OCI's, or gzip")]
    DockerZstd,
    /// The registry says that it stored something else.
    #[error("the registry stored {found}, not {expected}")]
    OtherDigest {
        /// What was sent.
        expected: Digest,
        /// What it says.
        found: Digest,
    },
    /// The store has no such image, or refuses it.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RemoteError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Offline => Some("leave out --offline, and unset KILN_OFFLINE".to_owned()),
            _ => None,
        }
    }

    /// Whether the registry does not know the image.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Registry(error) if error.is_not_found())
    }
}
