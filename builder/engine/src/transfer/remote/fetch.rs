//! Blobs from registries, for the store. Unaware of what they hold.

use std::path::Path;

use kiln_cache::lazy::FetchFailure;
use kiln_cache::{CacheOrigin, Fetcher, Meter, Progress, RemoteBlob};
use kiln_oci::registry::{Client, Error};
use kiln_oci::{Descriptor, Reference};

use crate::event::{Direction, EventKind, Events, micros};
use crate::failure::RemoteError;
use crate::transfer::remote::Remote;

/// Fetches blobs from the repositories that hold them.
#[derive(Debug)]
pub struct RegistryFetcher {
    remote: Remote,
}

impl RegistryFetcher {
    /// Over this way.
    #[must_use]
    pub fn new(remote: Remote) -> Self {
        Self { remote }
    }

    fn download(
        &self,
        registry: &Client,
        from: &Reference,
        blob: &RemoteBlob,
        part: &Path,
        grown: &(dyn Fn() + Sync),
    ) -> Result<(), Error> {
        let blob = descriptor(blob);
        let transfer = transfer(&self.remote.events, Direction::Download, from, &blob);
        let progress = |bytes| {
            grown();
            transfer.at(bytes);
        };
        registry.download(from, &blob, part, &progress)?;
        transfer.end();
        Ok(())
    }
}

impl Fetcher for RegistryFetcher {
    fn fetch(
        &self,
        blob: &RemoteBlob,
        part: &Path,
        grown: &(dyn Fn() + Sync),
    ) -> Result<(), FetchFailure> {
        let mut last: FetchFailure = "no repository is known that holds it".into();
        for from in blob.origins.iter().filter_map(CacheOrigin::as_registry) {
            let Some(registry) = &self.remote.registry else {
                let (name, offline) = (from.name(), RemoteError::Offline);
                let text = format!("a layer of {name} that was never needed before; {offline}");
                return Err(text.into());
            };
            match self.download(registry, from, blob, part, grown) {
                Ok(()) => return Ok(()),
                Err(_) if self.remote.cancel.requested() => return Err("stopped".into()),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    fn reaches(&self, origin: &CacheOrigin) -> bool {
        !self.remote.is_offline() && origin.as_registry().is_some()
    }

    fn is_cancelled(&self) -> bool {
        self.remote.cancel.requested()
    }
}

/// A blob as it is asked for: by digest and size alone.
pub(crate) fn descriptor(blob: &RemoteBlob) -> Descriptor {
    Descriptor::new("application/octet-stream", blob.digest, blob.size)
}

/// Tells people how far a blob is, not too often.
pub(crate) fn transfer(
    events: &Events,
    direction: Direction,
    of: &Reference,
    blob: &Descriptor,
) -> Meter {
    let (events, repository) = (events.clone(), of.name());
    let digest = blob.digest.to_string();
    let tell = move |progress: Progress| {
        events.send(EventKind::Transfer {
            direction,
            repository: repository.clone(),
            blob: digest.clone(),
            done: progress.done,
            total: progress.total,
            ended: progress.ended,
            took_us: micros(progress.took),
        });
    };
    Meter::start(blob.size, tell)
}
