//! Images of several platforms on their way into an archive. Unaware of archive formats.
//!
//! An index goes out verbatim when all that it lists goes with it. One that lists platforms which the store has not, or attestations,
//! is written anew with what is there: several tools refuse archives that list what they do not hold. Where only one image is there, it
//! goes out alone.

use super::ArchiveError;
use super::save::{SaveOptions, document, manifest};
use kiln_cache::Store;
use kiln_oci::archive::{SaveImage, SaveIndex};
use kiln_oci::media_type::OCI_MANIFEST;
use kiln_oci::{Descriptor, Digest, Index, Manifest, Platform, Reference};

/// What goes into the archive for one index.
pub(super) struct Several {
    pub(super) images: Vec<SaveImage>,
    pub(super) index: SaveIndex,
    /// Not all that the original index lists.
    pub(super) is_reduced: bool,
}

/// The images of an index that the store has, and the index above them; `None` when there is only one.
pub(super) fn several(
    store: &Store,
    digest: &Digest,
    bytes: Vec<u8>,
    reference: Option<Reference>,
    options: &SaveOptions,
) -> Result<Option<Several>, ArchiveError> {
    let here = store.images_of(digest)?;
    if here.len() < 2 {
        return Ok(None);
    }
    let mut index = Index::parse(&bytes).map_err(|source| document(*digest, source))?;
    let (mut images, mut entries) = (Vec::new(), Vec::new());
    for (platform, listed) in &here {
        let image = store.image(listed)?;
        let manifest = manifest(store, &image, options.compression)?;
        let known = index.manifests.iter().find(|entry| entry.digest == *listed);
        entries.push(describe(&manifest, platform, known)?);
        images.push(SaveImage {
            references: Vec::new(),
            manifest,
            config: image.config,
        });
    }
    let manifests: Vec<Digest> = entries.iter().map(|entry| entry.digest).collect();
    let host = Platform::host();
    let preferred = here
        .iter()
        .position(|(platform, _)| platform.matches(&host));
    let is_same = index.manifests == entries;
    let is_reduced = entries.len() < index.manifests.len();
    index.manifests = entries;
    Ok(Some(Several {
        images,
        index: SaveIndex {
            references: reference.into_iter().collect(),
            bytes: if is_same { bytes } else { index.to_bytes() },
            preferred: manifests[preferred.unwrap_or(0)],
            manifests,
        },
        is_reduced,
    }))
}

/// The entry of the index: the one that it has, unless the manifest is another one now.
fn describe(
    manifest: &[u8],
    platform: &Platform,
    known: Option<&Descriptor>,
) -> Result<Descriptor, ArchiveError> {
    if let Some(known) = known.filter(|known| known.describes(manifest)) {
        return Ok(known.clone());
    }
    let parsed =
        Manifest::parse(manifest).map_err(|source| document(Digest::of(manifest), source))?;
    let media_type = parsed.media_type.unwrap_or_else(|| OCI_MANIFEST.into());
    let mut entry = Descriptor::of(media_type, manifest);
    entry.platform = Some(platform.clone());
    if let Some(known) = known {
        entry.annotations.clone_from(&known.annotations);
    }
    Ok(entry)
}
