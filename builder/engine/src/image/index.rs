//! The index that a build's images go into: a new one, or with `--manifest` what is there already under that name. Unaware of how the
//! images were made.

use crate::failure::BuildError;
use crate::session::Session;
use kiln_cache::{ImageError, KeyLock};
use kiln_oci::{Descriptor, Digest, Index, Reference};

/// Waits until this build may add to the index of this name: from reading it until it is named, nobody else does, so that builds at
/// once lose none of their images.
///
/// # Errors
/// When the store fails.
pub(crate) fn turn(
    session: &Session,
    name: Option<&Reference>,
) -> Result<Option<KeyLock>, BuildError> {
    let key = name.map(|name| Digest::of(format!("index {name}").as_bytes()));
    let turn = key.map(|key| {
        session
            .store
            .leases()
            .lock(&key, "it adds to the same index")
    });
    Ok(turn.transpose()?)
}

/// An index of `made`; what an index of that name holds for other platforms stays.
///
/// # Errors
/// When the store fails.
pub(crate) fn with(
    session: &Session,
    name: Option<&Reference>,
    made: Vec<Descriptor>,
) -> Result<Index, BuildError> {
    let Some(mut index) = name.map(|name| held(session, name)).transpose()?.flatten() else {
        return Ok(Index::of(made));
    };
    let is_made = |old: &Descriptor| made.iter().any(|new| new.platform == old.platform);
    index.manifests.retain(|old| !is_made(old));
    index.manifests.extend(made);
    Ok(index)
}

/// The index of this name, if there is one.
fn held(session: &Session, name: &Reference) -> Result<Option<Index>, BuildError> {
    let digest = match session.store.images().find_named(&name.to_string()) {
        Ok(digest) => digest,
        Err(ImageError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let bytes = session.store.indexes().get(&digest)?;
    // one that cannot be read was refused before it came into the store
    Ok(bytes.and_then(|bytes| Index::parse(&bytes).ok()))
}
