//! A cache as an OCI artifact: a manifest whose first layer holds the records (JSON, zstd) and whose other layers are the layers of
//! those records, so that a registry keeps them all and tools can copy it. Unaware of where it is kept.

use super::prune;
use crate::failure::{BackendError, Foreign};
use kiln_cache::ExportedCache;
use kiln_oci::compression::{Encoding, Limited, decoder};
use kiln_oci::media_type::{self, OCI_EMPTY};
use kiln_oci::{Descriptor, Index, LayerCompression, Manifest};
use std::io::{Read, Write};
use std::time::SystemTime;

/// The type of manifests of caches.
const ARTIFACT: &str = "application/vnd.kiln.cache.v1";
/// The type of their first layer.
const RECORDS: &str = "application/vnd.kiln.cache.records.v1+json+zstd";
/// The type that BuildKit's caches have.
const BUILDKIT: &str = "application/vnd.buildkit.cacheconfig.v0";
/// The config that an artifact has.
pub(super) const NO_CONFIG: &[u8] = b"{}";
/// Bytes of the records, as they travel and as they are read: some hundred thousand steps.
const MAX_RECORDS: (u64, u64) = (32 << 20, 256 << 20);

/// The records as they travel.
pub(super) fn pack(cache: &ExportedCache) -> std::io::Result<Vec<u8>> {
    let mut encoder = LayerCompression::zstd().encoder(Vec::new(), 1)?;
    encoder.write_all(&cache.to_bytes())?;
    encoder.finish()
}

/// Reads records.
pub(super) fn unpack(bytes: &[u8]) -> Result<ExportedCache, BackendError> {
    let mut text = Vec::new();
    let decoded = decoder(bytes, Encoding::Zstd);
    let read = decoded.and_then(|read| Limited::new(read, MAX_RECORDS.1).read_to_end(&mut text));
    read.map_err(BackendError::malformed)?;
    let cache = ExportedCache::parse(&text).map_err(BackendError::malformed)?;
    cache.ok_or(BackendError::Foreign(Foreign::Version))
}

/// The manifest of packed records and their layers, written at this time.
pub(super) fn manifest(records: &[u8], layers: Vec<Descriptor>, written: SystemTime) -> Vec<u8> {
    let records = Descriptor::of(RECORDS, records);
    let layers = std::iter::once(records).chain(layers).collect();
    let mut manifest = Manifest::for_layers(Descriptor::of(OCI_EMPTY, NO_CONFIG), layers);
    manifest.artifact_type = Some(ARTIFACT.to_owned());
    manifest.annotations = prune::written_at(written);
    manifest.to_bytes()
}

/// Where the records of a cache are.
///
/// # Errors
/// The manifest or index is of something else.
pub(super) fn records(bytes: &[u8]) -> Result<Descriptor, BackendError> {
    let is_index = serde_json::from_slice::<serde_json::Value>(bytes)
        .is_ok_and(|value| value.get("manifests").is_some());
    if is_index {
        let index = Index::parse(bytes).map_err(BackendError::malformed)?;
        let mut entries = index.manifests.iter();
        let is_buildkit = entries.any(|entry| entry.media_type == BUILDKIT);
        return Err(BackendError::Foreign(match is_buildkit {
            true => Foreign::BuildKit,
            false => Foreign::Image,
        }));
    }
    let manifest = Manifest::parse(bytes).map_err(BackendError::malformed)?;
    let is_ours = manifest.artifact_type.as_deref() == Some(ARTIFACT);
    let config = manifest.config.media_type.as_str();
    match manifest.layers.into_iter().next() {
        Some(records) if is_ours && records.media_type == RECORDS => checked(records),
        _ if config == BUILDKIT => Err(BackendError::Foreign(Foreign::BuildKit)),
        _ if media_type::is_config(config) => Err(BackendError::Foreign(Foreign::Image)),
        _ => Err(BackendError::Foreign(Foreign::Unknown)),
    }
}

fn checked(records: Descriptor) -> Result<Descriptor, BackendError> {
    if records.size <= MAX_RECORDS.0 {
        return Ok(records);
    }
    let text = format!("its records have {} bytes", records.size);
    Err(BackendError::Malformed(text))
}

/// The blobs that a manifest of ours needs; none of anything else.
pub(super) fn blobs(manifest: &[u8]) -> Vec<Descriptor> {
    match (records(manifest), Manifest::parse(manifest)) {
        (Ok(_), Ok(manifest)) => manifest
            .layers
            .into_iter()
            .chain([manifest.config])
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_say_what_they_are_of() {
        let layer = Descriptor::of(media_type::OCI_LAYER_GZIP, b"layer");
        let cache = manifest(b"records", vec![layer.clone()], SystemTime::UNIX_EPOCH);
        let packed = Descriptor::of(RECORDS, b"records");
        assert_eq!(records(&cache).unwrap(), packed);
        let config = Descriptor::of(OCI_EMPTY, NO_CONFIG);
        assert_eq!(blobs(&cache), [packed, layer.clone(), config]);
        let foreign = |bytes: &[u8]| match records(bytes) {
            Err(BackendError::Foreign(foreign)) => foreign,
            other => panic!("{other:?}"),
        };
        let with_config = |kind: &str| {
            let config = Descriptor::of(kind, b"{}");
            Manifest::for_layers(config, vec![layer.clone()]).to_bytes()
        };
        let image = with_config(media_type::OCI_CONFIG);
        assert_eq!(foreign(&image), Foreign::Image);
        assert!(blobs(&image).is_empty());
        assert_eq!(foreign(&with_config(BUILDKIT)), Foreign::BuildKit);
        assert_eq!(foreign(&with_config("text/plain")), Foreign::Unknown);
        for (kind, is) in [
            (BUILDKIT, Foreign::BuildKit),
            (media_type::OCI_MANIFEST, Foreign::Image),
        ] {
            let index = Index::of(vec![layer.clone(), Descriptor::of(kind, b"{}")]).to_bytes();
            assert_eq!(foreign(&index), is);
        }
        assert!(records(b"nothing").is_err());
        let mut large = Manifest::parse(&cache).unwrap();
        large.layers[0].size = 1 << 40;
        assert!(records(&large.to_bytes()).is_err());
    }
}
