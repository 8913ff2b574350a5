//! Images from registries and to them. Unaware of the protocol, which is in [`kiln_oci::registry`], and of the command line.
//!
//! A pull takes manifest and config; layers are fetched when something needs them ([`kiln_cache::lazy`]). A push sends what the other
//! side lacks: what it holds in another repository is mounted, layers are compressed once.

mod fetch;
mod look;
mod platform;
mod pull;
mod push;

use std::sync::Arc;

use kiln_cache::Store;
use kiln_oci::daemon::Address;
use kiln_oci::registry::{Client, Error};
use kiln_oci::{Reference, http};

use crate::event::Events;
use crate::event::cancel::Cancel;
use crate::failure::RemoteError;

pub use fetch::RegistryFetcher;
pub(crate) use fetch::{descriptor, transfer};
pub use look::{Looked, look};
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
    /// The client for all that is no registry: files, object storage.
    pub http: http::Client,
    /// The daemon of another engine that is asked for bases before registries are.
    pub daemon: Option<Address>,
}

impl Remote {
    /// No way: the network is not to be used.
    #[must_use]
    pub fn offline() -> Self {
        Self {
            registry: None,
            events: Events::ignored(),
            cancel: Cancel::default(),
            http: http::Client::default(),
            daemon: None,
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
