//! Writing caches at the end of a build: records, the layers that the place lacks, then the name. A cache that has all of it already
//! is left alone. Unaware of how the build came to its results.

use super::import::{micros, read};
use super::{CacheTo, Place, PlaceError, format};
use crate::event::EventKind;
use crate::failure::BuildError;
use crate::session::Session;
use kiln_cache::{MemoBundle, SharedCache, SharedMemo};
use kiln_oci::media_type::OCI_EMPTY;
use kiln_oci::{Descriptor, Digest};
use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Layers that are compressed and sent at once.
const AT_ONCE: usize = 4;

/// Writes the outcome of a build to all places.
///
/// # Errors
/// One cannot be written, and its error is not to be ignored.
pub(crate) fn export(
    session: &Session,
    places: &[CacheTo],
    key: Option<Digest>,
    bundle: &MemoBundle,
) -> Result<(), BuildError> {
    for to in places {
        let begun = Instant::now();
        let writer = Writer {
            session,
            to,
            place: to.place.as_ref(),
        };
        match writer.write(key, bundle) {
            Ok(written) => session.events.send(EventKind::CacheWritten {
                place: to.place.name(),
                records: written.records,
                sent: written.sent,
                took_us: micros(begun),
            }),
            Err(_) if session.cancel.requested() => return Err(BuildError::Cancelled),
            Err(error) if to.ignore_error => {
                let (name, causes) = (to.place.name(), crate::chain_of_causes(&error));
                let text = format!("the cache {name} was not written: {causes}");
                session.events.warn(text);
            }
            Err(source) => {
                let place = to.place.name();
                return Err(BuildError::Cache { place, source });
            }
        }
    }
    Ok(())
}

/// What was written.
struct Written {
    records: usize,
    /// Bytes of layers that the place lacked.
    sent: u64,
}

struct Writer<'a> {
    session: &'a Session,
    to: &'a CacheTo,
    place: &'a dyn Place,
}

