//! Exporting caches at the end of a build: records, the layers that the backend lacks, then the name. A cache that has all of it
//! already is left alone. Unaware of how the build came to its results.

use super::import::{described, forget_lost, micros, read};
use super::{Backend, Export, format};
use crate::event::EventKind;
use crate::failure::{BackendError, BuildError, Foreign};
use crate::transfer::remote::Remote;
use kiln_cache::exchange::Mode;
use kiln_cache::{
    ExportedBuild, ExportedCache, ExportedLayer, ExportedMemo, MemoBundle, Record, Store, parallel,
    try_parallel,
};
use kiln_oci::media_type::OCI_EMPTY;
use kiln_oci::{Descriptor, Digest};
use std::collections::BTreeSet;
use std::io::{self, Cursor, Read};
use std::time::{Instant, SystemTime};

/// Layers that are compressed and sent at once.
const AT_ONCE: usize = 4;

/// Exports a build to all caches that it names.
///
/// # Errors
/// One cannot be written, and its error is not to be ignored.
pub(crate) fn export(
    store: &Store,
    remote: &Remote,
    exports: &[Export],
    outcome: Exported<'_>,
) -> Result<(), BuildError> {
    for to in exports {
        let begun = Instant::now();
        let backend = to.backend.as_ref();
        let writer = Writer {
            store,
            remote,
            to,
            backend,
            outcome,
        };
        let written = writer.write();
        writer.report(written, micros(begun))?;
    }
    Ok(())
}

/// The outcome of a build.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exported<'a> {
    /// Its key, if it has one.
    pub key: Option<Digest>,
    /// What it used.
    pub bundle: &'a MemoBundle,
    /// What later builds elsewhere are compared with.
    pub build: Option<&'a ExportedBuild>,
    /// Its image consists of none of the layers of its steps.
    pub is_squashed: bool,
    /// Which time it is.
    pub now: SystemTime,
}

/// How many records were written, and how many bytes of layers the backend lacked; none when it had everything.
type Written = (usize, Option<u64>);

struct Writer<'a> {
    store: &'a Store,
    remote: &'a Remote,
    to: &'a Export,
    backend: &'a dyn Backend,
    outcome: Exported<'a>,
}

