//! Images of several platforms on their way into an archive. Unaware of archive formats.
//!
//! An index goes out verbatim, with the indexes and attestations in it, when all that it lists is here. One that lists what the
//! store does not hold is written anew with the images that are there, because several tools refuse archives that list what they
//! do not hold. So is one whose layers are compressed differently, because that changes its manifests; attestations are about
//! the old ones and stay behind. An image that is alone goes out alone.

use super::save::{SaveOptions, document, manifest};
use crate::failure::ArchiveError;
use kiln_cache::Store;
use kiln_oci::archive::{SaveImage, SaveIndex};
use kiln_oci::media_type::OCI_MANIFEST;
use kiln_oci::{Descriptor, Digest, Index, Manifest, Platform, Reference};

/// What goes into the archive for one index: its images, the index above them, and whether that lists less than it did.
pub(super) type Several = (Vec<SaveImage>, SaveIndex, bool);

/// The images of an index that the store has, and the index above them; `None` when there is only one in a reduced index.
pub(super) fn several(
    store: &Store,
    digest: &Digest,
    bytes: Vec<u8>,
    reference: Option<Reference>,
    options: &SaveOptions,
) -> Result<Option<Several>, ArchiveError> {
    let here = store.indexes().images_of(digest)?;
    let companions = store.indexes().companions(digest)?;
    if here.is_empty() || (here.len() < 2 && companions.is_none()) {
        return Ok(None);
    }
    let mut original = Index::parse(&bytes).map_err(|source| document(*digest, source))?;
    let (images, entries) = collect(store, &here, &original, options)?;
    let manifests: Vec<Digest> = entries.iter().map(|entry| entry.digest).collect();
    let is_same = here.iter().map(|(_, listed)| listed).eq(&manifests);
    let mut index = SaveIndex {
        references: reference.into_iter().collect(),
        bytes,
        preferred: preferred(&here, &manifests),
        manifests,
        companions: Vec::new(),
    };
    let mut is_reduced = false;
    if let Some(companions) = companions.filter(|_| is_same) {
        index.companions = companions;
    } else {
        is_reduced = entries.len() < original.manifests.len();
        original.manifests = entries;
        index.bytes = original.to_bytes();
    }
    Ok(Some((images, index, is_reduced)))
}

/// The images of an index as they are saved, each with its entry in the index.
fn collect(
    store: &Store,
    here: &[(Platform, Digest)],
    original: &Index,
    options: &SaveOptions,
) -> Result<(Vec<SaveImage>, Vec<Descriptor>), ArchiveError> {
    let (mut images, mut entries) = (Vec::new(), Vec::new());
    for (platform, listed) in here {
        let image = store.images().get(listed)?;
        let manifest = manifest(store, &image, options.compression)?;
        let mut known = original.manifests.iter();
        let known = known.find(|entry| entry.digest == *listed);
        entries.push(describe(&manifest, platform, known)?);
        images.push(SaveImage {
            references: Vec::new(),
            manifest,
            config: image.config,
        });
    }
    Ok((images, entries))
}

/// The manifest that stands for all where there can be only one: that for this machine, else the first.
fn preferred(here: &[(Platform, Digest)], manifests: &[Digest]) -> Digest {
    let host = Platform::host();
    let fits = |(platform, _): &(Platform, Digest)| platform.matches(&host);
    let position = here.iter().position(fits);
    manifests[position.unwrap_or(0)]
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
