//! Reading caches at the begin of a build: what they hold becomes known to the store, and a build whose outcome they have is over.
//! A cache that cannot be read is a warning: it can only make a build faster. Unaware of how keys are made.

use super::format::{self, Content};
use super::{CacheFrom, Place, PlaceError};
use crate::event::EventKind;
use crate::failure::BuildError;
use crate::session::Session;
use crate::transfer::remote::Remote;
use kiln_cache::shared::{Loss, Offer};
use kiln_cache::{Caches, MemoBundle, SharedCache, SharedLayer, StoreError, on_threads};
use kiln_oci::{Descriptor, Digest, Reference};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Layers that are asked for at once.
const AT_ONCE: usize = 8;

/// What came of reading a place.
type Found = (Result<Option<SharedCache>, PlaceError>, u64);

/// Reads all places at once.
fn read_all(session: &Session, caches: &[CacheFrom]) -> Vec<Found> {
    let next = AtomicUsize::new(0);
    let found: Mutex<BTreeMap<usize, Found>> = Mutex::default();
    on_threads(caches.len(), || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(cache) = caches.get(number) else {
                return;
            };
            let begun = Instant::now();
            let read = read(cache.place.as_ref(), &session.remote);
            let read = (read, micros(begun));
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.insert(number, read);
        }
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.into_values().collect()
}

/// What a cache says that a build came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Which results its steps had, in the order of [`crate::plan::Plan::steps_by_origin`].
    pub bundle: MemoBundle,
    /// Who says so.
    pub caches: Caches,
}

/// Offers the results of all caches to the store, in their order. What they say of the build of this key.
///
/// # Errors
/// The store fails.
pub(crate) fn import(
    session: &Session,
    caches: &[CacheFrom],
    memo: Option<&Digest>,
) -> Result<Vec<Outcome>, BuildError> {
    let mut outcomes = Vec::new();
    for (cache, (found, took_us)) in caches.iter().zip(read_all(session, caches)) {
        let place = cache.place.as_ref();
        match found {
            Ok(found) => {
                tell(session, place, found.as_ref(), took_us);
                if let Some(cache) = found {
                    let (name, origin) = (place.identity(), place.origin());
                    session.store.exchange().offer(&name, &origin, &cache)?;
                    let known = cache.memos.into_iter();
                    let known = known.filter(|known| Some(&known.key) == memo);
                    outcomes.extend(known.map(|known| Outcome {
                        bundle: known.bundle,
                        caches: Caches::one(&name),
                    }));
                }
            }
            Err(_) if session.cancel.requested() => {}
            Err(error) => warn(session, place, &error),
        }
    }
    Ok(outcomes)
}

/// The cache of a place; `None` when there is nothing yet.
///
/// # Errors
/// It cannot be read, or is something else.
pub(super) fn read(place: &dyn Place, ways: &Remote) -> Result<Option<SharedCache>, PlaceError> {
    let Some(manifest) = place.manifest(ways)? else {
        return Ok(None);
    };
    let records = match format::content(&manifest)? {
        Content::Cache(records) => records,
        Content::Image => return Err(PlaceError::Other("an image, and in it no cache of kiln")),
        Content::BuildKit => {
            return Err(PlaceError::Other(
                "a cache of BuildKit, whose keys are not kiln's",
            ));
        }
        Content::Other => return Err(PlaceError::Other("something that is no cache")),
    };
    let unpacked = format::unpack(&place.document(ways, &records)?)?;
    let mut cache = unpacked.ok_or(PlaceError::Other("a cache of another version of kiln"))?;
    if place.is_near() {
        let described = |layer: &SharedLayer| Descriptor::new("", layer.blob, layer.size);
        cache.retain_layers(|layer| place.has(ways, &described(layer), &[]).unwrap_or(false));
    }
    Ok(Some(cache))
}

/// Makes sure of the layers of an outcome that are only offered: those of places that later commands do not know are brought, those
/// of registries are asked for, and stay bound to the store.
///
/// # Errors
/// One cannot be had, or is not what was said.
pub(crate) fn secure(session: &Session, outcome: &Digest) -> Result<(), BuildError> {
    let store = &session.store;
    let mut layers = Vec::new();
    for (_, image) in store.indexes().images_of(outcome)? {
        layers.extend(store.images().get(&image)?.diff_ids);
    }
    let is_passing = |offers: &[Offer]| offers.iter().any(|offer| offer.place.contains("://"));
    let offered = store.exchange().only_offered(&layers)?.into_iter();
    let (passing, lasting): (Vec<_>, Vec<_>) = offered.partition(|(_, offers)| is_passing(offers));
    let passing: Vec<Digest> = passing.into_iter().map(|(layer, _)| layer).collect();
    store.fetch().layers(&passing)?;
    store.exchange().check_claims(&layers)?;
    let (next, lost, bound) = (
        AtomicUsize::new(0),
        Mutex::new(None),
        Mutex::new(Vec::new()),
    );
    let look = || {
        while let Some((layer, offers)) = lasting.get(next.fetch_add(1, Ordering::Relaxed)) {
            match offers.iter().find(|offer| is_there(session, offer)) {
                Some(offer) => bound
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(offer.clone()),
                None => {
                    store.exchange().lose(layer);
                    *lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(*layer);
                }
            }
        }
    };
    on_threads(lasting.len().min(AT_ONCE), look);
    let bound = bound.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !bound.is_empty() {
        store.exchange().bind(&bound)?;
    }
    let lost = lost.into_inner().unwrap_or_else(PoisonError::into_inner);
    lost.map_or(Ok(()), |digest| Err(StoreError::Missing { digest }.into()))
}

fn is_there(session: &Session, offer: &Offer) -> bool {
    let (Ok(registry), Ok(repository)) =
        (session.remote.registry(), Reference::parse(&offer.place))
    else {
        return false;
    };
    let blob = Descriptor::new("", offer.blob, offer.size);
    registry.has_blob(&repository, &blob).unwrap_or(false)
}

/// Whether caches have promised layers that they do not have, or that are not what they said. They are not offered again: what failed
/// for want of them goes another way.
pub(crate) fn forget_lost(session: &Session) -> bool {
    let lost = session.store.exchange().forget_lost().unwrap_or_default();
    if session.cancel.is_interrupted() {
        return false;
    }
    for (layer, loss) in &lost {
        let what = match loss {
            Loss::Absent => "cannot be had",
            Loss::Disproved => "holds other files than its record says",
        };
        session.events.warn(format!(
            "the layer {layer} of a shared cache {what}; its step is executed"
        ));
    }
    !lost.is_empty()
}

fn tell(session: &Session, place: &dyn Place, cache: Option<&SharedCache>, took_us: u64) {
    session.events.send(EventKind::CacheRead {
        place: place.name(),
        records: cache.map(|cache| cache.records.len()),
        took_us,
    });
}

pub(super) fn warn(session: &Session, place: &dyn Place, error: &PlaceError) {
    let (name, causes) = (place.name(), crate::chain_of_causes(error));
    session
        .events
        .warn(format!("the cache {name} is not used: {causes}"));
}

pub(super) fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