impl Writer<'_> {
    /// Tells what came of it. An error is only a warning where it is to be ignored.
    fn report(
        &self,
        written: Result<Written, BackendError>,
        took_us: u64,
    ) -> Result<(), BuildError> {
        match written {
            Ok((records, sent)) => self.remote.events.send(EventKind::CacheWritten {
                place: self.backend.name(),
                records,
                sent,
                took_us,
            }),
            Err(error) => return tolerate(self.remote, self.to, error),
        }
        Ok(())
    }

    /// What other caches promised and do not have is left out.
    fn write(&self) -> Result<Written, BackendError> {
        let _turn = self.backend.turn()?;
        loop {
            let written = self.try_write();
            if written.is_ok() || !forget_lost(self.store, self.remote) {
                return written;
            }
        }
    }

    fn try_write(&self) -> Result<Written, BackendError> {
        let (store, to) = (self.store, self.to);
        let outcome = self.outcome;
        let (key, bundle, is_squashed) = (outcome.key, outcome.bundle, outcome.is_squashed);
        let mode = if is_squashed { Mode::Max } else { to.mode };
        let records = store.exchange().records(bundle, mode)?;
        let memo = match key.filter(|_| !is_squashed) {
            Some(key) => store.exchange().memo(key, bundle)?,
            None => None,
        };
        let count = records.len();
        if self.is_there(&records, memo.as_ref())? {
            return Ok((count, None));
        }
        let (layers, bytes) = self.send_layers(&records)?;
        let memos = memo.into_iter().collect();
        let exchange = store.exchange();
        let cache = exchange.export(records, &layers, to.compression, memos)?;
        let blobs = layers.into_iter().map(|(_, blob)| blob).collect();
        self.publish(cache, blobs)?;
        Ok((count, Some(bytes)))
    }

    /// Sends the layers that are lacking; all of them with their blobs, and how many bytes went.
    fn send_layers(&self, of: &[Record]) -> Result<(Vec<(Digest, Descriptor)>, u64), BackendError> {
        let layers: BTreeSet<Digest> = of.iter().filter_map(|record| record.diff_id).collect();
        let layers: Vec<Digest> = layers.into_iter().collect();
        let sent = try_parallel(&layers, AT_ONCE, |layer| self.send_layer(layer))?;
        let bytes = sent.iter().map(|(_, bytes)| bytes).sum();
        let blobs = sent.into_iter().map(|(blob, _)| blob);
        Ok((layers.into_iter().zip(blobs).collect(), bytes))
    }

    /// Whether the backend has all that would be written. An image under the name is never replaced; what cannot be read is.
    fn is_there(
        &self,
        records: &[Record],
        memo: Option<&ExportedMemo>,
    ) -> Result<bool, BackendError> {
        match read(self.backend) {
            Ok(Some(found)) => Ok(found.covers(records, memo) && self.is_whole(&found)),
            Ok(None) => Ok(false),
            Err(BackendError::Foreign(Foreign::Image)) => Err(BackendError::IsImage),
            Err(error) if error.is_about_content() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether all layers are there, in the form that is wanted: somebody may have removed what is old, or it was lost.
    fn is_whole(&self, cache: &ExportedCache) -> bool {
        let wanted = self.to.compression.to_string();
        let forgotten = self.store.exchange().forgotten();
        let is_sound = |layer: &ExportedLayer| {
            !forgotten.contains(&layer.diff_id) && (!self.to.force || layer.compression == wanted)
        };
        if !cache.layers.iter().all(is_sound) {
            return false;
        }
        let has = parallel(&cache.layers, AT_ONCE, |layer| {
            self.backend.has(&described(layer), &[])
        });
        has.into_iter().all(|has| has.unwrap_or(false))
    }

    /// Sends one layer; its blob, and how many bytes went. What the backend has under the name that the layer is known by is neither
    /// made nor read.
    fn send_layer(&self, layer: &Digest) -> Result<(Descriptor, u64), BackendError> {
        self.remote.check_cancelled()?;
        let (store, compression) = (self.store, self.to.compression);
        // what was lost there may look as if it were there
        let is_doubtful = store.exchange().forgotten().contains(layer);
        let has = |blob: &Descriptor| Ok::<_, BackendError>(!is_doubtful && self.has(blob)?);
        if let Some(known) = store.forms().known(layer, compression)?
            && has(&known)?
        {
            return Ok((known, 0));
        }
        let blob = store.forms().compressed(layer, compression)?;
        let is_sent = !has(&blob)?;
        if is_sent {
            let open = || self.open(&blob.digest);
            self.backend.send(&blob, &open)?;
        }
        let origin = self.backend.origin();
        if origin.as_registry().is_some() {
            store.origins().add(&origin, &[blob.digest])?;
        }
        let bytes = if is_sent { blob.size } else { 0 };
        Ok((blob, bytes))
    }

    fn open(&self, blob: &Digest) -> io::Result<Box<dyn Read + Send>> {
        let opened = self.store.blobs().reader(blob);
        let opened =
            opened.map_err(|error| io::Error::other(crate::failure::chain_of_causes(&error)))?;
        Ok(Box::new(opened))
    }

    fn has(&self, blob: &Descriptor) -> Result<bool, BackendError> {
        let origins = self.store.origins().same(&blob.digest)?;
        self.backend.has(blob, &origins)
    }

    /// Gives the name to the records and the blobs of their layers.
    fn publish(
        &self,
        mut cache: ExportedCache,
        blobs: Vec<Descriptor>,
    ) -> Result<(), BackendError> {
        cache.build = self.outcome.build.cloned();
        let packed = format::pack(&cache).map_err(BackendError::malformed)?;
        self.send_small("", &packed)?;
        self.send_small(OCI_EMPTY, format::NO_CONFIG)?;
        let manifest = format::manifest(&packed, blobs, self.outcome.now);
        self.remote.check_cancelled()?;
        self.backend.publish(&manifest)
    }

    fn send_small(&self, media_type: &str, bytes: &[u8]) -> Result<(), BackendError> {
        let blob = Descriptor::of(media_type, bytes);
        if self.backend.has(&blob, &[])? {
            return Ok(());
        }
        self.backend.send(&blob, &|| from_memory(bytes))
    }
}

/// Makes a warning of an error that is to be ignored.
pub(super) fn tolerate(
    remote: &Remote,
    to: &Export,
    error: BackendError,
) -> Result<(), BuildError> {
    let place = to.backend.name();
    if remote.cancel.requested() {
        return Err(BuildError::Cancelled);
    }
    if !to.ignore_error {
        let source = Box::new(error);
        return Err(BuildError::Cache { place, source });
    }
    let causes = crate::failure::chain_of_causes(&error);
    let text = format!("the cache {place} was not written: {causes}");
    remote.events.warn(text);
    Ok(())
}

/// A blob that is in memory, for [`Backend::send`].
pub(super) fn from_memory(bytes: &[u8]) -> io::Result<Box<dyn Read + Send>> {
    Ok(Box::new(Cursor::new(bytes.to_vec())))
}
