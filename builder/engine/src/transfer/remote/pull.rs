//! Pulling: a reference becomes an image of the store, whose layers come later. Unaware of builds.

use std::time::Instant;

use kiln_cache::{CacheOrigin, Store};
use kiln_oci::registry::{Client, Fetched};
use kiln_oci::{Descriptor, Digest, Index, Manifest, Platform, Reference, media_type};

use crate::event::EventKind;
use crate::failure::RemoteError;
use crate::transfer::remote::platform::choose;
use crate::transfer::remote::{Remote, if_found};

/// Indexes in indexes that are followed.
pub(super) const MAX_DEPTH: usize = 3;

/// An image that was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The reference, with its tag.
    pub reference: Reference,
    /// What the registry calls it: digest of the index, or of the manifest where there is none.
    pub digest: Digest,
    /// Digest of the manifest for the platform.
    pub manifest: Digest,
    /// Whether the store had just that under this name.
    pub is_unchanged: bool,
}

/// Asks the registry for an image and puts what it names for `platform` into the store, without layers. A name that the store
/// knows is moved; when nothing has changed, this takes one small request.
///
/// # Errors
/// The registry does not answer or has no such image, or none for the platform.
pub fn pull(
    remote: &Remote,
    store: &Store,
    reference: &Reference,
    platform: &Platform,
) -> Result<Pulled, RemoteError> {
    let registry = remote.registry()?;
    let reference = reference.clone().with_default_tag();
    let begun = Instant::now();
    let pulled = match unchanged(registry, store, &reference, platform)? {
        Some(pulled) => pulled,
        None => fetch(registry, store, reference, platform)?,
    };
    tell(remote, &pulled, begun);
    Ok(pulled)
}

/// Follows the name to the image for the platform, and puts what it finds into the store.
fn fetch(
    registry: &Client,
    store: &Store,
    reference: Reference,
    platform: &Platform,
) -> Result<Pulled, RemoteError> {
    let mut found = registry.manifest(&reference)?;
    let digest = found.digest;
    let mut kept = vec![digest];
    while media_type::is_index(&found.media_type) {
        let child = child(store, &reference, platform, &found, kept.len())?;
        found = registry.manifest(&with_digest(&reference, child))?;
        kept.push(child);
    }
    put(registry, store, &reference, &found, kept)?;
    if reference.digest.is_none() {
        store.images().tag(&reference, &digest)?;
    }
    Ok(Pulled {
        reference,
        digest,
        manifest: found.digest,
        is_unchanged: false,
    })
}

fn tell(remote: &Remote, pulled: &Pulled, begun: Instant) {
    remote.events.send(EventKind::Resolved {
        reference: pulled.reference.familiar(),
        digest: pulled.digest.to_string(),
        took_us: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
    });
}

/// What the store has under this name, when the registry still says the same.
fn unchanged(
    registry: &Client,
    store: &Store,
    reference: &Reference,
    platform: &Platform,
) -> Result<Option<Pulled>, RemoteError> {
    let name = reference.to_string();
    let (Ok(known), Ok(image)) = (
        store.images().find_named(&name),
        store.images().find_for(&name, platform),
    ) else {
        return Ok(None);
    };
    // a digest always names the same
    let is_same =
        reference.digest.is_some() || if_found(registry.manifest_digest(reference))? == Some(known);
    Ok(is_same.then(|| Pulled {
        reference: reference.clone(),
        digest: known,
        manifest: image.manifest_digest,
        is_unchanged: true,
    }))
}

/// Keeps an index, verbatim, and says which of its images is the one.
fn child(
    store: &Store,
    reference: &Reference,
    platform: &Platform,
    found: &Fetched,
    depth: usize,
) -> Result<Digest, RemoteError> {
    if depth > MAX_DEPTH {
        let reference = reference.familiar();
        return Err(RemoteError::TooDeep { reference });
    }
    let index = Index::parse(&found.bytes).map_err(|source| RemoteError::Document {
        digest: found.digest,
        source,
    })?;
    let child = choose(&index, platform).map_err(|available| RemoteError::NoPlatform {
        reference: reference.familiar(),
        wanted: platform.to_string(),
        available,
    })?;
    store.indexes().put(&found.bytes)?;
    Ok(child.digest)
}

pub(super) fn with_digest(reference: &Reference, digest: Digest) -> Reference {
    Reference {
        digest: Some(digest),
        ..reference.clone()
    }
}

/// Puts manifest and config into the store, and where the layers are.
fn put(
    registry: &Client,
    store: &Store,
    reference: &Reference,
    found: &Fetched,
    mut kept: Vec<Digest>,
) -> Result<(), RemoteError> {
    let manifest = Manifest::parse(&found.bytes).map_err(|source| RemoteError::Document {
        digest: found.digest,
        source,
    })?;
    let config = config(registry, store, reference, &manifest.config)?;
    kept.push(manifest.config.digest);
    kept.extend(manifest.layers.iter().map(|layer| layer.digest));
    store
        .origins()
        .add(&CacheOrigin::repository(reference), &kept)?;
    store.images().put(&found.bytes, &config)?;
    Ok(())
}

/// The config: the store's, if it has it.
fn config(
    registry: &Client,
    store: &Store,
    reference: &Reference,
    config: &Descriptor,
) -> Result<Vec<u8>, RemoteError> {
    if store.blobs().has(&config.digest)? {
        let mut bytes = Vec::new();
        let mut file = store.blobs().open(&config.digest)?;
        let read = std::io::Read::read_to_end(&mut file, &mut bytes);
        if read.is_ok() && config.describes(&bytes) {
            return Ok(bytes);
        }
    }
    let bytes = registry.document(reference, config)?;
    if !config.describes(&bytes) {
        return Err(RemoteError::Config {
            expected: config.digest,
        });
    }
    Ok(bytes)
}
