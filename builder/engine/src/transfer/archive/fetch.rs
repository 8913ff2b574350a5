//! Brings what an archive needs and the store knows only by description, before the first byte is written: a save that lacks
//! something leaves no half of an archive, in a pipe neither. Unaware of archive formats.

use crate::failure::ArchiveError;
use kiln_cache::{Store, StoreError};
use kiln_oci::archive::Saving;
use kiln_oci::{Digest, ImageConfig, Manifest};

/// Brings the layers that will be written, several at once.
///
/// # Errors
/// [`ArchiveError::Unfetched`] with all that is missing.
pub(crate) fn layers(store: &Store, saving: &Saving) -> Result<(), ArchiveError> {
    let mut wanted = Vec::new();
    for image in &saving.images {
        let (Ok(manifest), Ok(config)) = (
            Manifest::parse(&image.manifest),
            ImageConfig::parse(&image.config),
        ) else {
            continue; // the writer says what is wrong with it
        };
        let blobs = manifest.layers.iter().map(|layer| layer.digest);
        wanted.extend(config.rootfs.diff_ids.into_iter().zip(blobs));
    }
    let receipt = saving.receipt.as_ref();
    wanted.retain(|(_, blob)| !receipt.is_some_and(|receipt| receipt.leaves_out(blob)));
    bring(store, &wanted)
}

/// Brings layers, each with its diff ID and the digest of its blob.
///
/// # Errors
/// As for [`layers`].
pub(super) fn bring(store: &Store, wanted: &[(Digest, Digest)]) -> Result<(), ArchiveError> {
    let missing = absent(store, wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    let diff_ids: Vec<Digest> = missing.iter().map(|(diff_id, _)| *diff_id).collect();
    let brought = store.fetch().layers(&diff_ids).and_then(|()| {
        // a tar that is here says nothing of the compressed blob
        let mut blobs = missing.iter().map(|(_, blob)| blob);
        blobs.try_for_each(|blob| store.blobs().open(blob).map(drop))
    });
    match brought {
        Err(source @ (StoreError::Fetch { .. } | StoreError::Missing { .. })) => {
            let missing = absent(store, wanted)?;
            Err(ArchiveError::Unfetched {
                missing: missing.into_iter().map(|(_, blob)| blob).collect(),
                source,
            })
        }
        outcome => Ok(outcome?),
    }
}

/// Those whose blobs are not here, each once.
fn absent(store: &Store, wanted: &[(Digest, Digest)]) -> Result<Vec<(Digest, Digest)>, StoreError> {
    let mut absent = Vec::new();
    for layer in wanted {
        store.leases().pin(&[layer.0, layer.1])?;
        if !store.blobs().has(&layer.1)? && !absent.contains(layer) {
            absent.push(*layer);
        }
    }
    Ok(absent)
}
