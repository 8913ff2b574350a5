//! Writing caches at the end of a build: records, the layers that the place lacks, then the name. A cache that has all of it already
//! is left alone. Unaware of how the build came to its results.

use super::import::{forget_lost, micros, read};
use super::{CacheTo, Place, PlaceError, format};
use crate::event::EventKind;
use crate::failure::BuildError;
use crate::request::Squash;
use crate::session::Session;
use crate::source::open::Build;
use kiln_cache::shared::Mode;
use kiln_cache::{MemoBundle, Record, SharedCache, SharedLayer, SharedMemo, on_threads};
use kiln_oci::media_type::OCI_EMPTY;
use kiln_oci::{Descriptor, Digest};
use std::io::{self, Cursor, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Layers that are compressed and sent at once.
const AT_ONCE: usize = 4;

/// Writes the outcome of a build (its key and what it used) to all places that it names.
///
/// # Errors
/// One cannot be written, and its error is not to be ignored.
pub(crate) fn export(
    session: &Session,
    build: &Build,
    key: Option<Digest>,
    bundle: &MemoBundle,
) -> Result<(), BuildError> {
    for to in &build.goal.cache_to {
        let begun = Instant::now();
        let writer = Writer {
            session,
            to,
            place: to.place.as_ref(),
            is_squashed: build.form.squash != Squash::Nothing,
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
    /// Bytes of layers that the place lacked; none when it had everything.
    sent: Option<u64>,
}

struct Writer<'a> {
    session: &'a Session,
    to: &'a CacheTo,
    place: &'a dyn Place,
    is_squashed: bool,
}

impl Writer<'_> {
    /// What cannot be had of other caches is left out.
    fn write(&self, key: Option<Digest>, bundle: &MemoBundle) -> Result<Written, PlaceError> {
        let _turn = self.place.turn(&self.session.remote)?;
        loop {
            let written = self.try_write(key, bundle);
            if written.is_ok() || !forget_lost(self.session) {
                return written;
            }
        }
    }

    fn try_write(&self, key: Option<Digest>, bundle: &MemoBundle) -> Result<Written, PlaceError> {
        let store = &self.session.store;
        // a squashed image is made of the layers of its steps, of which it has none
        let mode = if self.is_squashed {
            Mode::Max
        } else {
            self.to.mode
        };
        let records = store.exchange().records_to_share(bundle, mode)?;
        let memo = match key.filter(|_| !self.is_squashed) {
            Some(key) => store.exchange().memo_to_share(key, bundle)?,
            None => None,
        };
        let count = records.len();
        if self.is_there(&records, memo.as_ref())? {
            return Ok(Written {
                records: count,
                sent: None,
            });
        }
        let mut layers: Vec<Digest> = records.iter().filter_map(|record| record.diff_id).collect();
        layers.sort_unstable();
        layers.dedup();
        let (blobs, sent) = self.send_layers(&layers)?;
        let pairs: Vec<_> = layers.into_iter().zip(blobs.iter().cloned()).collect();
        let memos = memo.into_iter().collect();
        let cache = store
            .exchange()
            .shared_cache(records, &pairs, self.to.compression, memos)?;
        let packed =
            format::pack(&cache).map_err(|error| PlaceError::Malformed(error.to_string()))?;
        self.send_small("", &packed)?;
        self.send_small(OCI_EMPTY, format::NO_CONFIG)?;
        let manifest = format::manifest(&packed, blobs);
        self.check_cancelled()?;
        self.place.publish(&self.session.remote, &manifest)?;
        Ok(Written {
            records: count,
            sent: Some(sent),
        })
    }

    /// Whether the place has all that would be written. An image under the name is never replaced; what cannot be read is.
    fn is_there(&self, records: &[Record], memo: Option<&SharedMemo>) -> Result<bool, PlaceError> {
        match read(self.place, &self.session.remote) {
            Ok(Some(found)) => Ok(found.covers(records, memo) && self.is_whole(&found)?),
            Ok(None) => Ok(false),
            Err(PlaceError::Other(what)) if what.starts_with("an image") => {
                Err(PlaceError::IsImage)
            }
            Err(error) if error.is_about_content() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether all layers are there, in the form that is wanted: somebody may have removed what is old, or it was lost.
    fn is_whole(&self, cache: &SharedCache) -> Result<bool, PlaceError> {
        let (wanted, forgotten) = (
            self.to.compression.to_string(),
            self.session.store.exchange().forgotten(),
        );
        let is_sound = |layer: &SharedLayer| {
            !forgotten.contains(&layer.diff_id) && (!self.to.force || layer.compression == wanted)
        };
        if !cache.layers.iter().all(is_sound) {
            return Ok(false);
        }
        // a place that is near was looked at when it was read
        if self.place.is_near() {
            return Ok(true);
        }
        let next = AtomicUsize::new(0);
        let lacking = AtomicBool::new(false);
        let look = || {
            while let Some(layer) = cache.layers.get(next.fetch_add(1, Ordering::Relaxed)) {
                let blob = Descriptor::new("", layer.blob, layer.size);
                if !self
                    .place
                    .has(&self.session.remote, &blob, &[])
                    .unwrap_or(false)
                {
                    lacking.store(true, Ordering::Relaxed);
                }
            }
        };
        on_threads(cache.layers.len().min(AT_ONCE), look);
        Ok(!lacking.into_inner())
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
        on_threads(layers.len().min(AT_ONCE), work);
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
        // what was lost there may look as if it were there
        let is_doubtful = store.exchange().forgotten().contains(layer);
        if let Some(known) = store.forms().known(layer, self.to.compression)?
            && !is_doubtful
            && self.has(&known)?
        {
            return Ok((known, 0));
        }
        let blob = store.forms().compressed(layer, self.to.compression)?;
        let bytes = if !is_doubtful && self.has(&blob)? {
            0
        } else {
            let open = || -> io::Result<Box<dyn Read + Send>> {
                let opened = store.blobs().open(&blob.digest);
                let opened =
                    opened.map_err(|error| io::Error::other(crate::chain_of_causes(&error)))?;
                Ok(Box::new(opened))
            };
            self.place.send(&self.session.remote, &blob, &open)?;
            blob.size
        };
        if self.place.lasts() {
            store.origins().add(&self.place.origin(), &[blob.digest])?;
        }
        Ok((blob, bytes))
    }

    fn has(&self, blob: &Descriptor) -> Result<bool, PlaceError> {
        let origins = self.session.store.origins().of(&blob.digest)?;
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
