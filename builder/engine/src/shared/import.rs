//! Reading caches at the begin of a build: what they hold becomes known to the store, and a build whose outcome they have is over.
//! A cache that cannot be read is a warning: it can only make a build faster. Unaware of how keys are made.

use super::format::{self, Content};
use super::{CacheFrom, Place, PlaceError};
use crate::event::EventKind;
use crate::failure::BuildError;
use crate::remote::Remote;
use crate::session::Session;
use kiln_cache::shared::Offer;
use kiln_cache::{MemoBundle, SharedCache, SharedLayer, SharedMemo, StoreError, on_threads};
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

/// Offers the results of all caches to the store, in their order. The outcome of the build of this key, if one has it.
///
/// # Errors
/// The store fails.
pub(crate) fn import(
    session: &Session,
    caches: &[CacheFrom],
    memo: Option<&Digest>,
) -> Result<Option<MemoBundle>, BuildError> {
    let mut outcomes = Vec::new();
    for (cache, (found, took_us)) in caches.iter().zip(read_all(session, caches)) {
        let place = cache.place.as_ref();
        match found {
            Ok(found) => {
                tell(session, place, found.as_ref(), took_us);
                if let Some(cache) = found {
                    session.store.offer(&place.origin(), &cache)?;
                    let known = cache.memos.into_iter();
                    outcomes.extend(known.filter(|known| Some(&known.key) == memo));
                }
            }
            Err(_) if session.cancel.requested() => {}
            Err(error) => warn(session, place, &error),
        }
    }
    // only now is everything offered that an outcome may need
    Ok(outcomes.iter().find_map(|known| take(session, known)))
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

/// Takes the outcome home; `None` when something that it needs cannot be had.
fn take(session: &Session, memo: &SharedMemo) -> Option<MemoBundle> {
    let taken = session.store.offer_images(memo).map_err(BuildError::from);
    let taken = taken.and_then(|()| secure(session, &memo.bundle.manifest));
    let taken = taken.and_then(|()| Ok(session.store.memo_put(&memo.key, &memo.bundle)?));
    match taken {
        Ok(()) => Some(memo.bundle.clone()),
        Err(error) => {
            forget_lost(session);
            let causes = crate::chain_of_causes(&error);
            tracing::debug!("the outcome in the cache is not used: {causes}");
            None
        }
    }
}

/// Makes sure of the layers of an outcome that are only offered: those of places that later commands do not know are brought, those
/// of registries are asked for.
///
/// # Errors
/// One cannot be had.
pub(crate) fn secure(session: &Session, outcome: &Digest) -> Result<(), BuildError> {
    let store = &session.store;
    let mut layers = Vec::new();
    for (_, image) in store.images_of(outcome)? {
        layers.extend(store.image(&image)?.diff_ids);
    }
    let is_passing = |offers: &[Offer]| offers.iter().any(|offer| offer.place.contains("://"));
    let offered = store.only_offered(&layers)?.into_iter();
    let (passing, lasting): (Vec<_>, Vec<_>) = offered.partition(|(_, offers)| is_passing(offers));
    let passing: Vec<Digest> = passing.into_iter().map(|(layer, _)| layer).collect();
    store.bring_layers(&passing)?;
    let (next, lost) = (AtomicUsize::new(0), Mutex::new(None));
    let look = || {
        while let Some((layer, offers)) = lasting.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !offers.iter().any(|offer| is_there(session, offer)) {
                store.lose(layer);
                *lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(*layer);
            }
        }
    };
    on_threads(lasting.len().min(AT_ONCE), look);
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

/// Layers that caches have promised and do not have. They are not offered again: what failed for want of them goes another way.
pub(crate) fn forget_lost(session: &Session) -> Vec<Digest> {
    let lost = session.store.forget_lost().unwrap_or_default();
    if session.cancel.is_interrupted() {
        return Vec::new();
    }
    for layer in &lost {
        let text =
            format!("the layer {layer} of a shared cache cannot be had; its step is executed");
        session.events.warn(text);
    }
    lost
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
