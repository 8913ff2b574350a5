//! Fetches blobs for a build that imports caches: those that are not in registries come from the backends. Unaware of what blobs
//! hold.

use super::Backend;
use crate::transfer::remote::{RegistryFetcher, Remote, descriptor};
use kiln_cache::lazy::FetchFailure;
use kiln_cache::{CacheOrigin, Fetcher, RemoteBlob, Store};
use std::path::Path;
use std::sync::Arc;

#[derive(Debug)]
struct CacheFetcher {
    /// Those that no later command can reach by itself.
    backends: Vec<Arc<dyn Backend>>,
    registries: RegistryFetcher,
}

/// The store as one build sees it: it fetches layers from these caches too, counts what they say, and keeps what the build loses.
pub(crate) fn view(store: &Store, remote: &Remote, imports: &[Arc<dyn Backend>]) -> Store {
    let backends = imports.iter().cloned();
    let fetcher = CacheFetcher {
        backends: backends
            .filter(|backend| backend.origin().as_registry().is_none())
            .collect(),
        registries: RegistryFetcher::new(remote.clone()),
    };
    let names = imports.iter().map(|backend| backend.identity());
    store.with_fetcher(Arc::new(fetcher)).importing(names)
}

impl Fetcher for CacheFetcher {
    fn fetch(
        &self,
        blob: &RemoteBlob,
        part: &Path,
        grown: &(dyn Fn() + Sync),
    ) -> Result<(), FetchFailure> {
        let (mut left, mut last) = (blob.clone(), None);
        for backend in &self.backends {
            let origin = backend.origin();
            if !blob.origins.contains(&origin) {
                continue;
            }
            left.origins.retain(|other| *other != origin);
            match backend.fetch(&descriptor(blob), part, &|_| grown()) {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) if left.origins.is_empty() => Err(error.into()),
            _ => self.registries.fetch(&left, part, grown),
        }
    }

    fn reaches(&self, origin: &CacheOrigin) -> bool {
        let is_named = self.backends.iter().any(|own| own.origin() == *origin);
        is_named || self.registries.reaches(origin)
    }

    fn is_cancelled(&self) -> bool {
        self.registries.is_cancelled()
    }
}
