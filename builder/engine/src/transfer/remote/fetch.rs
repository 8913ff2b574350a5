//! Blobs from registries, for the store. Unaware of what they hold.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kiln_cache::lazy::FetchFailure;
use kiln_cache::{CacheOrigin, Fetcher, RemoteBlob};
use kiln_oci::registry::{Client, Error};
use kiln_oci::{Descriptor, Reference};

use crate::event::{Direction, EventKind, Events};
use crate::failure::RemoteError;
use crate::transfer::remote::Remote;

/// How often people are told.
const EVERY: Duration = Duration::from_millis(100);

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
        let transfer = Transfer::start(&self.remote.events, Direction::Download, from, &blob);
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
#[derive(Debug)]
pub(crate) struct Transfer {
    events: Events,
    direction: Direction,
    repository: String,
    blob: String,
    total: u64,
    begun: Instant,
    done: AtomicU64,
    told: Mutex<Instant>,
}

impl Transfer {
    pub(crate) fn start(
        events: &Events,
        direction: Direction,
        of: &Reference,
        blob: &Descriptor,
    ) -> Self {
        let now = Instant::now();
        let transfer = Self {
            events: events.clone(),
            direction,
            repository: of.name(),
            blob: blob.digest.to_string(),
            total: blob.size,
            begun: now,
            done: AtomicU64::new(0),
            told: Mutex::new(now),
        };
        transfer.tell(false);
        transfer
    }

    /// So many bytes are there.
    pub(crate) fn at(&self, bytes: u64) {
        self.done.store(bytes, Ordering::Relaxed);
        let Ok(mut told) = self.told.try_lock() else {
            return;
        };
        if told.elapsed() >= EVERY {
            *told = Instant::now();
            self.tell(false);
        }
    }

    /// All of it is there.
    pub(crate) fn end(&self) {
        self.done.store(self.total, Ordering::Relaxed);
        self.tell(true);
    }

    fn tell(&self, ended: bool) {
        self.events.send(EventKind::Transfer {
            direction: self.direction,
            repository: self.repository.clone(),
            blob: self.blob.clone(),
            done: self.done.load(Ordering::Relaxed),
            total: self.total,
            ended,
            took_us: u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        });
    }
}
