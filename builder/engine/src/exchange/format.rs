//! A cache as an OCI artifact: a manifest whose first layer holds the records (JSON, zstd) and whose other layers are the layers of
//! those records, so that a registry keeps them all and tools can copy it. Unaware of where it is kept.

use super::PlaceError;
use kiln_cache::SharedCache;
use kiln_oci::compression::{Encoding, Limited, decoder};
use kiln_oci::media_type::{self, OCI_EMPTY};
use kiln_oci::{Descriptor, Index, LayerCompression, Manifest};
use std::io::{Read, Write};

/// What manifests of caches are.
const ARTIFACT: &str = "application/vnd.kiln.cache.v1";
/// What their first layer is.
const RECORDS: &str = "application/vnd.kiln.cache.records.v1+json+zstd";
/// What BuildKit's caches have.
const BUILDKIT: &str = "application/vnd.buildkit.cacheconfig.v0";
/// The config that an artifact has.
pub(super) const NO_CONFIG: &[u8] = b"{}";
/// Bytes of the records, as they travel and as they are read: some hundred thousand steps.
const MAX_RECORDS: (u64, u64) = (32 << 20, 256 << 20);

/// What is under a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A cache: where its records are.
    Cache(Box<Descriptor>),
    /// An image.
    Image,
    /// A cache of BuildKit.
    BuildKit,
    /// An artifact of another kind.
    Other,
}

/// The records as they travel.
pub(super) fn pack(cache: &SharedCache) -> std::io::Result<Vec<u8>> {
    let mut encoder = LayerCompression::zstd().encoder(Vec::new(), 1)?;
    encoder.write_all(&cache.to_bytes())?;
    encoder.finish()
}

/// Reads records; `None` for those of another version.
pub(super) fn unpack(bytes: &[u8]) -> Result<Option<SharedCache>, PlaceError> {
    let malformed = |error: String| PlaceError::Malformed(error);
    let decoded = decoder(bytes, Encoding::Zstd).map_err(|error| malformed(error.to_string()))?;
    let mut text = Vec::new();
    let read = Limited::new(decoded, MAX_RECORDS.1).read_to_end(&mut text);
    read.map_err(|error| malformed(error.to_string()))?;
    SharedCache::parse(&text).map_err(|error| malformed(error.to_string()))
}

/// The manifest of packed records and their layers.
pub(super) fn manifest(records: &[u8], layers: Vec<Descriptor>) -> Vec<u8> {
    let records = Descriptor::of(RECORDS, records);
    let layers = std::iter::once(records).chain(layers).collect();
    let mut manifest = Manifest::for_layers(Descriptor::of(OCI_EMPTY, NO_CONFIG), layers);
    manifest.artifact_type = Some(ARTIFACT.to_owned());
    manifest.to_bytes()
}

/// What a manifest or index is of.
pub(super) fn content(bytes: &[u8]) -> Result<Content, PlaceError> {
    let malformed = |error: kiln_oci::DocumentError| PlaceError::Malformed(error.to_string());
    let is_index = serde_json::from_slice::<serde_json::Value>(bytes)
        .is_ok_and(|value| value.get("manifests").is_some());
    if is_index {
        let index = Index::parse(bytes).map_err(malformed)?;
        let is_buildkit = |entry: &Descriptor| entry.media_type == BUILDKIT;
        return Ok(match index.manifests.iter().any(is_buildkit) {
            true => Content::BuildKit,
            false => Content::Image,
        });
    }
    let manifest = Manifest::parse(bytes).map_err(malformed)?;
    let records = manifest.layers.first();
    Ok(match (manifest.artifact_type.as_deref(), records) {
        (Some(ARTIFACT), Some(records)) if records.media_type == RECORDS => {
            if records.size > MAX_RECORDS.0 {
                let text = format!("its records have {} bytes", records.size);
                return Err(PlaceError::Malformed(text));
            }
            Content::Cache(Box::new(records.clone()))
        }
        _ if manifest.config.media_type == BUILDKIT => Content::BuildKit,
        _ if media_type::is_config(&manifest.config.media_type) => Content::Image,
        _ => Content::Other,
    })
}

/// The blobs that a manifest of ours needs; none of anything else.
pub(super) fn blobs(manifest: &[u8]) -> Vec<Descriptor> {
    match (content(manifest), Manifest::parse(manifest)) {
        (Ok(Content::Cache(_)), Ok(manifest)) => manifest
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
        let cache = manifest(b"records", vec![layer.clone()]);
        let records = Descriptor::of(RECORDS, b"records");
        assert_eq!(
            content(&cache).unwrap(),
            Content::Cache(Box::new(records.clone()))
        );
        let config = Descriptor::of(OCI_EMPTY, NO_CONFIG);
        assert_eq!(blobs(&cache), [records, layer.clone(), config]);
        let with_config = |kind: &str| {
            let config = Descriptor::of(kind, b"{}");
            Manifest::for_layers(config, vec![layer.clone()]).to_bytes()
        };
        let image = with_config(media_type::OCI_CONFIG);
        assert_eq!(content(&image).unwrap(), Content::Image);
        assert!(blobs(&image).is_empty());
        assert_eq!(content(&with_config(BUILDKIT)).unwrap(), Content::BuildKit);
        assert_eq!(content(&with_config("text/plain")).unwrap(), Content::Other);
        for (kind, is) in [
            (BUILDKIT, Content::BuildKit),
            (media_type::OCI_MANIFEST, Content::Image),
        ] {
            let index = Index::of(vec![layer.clone(), Descriptor::of(kind, b"{}")]).to_bytes();
            assert_eq!(content(&index).unwrap(), is);
        }
        assert!(content(b"nothing").is_err());
        let mut large = Manifest::parse(&cache).unwrap();
        large.layers[0].size = 1 << 40;
        assert!(content(&large.to_bytes()).is_err());
    }
}
