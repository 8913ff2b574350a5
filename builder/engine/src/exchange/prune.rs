//! Keeping a place of shared caches to a size: the caches that were written longest ago go, and what only they need. Unaware of where caches are.

use super::{CacheOptions, format, mounts};
use crate::failure::BackendError;
use crate::transfer::remote::Remote;
use jiff::Timestamp;
use kiln_oci::{Digest, Manifest};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

/// A cache, or the mounts of one, as a place has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptCache {
    /// What the place calls it.
    pub name: String,
    /// When it was written last, in any unit that goes up.
    pub changed: u64,
    /// Its blobs and their sizes.
    pub blobs: BTreeMap<Digest, u64>,
}

/// What came of keeping to a size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shrunk {
    /// The caches that went, the oldest first.
    pub removed: Vec<String>,
    /// Bytes that went.
    pub freed: u64,
    /// Bytes that all caches have now.
    pub kept: u64,
}

/// Keeps all caches of the place that `--cache-to` describes to so many bytes.
///
/// # Errors
/// The description means nothing, or the place cannot be read, written, or says nothing of its caches.
pub fn prune(remote: &Remote, place: &CacheOptions, most: u64) -> Result<Shrunk, BackendError> {
    super::cache_to(place, remote)?.backend.shrink(most)
}

/// The annotation of a manifest that says when it was written (OCI image specification, "Pre-Defined Annotation Keys").
const CREATED: &str = "org.opencontainers.image.created";

/// What a manifest says of when it was written, for places that do not know.
pub(super) fn written_at(time: SystemTime) -> BTreeMap<String, String> {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    [(CREATED.to_owned(), time.to_string())].into()
}

/// When a manifest was written, in microseconds; zero for one that does not tell.
pub(super) fn written(manifest: &[u8]) -> u64 {
    let annotations = Manifest::parse(manifest).map(|manifest| manifest.annotations);
    let time = annotations
        .ok()
        .and_then(|all| all.get(CREATED)?.parse::<Timestamp>().ok());
    let micros = time.map(|time| u64::try_from(time.as_microsecond()).unwrap_or(0));
    micros.unwrap_or(0)
}

/// The blobs of a manifest of ours; none for anything else.
pub(super) fn blobs(manifest: &[u8]) -> BTreeMap<Digest, u64> {
    let blobs = [format::blobs(manifest), mounts::format::blobs(manifest)].concat();
    let blobs = blobs.into_iter().map(|blob| (blob.digest, blob.size));
    blobs.collect()
}

/// Those that have to go, the oldest first, so that the others have at most so many bytes; and those that stay.
pub(super) fn split(mut caches: Vec<KeptCache>, most: u64) -> (Vec<KeptCache>, Vec<KeptCache>) {
    caches.sort_by(|a, b| (a.changed, &a.name).cmp(&(b.changed, &b.name)));
    let mut first = 0;
    while first < caches.len() && bytes(&caches[first..]) > most {
        first += 1;
    }
    let kept = caches.split_off(first);
    (caches, kept)
}

/// Bytes of all blobs that caches need; what several need counts once.
pub(super) fn bytes(caches: &[KeptCache]) -> u64 {
    let blobs = caches.iter().flat_map(|cache| &cache.blobs);
    let blobs: BTreeSet<(&Digest, &u64)> = blobs.collect();
    let sizes = blobs.into_iter().map(|(_, size)| *size);
    sizes.fold(0, u64::saturating_add)
}

impl Shrunk {
    pub(super) fn of(removed: &[KeptCache], freed: u64, kept: &[KeptCache]) -> Self {
        Self {
            removed: removed.iter().map(|cache| cache.name.clone()).collect(),
            freed,
            kept: bytes(kept),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(name: &str, changed: u64, blobs: &[(&str, u64)]) -> KeptCache {
        let blob = |(name, size): &(&str, u64)| (Digest::of(name.as_bytes()), *size);
        KeptCache {
            name: name.to_owned(),
            changed,
            blobs: blobs.iter().map(blob).collect(),
        }
    }

    #[test]
    fn a_manifest_says_when_it_was_written() {
        let at = |micros| SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(micros);
        for micros in [0, 1, 1_700_000_000_000_000, 1_700_000_000_123_456] {
            assert_eq!(
                written(&format::manifest(b"", Vec::new(), at(micros))),
                micros
            );
        }
        assert_eq!(written(b"{}"), 0);
    }

    #[test]
    fn the_oldest_go_until_the_rest_fits() {
        let all = [
            cache("new", 3, &[("a", 10), ("b", 5)]),
            cache("old", 1, &[("a", 10), ("c", 20)]),
            cache("middle", 2, &[("d", 7)]),
        ];
        let gone = |most| {
            let (gone, kept) = split(all.to_vec(), most);
            let names = gone.into_iter().map(|cache| cache.name);
            (names.collect::<Vec<_>>().join(" "), bytes(&kept))
        };
        assert_eq!(gone(42), (String::new(), 42));
        assert_eq!(gone(41), ("old".to_owned(), 22));
        assert_eq!(gone(21), ("old middle".to_owned(), 15));
        assert_eq!(gone(14), ("old middle new".to_owned(), 0));
    }
}
