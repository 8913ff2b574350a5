//! Blobs from registries, for the store. Unaware of what they hold.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kiln_cache::lazy::BringError;
use kiln_cache::{BlobSource, RemoteBlob};
use kiln_oci::{Descriptor, Reference};

use crate::event::{Direction, EventKind, Events};
use crate::transfer::remote::{Remote, RemoteError};

/// How often people are told.
const EVERY: Duration = Duration::from_millis(100);

/// Brings blobs from the repositories that hold them.
#[derive(Debug)]
pub struct RegistrySource {
    remote: Remote,
}

impl RegistrySource {
    /// Over this way.
    #[must_use]
    pub fn new(remote: Remote) -> Self {
        Self { remote }
    }
}

impl BlobSource for RegistrySource {
    fn bring(
        &self,
        blob: &RemoteBlob,
        part: &Path,
        grown: &(dyn Fn() + Sync),
    ) -> Result<(), BringError> {
        let mut last: BringError = "no repository is known that holds it".into();
        for repository in &blob.repositories {
            let Some(registry) = &self.remote.registry else {
                return Err(format!(
                    "a layer of {repository} that was never needed before; {}",
                    RemoteError::Offline
                )
                .into());
            };
            // a shared cache that is in no registry and that this build does not name
            let Ok(reference) = Reference::parse(repository) else {
                continue;
            };
            // a registry knows blobs by digest and size alone
            let descriptor = Descriptor::new("application/octet-stream", blob.digest, blob.size);
            let transfer = Transfer::start(
                &self.remote.events,
                Direction::Download,
                &reference,
                &descriptor,
            );
            let told = |bytes| {
                grown();
                transfer.at(bytes);
            };
            match registry.download(&reference, &descriptor, part, &told) {
                Ok(()) => {
                    transfer.end();
                    return Ok(());
                }
                Err(_) if self.remote.cancel.requested() => return Err("stopped".into()),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    fn reaches(&self, place: &str) -> bool {
        !self.remote.is_offline() && Reference::parse(place).is_ok()
    }

    fn is_cancelled(&self) -> bool {
        self.remote.cancel.requested()
    }
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
