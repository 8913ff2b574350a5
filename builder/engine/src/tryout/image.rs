//! An image of what a process has left. Unaware of what ran.

use crate::failure::ContainerError;
use crate::session::Session;
use kiln_cache::{CommitOptions, StoreError, Times};
use kiln_oci::media_type::{OCI_CONFIG, OCI_LAYER};
use kiln_oci::{Descriptor, Digest, ImageConfig, Manifest};

/// How changes become a layer: with the times that they have.
pub fn commit_options(session: &Session) -> CommitOptions {
    CommitOptions {
        times: Times::Kept,
        single_id: session.ids.is_single(),
    }
}

/// Puts an image of layers that are here into the store, without a name: its manifest and its ID.
pub fn put(session: &Session, config: &ImageConfig) -> Result<(Digest, Digest), ContainerError> {
    let layers = config.rootfs.diff_ids.iter();
    let blobs = layers.map(|layer| blob(session, layer));
    let blobs = blobs.collect::<Result<_, _>>()?;
    let config = config.to_bytes();
    let manifest = Manifest::for_layers(Descriptor::of(OCI_CONFIG, &config), blobs);
    let put = session.store.images().put(&manifest.to_bytes(), &config)?;
    Ok(put)
}

fn blob(session: &Session, layer: &Digest) -> Result<Descriptor, StoreError> {
    let size = session.store.exchange().layer_size(layer)?;
    let missing = || StoreError::Missing { digest: *layer };
    Ok(Descriptor::new(
        OCI_LAYER,
        *layer,
        size.ok_or_else(missing)?,
    ))
}
