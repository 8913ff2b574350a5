//! What an index has beside images: attestations (manifests with the annotation
//! `vnd.docker.reference.type`, which BuildKit writes) and other artifacts. They are about files
//! that only their own tools read, but only together with them is the index the same bytes, with
//! the same digest. Unaware of what they say.

use std::collections::BTreeMap;

use super::documents::Documents;
use super::load::LoadedIndex;
use super::members::Members;
use super::{LoadError, blob_path};
use crate::descriptor::Descriptor;
use crate::manifest::Manifest;
use crate::media_type::is_manifest;

/// The blobs of one: the manifest, its config, its layers, there or not. Nothing for one whose
/// manifest is not there, or cannot be read.
pub(super) fn blobs(
    documents: &mut Documents<'_>,
    descriptor: &Descriptor,
) -> Result<Vec<Descriptor>, LoadError> {
    if !is_manifest(&descriptor.media_type) {
        return Ok(vec![descriptor.clone()]);
    }
    if !has(documents.members, descriptor)? {
        return Ok(Vec::new());
    }
    let bytes = documents.read_blob(descriptor, "manifest")?;
    let Ok(manifest) = Manifest::parse(&bytes) else {
        return Ok(Vec::new());
    };
    let mut blobs = vec![descriptor.clone(), manifest.config];
    blobs.extend(manifest.layers);
    Ok(blobs)
}

/// Drops those of which something is missing.
pub(super) fn keep_whole(index: &mut LoadedIndex, members: &Members) -> Result<(), LoadError> {
    let mut whole = Vec::new();
    for blobs in std::mem::take(&mut index.companions) {
        let mut is_whole = true;
        for blob in &blobs {
            is_whole = is_whole && has(members, blob)?;
        }
        whole.extend(is_whole.then_some(blobs));
    }
    index.companions = whole;
    Ok(())
}

/// All blobs by the names that they have in the archive.
pub(super) fn by_name(indexes: &[LoadedIndex]) -> BTreeMap<String, Descriptor> {
    let blobs = indexes.iter().flat_map(|index| &index.companions).flatten();
    blobs
        .map(|blob| (blob_path(&blob.digest), blob.clone()))
        .collect()
}

fn has(members: &Members, blob: &Descriptor) -> Result<bool, LoadError> {
    let found = members.find(&blob_path(&blob.digest))?;
    Ok(found.is_some_and(|found| found.size == blob.size && members.has(&found)))
}
