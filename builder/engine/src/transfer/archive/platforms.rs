//! Images of several platforms on their way into an archive. Unaware of archive formats.
//!
//! An index goes out verbatim, with the indexes and attestations in it, when all that it lists is here. One that lists what the store
//! has not is written anew with the images that are there: several tools refuse archives that list what they do not hold. So is one
//! whose layers are compressed otherwise, because its manifests are other ones then; attestations are about the old ones and stay
//! behind. Where only one image is there, it goes out alone.

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
    let original = Index::parse(&bytes).map_err(|source| document(*digest, source))?;
    let (mut images, mut entries) = (Vec::new(), Vec::new());
    for (platform, listed) in &here {
        let image = store.images().get(listed)?;
        let manifest = manifest(store, &image, options.compression)?;
        let known = original.manifests.iter();
        let known = known.clone().find(|entry| entry.digest == *listed);
        entries.push(describe(&manifest, platform, known)?);
        images.push(SaveImage {
            references: Vec::new(),
            manifest,
            config: image.config,
        });
    }
    let manifests: Vec<Digest> = entries.iter().map(|entry| entry.digest).collect();
    let is_same = here.iter().map(|(_, listed)| listed).eq(&manifests);
    let verbatim = companions.filter(|_| is_same);
    let is_reduced = verbatim.is_none() && entries.len() < original.manifests.len();
    let bytes = match &verbatim {
        Some(_) => bytes,
        None => Index {
            manifests: entries,
            ..original
        }
        .to_bytes(),
    };
    Ok(Some(Several {
        images,
        index: SaveIndex {
            references: reference.into_iter().collect(),
            bytes,
            preferred: preferred(&here, &manifests),
            manifests,
            companions: verbatim.unwrap_or_default(),
        },
        is_reduced,
    }))
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
