//! Importing caches before anything is executed: what they hold becomes known to the store, and a build whose outcome they have is
//! over. A cache that cannot be read is a warning: it can only make a build faster. Unaware of how keys are made.

use super::{Backend, format};
use crate::event::EventKind;
use crate::failure::{BackendError, BuildError};
use crate::transfer::remote::Remote;
use kiln_cache::exchange::{ImportedLayer, Loss};
use kiln_cache::{
    CacheOrigin, Caches, ExportedCache, ExportedLayer, MemoBundle, Store, StoreError, parallel,
};
use kiln_oci::{Descriptor, Digest};
use std::sync::Arc;
use std::time::Instant;

/// Layers that are asked for at once.
const AT_ONCE: usize = 8;

/// What a cache says that a build came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Which results its steps had, in the order of the plan.
    pub bundle: MemoBundle,
    /// The cache that says so.
    pub caches: Caches,
}

/// Imports the results of all caches into the store, in their order. What they say about the build of this key.
///
/// # Errors
/// The store fails.
pub(crate) fn import(
    store: &Store,
    remote: &Remote,
    backends: &[Arc<dyn Backend>],
    memo: Option<&Digest>,
) -> Result<Vec<Outcome>, BuildError> {
    let found = parallel(backends, backends.len(), |backend| {
        let begun = Instant::now();
        let found = read(backend.as_ref());
        (found, micros(begun))
    });
    let mut outcomes = Vec::new();
    for (backend, (found, took_us)) in backends.iter().zip(found) {
        let backend = backend.as_ref();
        report(remote, backend, &found, took_us);
        if let Ok(Some(cache)) = found {
            outcomes.extend(take(store, backend, cache, memo)?);
        }
    }
    Ok(outcomes)
}

/// Tells what came of reading a cache. A cache that cannot be read is a warning.
fn report(
    remote: &Remote,
    backend: &dyn Backend,
    found: &Result<Option<ExportedCache>, BackendError>,
    took_us: u64,
) {
    let (place, events) = (backend.name(), &remote.events);
    match found {
        Ok(found) => events.send(EventKind::CacheRead {
            place,
            records: found.as_ref().map(|cache| cache.records.len()),
            took_us,
        }),
        Err(_) if remote.cancel.requested() => {}
        Err(error) => {
            let causes = crate::failure::chain_of_causes(error);
            events.warn(format!("the cache {place} is not used: {causes}"));
        }
    }
}

/// Imports one cache; what it says about the build of this key.
fn take(
    store: &Store,
    backend: &dyn Backend,
    mut cache: ExportedCache,
    memo: Option<&Digest>,
) -> Result<impl Iterator<Item = Outcome>, StoreError> {
    let name = backend.identity();
    if let Some(build) = cache.build.take() {
        store.exchange().hear(build);
    }
    store.exchange().import(&name, &backend.origin(), &cache)?;
    let memo = memo.copied();
    let known = cache.memos.into_iter();
    let known = known.filter(move |known| Some(known.key) == memo);
    Ok(known.map(move |known| Outcome {
        bundle: known.bundle,
        caches: Caches::one(&name),
    }))
}

/// The cache at a backend; `None` when there is nothing yet.
///
/// # Errors
/// It cannot be read, or is something else.
pub(super) fn read(backend: &dyn Backend) -> Result<Option<ExportedCache>, BackendError> {
    let Some(manifest) = backend.manifest()? else {
        return Ok(None);
    };
    let records = backend.document(&format::records(&manifest)?)?;
    let mut cache = format::unpack(&records)?;
    if matches!(backend.origin(), CacheOrigin::Folder(_)) {
        // asking a folder costs next to nothing
        cache.retain_layers(|layer| backend.has(&described(layer), &[]).unwrap_or(false));
    }
    Ok(Some(cache))
}

/// The blob of a layer, as it is asked for.
pub(super) fn described(layer: &ExportedLayer) -> Descriptor {
    Descriptor::new("", layer.blob, layer.size)
}

/// Makes sure of the layers of an outcome that are not here: those at origins that later commands cannot reach are fetched, registries
/// are asked for the others, which stay bound to the store.
///
/// # Errors
/// One cannot be fetched, or is not what was said.
pub(crate) fn secure(store: &Store, remote: &Remote, outcome: &Digest) -> Result<(), BuildError> {
    let mut layers = Vec::new();
    for (_, image) in store.indexes().images_of(outcome)? {
        layers.extend(store.images().get(&image)?.diff_ids);
    }
    let is_lasting = |imported: &ImportedLayer| imported.origin.as_registry().is_some();
    let absent = store.exchange().only_remote(&layers)?.into_iter();
    let (lasting, passing): (Vec<_>, Vec<_>) =
        absent.partition(|(_, imported)| imported.iter().all(is_lasting));
    let passing: Vec<Digest> = passing.into_iter().map(|(layer, _)| layer).collect();
    store.fetch().layers(&passing)?;
    store.exchange().check_claims(&layers)?;
    bind(store, remote, &lasting)
}

/// Binds layers to the store, each by a repository that has it.
fn bind(
    store: &Store,
    remote: &Remote,
    layers: &[(Digest, Vec<ImportedLayer>)],
) -> Result<(), BuildError> {
    let exchange = store.exchange();
    let found = parallel(layers, AT_ONCE, |(_, imported)| {
        let found = imported.iter().find(|known| is_there(remote, known));
        found.cloned()
    });
    let missing = layers
        .iter()
        .zip(&found)
        .filter(|(_, found)| found.is_none());
    let missing: Vec<Digest> = missing.map(|((layer, _), _)| *layer).collect();
    let found: Vec<ImportedLayer> = found.into_iter().flatten().collect();
    if !found.is_empty() {
        exchange.bind(&found)?;
    }
    missing.iter().for_each(|layer| exchange.lose(layer));
    match missing.first() {
        Some(digest) => Err(StoreError::Missing { digest: *digest }.into()),
        None => Ok(()),
    }
}

fn is_there(remote: &Remote, imported: &ImportedLayer) -> bool {
    let registry = remote.registry().ok();
    let Some((registry, repository)) = registry.zip(imported.origin.as_registry()) else {
        return false;
    };
    registry
        .has_blob(repository, imported.layer.blob)
        .unwrap_or(false)
}

/// Whether caches have promised layers that they do not have, or that are not what they said. These are forgotten: what failed for want
/// of them goes another way.
pub(crate) fn forget_lost(store: &Store, remote: &Remote) -> bool {
    let lost = store.exchange().forget_lost().unwrap_or_default();
    if remote.cancel.is_interrupted() {
        return false;
    }
    for (layer, loss) in &lost {
        let what = match loss {
            Loss::Absent => "cannot be fetched",
            Loss::Disproved => "holds other files than its record says",
        };
        remote.events.warn(format!(
            "the layer {layer} of a shared cache {what}; its step is executed"
        ));
    }
    !lost.is_empty()
}

pub(super) fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
