//! The store's source of blobs in a build that names shared caches: those that are not in registries come from here. Unaware of
//! what blobs hold.

use super::{CacheFrom, Place};
use crate::session::Session;
use crate::transfer::remote::{RegistrySource, Remote};
use kiln_cache::lazy::BringError;
use kiln_cache::{BlobSource, RemoteBlob};
use kiln_oci::Descriptor;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug)]
struct CacheSource {
    places: Vec<Arc<dyn Place>>,
    ways: Remote,
    registries: RegistrySource,
}

/// The session, whose store now brings layers from these caches too, and counts what they say.
pub(crate) fn joined(session: &Session, caches: &[CacheFrom]) -> Session {
    let places = caches.iter().map(|cache| cache.place.clone());
    let source = CacheSource {
        places: places.filter(|place| !place.lasts()).collect(),
        ways: session.remote.clone(),
        registries: RegistrySource::new(session.remote.clone()),
    };
    Session {
        store: session
            .store
            .with_source(Arc::new(source))
            .naming(caches.iter().map(|cache| cache.place.identity())),
        ..session.clone()
    }
}

impl BlobSource for CacheSource {
    fn bring(
        &self,
        blob: &RemoteBlob,
        part: &Path,
        grown: &(dyn Fn() + Sync),
    ) -> Result<(), BringError> {
        let (mut left, mut last) = (blob.clone(), None);
        let descriptor = Descriptor::new("application/octet-stream", blob.digest, blob.size);
        for place in &self.places {
            let origin = place.origin();
            if blob.repositories.contains(&origin) {
                left.repositories.retain(|repository| *repository != origin);
                match place.fetch(&self.ways, &descriptor, part, &|_| grown()) {
                    Ok(()) => return Ok(()),
                    Err(error) => last = Some(error),
                }
            }
        }
        match last {
            Some(error) if left.repositories.is_empty() => Err(error.into()),
            _ => self.registries.bring(&left, part, grown),
        }
    }

    fn reaches(&self, place: &str) -> bool {
        let is_named = self.places.iter().any(|own| own.origin() == place);
        is_named || self.registries.reaches(place)
    }

    fn is_cancelled(&self) -> bool {
        self.registries.is_cancelled()
    }
}
