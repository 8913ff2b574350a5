//! Reading caches at the begin of a build: what they hold becomes known to the store, and a build whose outcome they have is over.
//! A cache that cannot be read is a warning: it can only make a build faster. Unaware of how keys are made.

use super::format::{self, Content};
use super::{CacheFrom, Place, PlaceError};
use crate::event::EventKind;
use crate::failure::{BuildError, StepError};
use crate::remote::Remote;
use crate::session::Session;
use kiln_cache::{ImageError, MemoBundle, SharedCache, SharedLayer, SharedMemo, StoreError};
use kiln_oci::{Descriptor, Digest};
use std::time::Instant;

/// What came of reading a place.
type Found = (Result<Option<SharedCache>, PlaceError>, u64);

/// Offers the results of all caches to the store, in their order. The outcome of the build of this key, if one has it.
///
/// # Errors
/// The store fails.
pub(crate) fn import(
    session: &Session,
    caches: &[CacheFrom],
    memo: Option<&Digest>,
) -> Result<Option<MemoBundle>, BuildError> {
    let found: Vec<Found> = std::thread::scope(|scope| {
        let readers = caches.iter().map(|cache| {
            let ways = &session.remote;
            scope.spawn(move || {
                let begun = Instant::now();
                let found = read(cache.place.as_ref(), ways);
                (found, micros(begun))
            })
        });
        let readers: Vec<_> = readers.collect();
        let broken = || (Err(PlaceError::Other("nothing that can be read")), 0);
        let joined = readers.into_iter().map(|reader| reader.join());
        joined
            .map(|found| found.unwrap_or_else(|_| broken()))
            .collect()
    });
    for (cache, (found, took_us)) in caches.iter().zip(found) {
        let place = cache.place.as_ref();
        match found {
            Ok(found) => {
                let cache = found.as_ref();
                tell(session, place, cache, took_us);
                if let Some(cache) = cache {
                    session.store.offer(&place.origin(), cache)?;
                    let known = cache.memos.iter().find(|known| Some(&known.key) == memo);
                    if let Some(bundle) = known.and_then(|known| take(session, known)) {
                        return Ok(Some(bundle));
                    }
                }
            }
            Err(error) => warn(session, place, &error),
        }
    }
    Ok(None)
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
    let taken = taken.and_then(|()| bring_home(session, &memo.bundle.manifest));
    let taken = taken.and_then(|()| Ok(session.store.memo_put(&memo.key, &memo.bundle)?));
    match taken {
        Ok(()) => Some(memo.bundle.clone()),
        Err(error) => {
            let causes = crate::chain_of_causes(&error);
            tracing::debug!("the outcome in the cache is not used: {causes}");
            None
        }
    }
}

/// Brings those layers of an outcome that only a place holds which later commands do not know.
///
/// # Errors
/// One cannot be had.
pub(crate) fn bring_home(session: &Session, outcome: &Digest) -> Result<(), BuildError> {
    let store = &session.store;
    let mut layers = Vec::new();
    for (_, image) in store.images_of(outcome)? {
        layers.extend(store.image(&image)?.diff_ids);
    }
    let is_repository = |place: &str| !place.contains("://");
    let passing = store.only_offered(&layers, is_repository)?;
    Ok(store.bring_layers(&passing)?)
}

/// Whether a build failed for want of a layer that a cache has promised. It is not offered again: its step is executed.
pub(crate) fn forget_lost(session: &Session, error: &BuildError) -> bool {
    let error = match error {
        BuildError::Store(error) | BuildError::Image(ImageError::Store(error)) => error,
        BuildError::Step(step) => match &step.error {
            StepError::Store(error) => error,
            _ => return false,
        },
        _ => return false,
    };
    let lost = match error {
        StoreError::Bring { digest, .. }
        | StoreError::Missing { digest }
        | StoreError::SizeMismatch { digest, .. }
        | StoreError::DigestMismatch {
            expected: digest, ..
        } => digest,
        _ => return false,
    };
    let is_lost = session.store.forget_offer(lost).unwrap_or(false);
    if is_lost && !session.cancel.is_interrupted() {
        let causes = crate::chain_of_causes(error);
        let text =
            format!("a layer of a shared cache cannot be had ({causes}); its step is executed");
        session.events.warn(text);
    }
    is_lost && !session.cancel.is_interrupted()
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