impl Writer<'_> {
    fn write(&self, key: Option<Digest>, bundle: &MemoBundle) -> Result<Written, PlaceError> {
        let store = &self.session.store;
        let records = store.records_to_share(bundle, self.to.mode)?;
        let memo = match key {
            Some(key) => store.memo_to_share(key, bundle)?,
            None => None,
        };
        let count = records.len();
        if self.is_there(&records, memo.as_ref())? {
            return Ok(Written {
                records: count,
                sent: 0,
            });
        }
        let mut layers: Vec<Digest> = records.iter().filter_map(|record| record.diff_id).collect();
        layers.sort_unstable();
        layers.dedup();
        let (blobs, sent) = self.send_layers(&layers)?;
        let pairs: Vec<_> = layers.into_iter().zip(blobs.iter().cloned()).collect();
        let memos = memo.into_iter().collect();
        let cache = store.shared_cache(records, &pairs, self.to.compression, memos)?;
        let packed =
            format::pack(&cache).map_err(|error| PlaceError::Malformed(error.to_string()))?;
        self.send_small("", &packed)?;
        self.send_small(OCI_EMPTY, format::NO_CONFIG)?;
        let manifest = format::manifest(&packed, blobs);
        self.check_cancelled()?;
        self.place.publish(&self.session.remote, &manifest)?;
        Ok(Written {
            records: count,
            sent,
        })
    }

    /// Whether the place has all that would be written. An image under the name is never replaced.
    fn is_there(
        &self,
        records: &[kiln_cache::Record],
        memo: Option<&SharedMemo>,
    ) -> Result<bool, PlaceError> {
        match read(self.place, &self.session.remote) {
            Ok(Some(found)) => Ok(found.covers(records, memo) && self.is_whole(&found)?),
            Ok(None) => Ok(false),
            Err(PlaceError::Other(what)) if what.starts_with("an image") => {
                Err(PlaceError::IsImage)
            }
            Err(
                PlaceError::Other(_)
                | PlaceError::Malformed(_)
                | PlaceError::Damaged(_)
                | PlaceError::Object { .. },
            ) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether all layers are there. A registry keeps what a manifest names; other places may have rules that remove what is old.
    fn is_whole(&self, cache: &SharedCache) -> Result<bool, PlaceError> {
        if self.place.lasts() || self.place.is_near() {
            return Ok(true);
        }
        for layer in &cache.layers {
            let blob = Descriptor::new("", layer.blob, layer.size);
            if !self.place.has(&self.session.remote, &blob, &[])? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sends what is lacking; the blobs, in the order of the layers, and how many bytes went.
    fn send_layers(&self, layers: &[Digest]) -> Result<(Vec<Descriptor>, u64), PlaceError> {
        let next = AtomicUsize::new(0);
        let sent: Mutex<Vec<(usize, Descriptor, u64)>> = Mutex::default();
        let failure = Mutex::new(None);
        let work = || {
            while let Some((number, layer)) = claim(&next, layers) {
                match self.send_layer(layer) {
                    Ok((blob, bytes)) => lock(&sent).push((number, blob, bytes)),
                    Err(error) => {
                        lock(&failure).get_or_insert(error);
                        next.store(layers.len(), Ordering::Relaxed);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..layers.len().min(AT_ONCE) {
                scope.spawn(work);
            }
        });
        if let Some(error) = lock(&failure).take() {
            return Err(error);
        }
        let mut sent = std::mem::take(&mut *lock(&sent));
        sent.sort_by_key(|(number, _, _)| *number);
        let bytes = sent.iter().map(|(_, _, bytes)| bytes).sum();
        Ok((sent.into_iter().map(|(_, blob, _)| blob).collect(), bytes))
    }

    /// One layer. What the place has under the name that the layer is known by is neither made nor read.
    fn send_layer(&self, layer: &Digest) -> Result<(Descriptor, u64), PlaceError> {
        self.check_cancelled()?;
        let store = &self.session.store;
        if let Some(known) = store.remembered_form(layer, self.to.compression)?
            && self.has(&known)?
        {
            return Ok((known, 0));
        }
        let blob = store.compressed_layer(layer, self.to.compression)?;
        let bytes = if self.has(&blob)? {
            0
        } else {
            let open = || -> io::Result<Box<dyn Read + Send>> {
                let opened = store.open_blob(&blob.digest);
                let opened =
                    opened.map_err(|error| io::Error::other(crate::chain_of_causes(&error)))?;
                Ok(Box::new(opened))
            };
            self.place.send(&self.session.remote, &blob, &open)?;
            blob.size
        };
        if self.place.lasts() {
            store.add_origin(&self.place.origin(), &[blob.digest])?;
        }
        Ok((blob, bytes))
    }

    fn has(&self, blob: &Descriptor) -> Result<bool, PlaceError> {
        let origins = self.session.store.origins(&blob.digest)?;
        let same = origins
            .into_iter()
            .filter(|(_, there)| *there == blob.digest);
        let repositories: Vec<String> = same.map(|(repository, _)| repository).collect();
        self.place.has(&self.session.remote, blob, &repositories)
    }

    fn send_small(&self, media_type: &str, bytes: &[u8]) -> Result<(), PlaceError> {
        let blob = Descriptor::of(media_type, bytes);
        let ways = &self.session.remote;
        if self.place.has(ways, &blob, &[])? {
            return Ok(());
        }
        let open =
            || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(Cursor::new(bytes.to_vec()))) };
        self.place.send(ways, &blob, &open)
    }

    fn check_cancelled(&self) -> Result<(), PlaceError> {
        if self.session.cancel.requested() {
            return Err(PlaceError::Cancelled);
        }
        Ok(())
    }
}

fn claim<'a>(next: &AtomicUsize, all: &'a [Digest]) -> Option<(usize, &'a Digest)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    all.get(number).map(|layer| (number, layer))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
