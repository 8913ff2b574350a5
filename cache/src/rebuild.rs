//! A store whose database is lost gets a new one of what is left: manifests and configs tell which images there were.
//!
//! Names were in the database alone, and so were the results of steps; the images come back by ID. The old database is kept
//! beside the new one, so that it can be looked into.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_oci::{Digest, Index, Manifest};

use crate::inventory::{Files, list};
use crate::store::database::{Database, beside};
use crate::store::lock::is_locked;
use crate::store::open::{self, DATABASE};
use crate::store::waiting::Waiter;
use crate::{CompressedBlob, ImageError, OpenOptions, Store, StoreError};

/// Larger blobs are no manifests.
const MAX_DOCUMENT: u64 = 4 << 20;

/// What a rebuild found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// IDs of the images that are back, sorted.
    pub images: Vec<Digest>,
    /// Digests of the indexes that are back, sorted.
    pub indexes: Vec<Digest>,
    /// Where the old database is now, if there was one.
    pub old: Option<PathBuf>,
}

impl Store {
    /// Opens a store; if its database cannot be read, with a new one that is made of the blobs. Nobody else may use the store then.
    ///
    /// # Errors
    /// As [`Store::open`]; [`StoreError::InUse`].
    pub fn open_or_rebuild(options: OpenOptions) -> Result<(Self, Option<Rebuilt>), StoreError> {
        let opened = Self::open(options.clone());
        match opened.and_then(|store| store.db().check().map(|()| store)) {
            Err(StoreError::DatabaseLost { .. }) if !options.read_only => {}
            outcome => return outcome.map(|store| (store, None)),
        }
        let old = renew(&options.root, &options.waiter)?;
        let store = Self::open(options)?;
        let rebuilt = Rebuilt {
            old,
            ..gather(&store)?
        };
        Ok((store, Some(rebuilt)))
    }
}

/// Makes rows of what the blobs say.
fn gather(store: &Store) -> Result<Rebuilt, StoreError> {
    let mut rebuilt = Rebuilt::default();
    let (mut manifests, mut indexes) = (Vec::new(), Vec::new());
    for digest in Files::read(store.root())?.blobs.into_keys() {
        let Some(bytes) = document(store, &digest)? else {
            continue;
        };
        if let Ok(manifest) = Manifest::parse(&bytes) {
            manifests.push((bytes, manifest));
        } else if Index::parse(&bytes).is_ok() {
            indexes.push((digest, bytes));
        }
    }
    for (bytes, manifest) in manifests {
        rebuilt.images.extend(put_again(store, &bytes, &manifest)?);
    }
    for (digest, bytes) in indexes {
        if found(store.indexes().put(&bytes))?.is_some() {
            rebuilt.indexes.push(digest);
        }
    }
    rebuilt.images.sort();
    rebuilt.images.dedup();
    Ok(rebuilt)
}

/// The ID of an image that is still whole.
fn put_again(
    store: &Store,
    bytes: &[u8],
    manifest: &Manifest,
) -> Result<Option<Digest>, StoreError> {
    let Some(config) = document(store, &manifest.config.digest)? else {
        return Ok(None);
    };
    let Some((image, id)) = found(store.images().put(bytes, &config))? else {
        return Ok(None);
    };
    let diff_ids = found(store.images().get(&image))?.map(|image| image.diff_ids);
    for (diff_id, layer) in diff_ids.iter().flatten().zip(&manifest.layers) {
        // one that is not here is unpacked when something needs it
        if store.blobs().verify(diff_id)? {
            let (digest, size) = (layer.digest, layer.size);
            let compressed = (digest != *diff_id).then_some(CompressedBlob { digest, size });
            let index = store.layers().index(diff_id)?;
            store.layers().remember(&index, compressed)?;
        }
    }
    Ok(Some(id))
}

/// A whole blob that may be a document; one that is damaged goes to the trash.
fn document(store: &Store, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
    let may_be_one = |size: Option<u64>| size.is_some_and(|size| size <= MAX_DOCUMENT);
    if !store.blobs().verify(digest)? || !may_be_one(store.blobs().size_on_disk(digest)?) {
        return Ok(None);
    }
    let path = store.blobs().path(digest);
    let bytes = std::fs::read(&path);
    bytes
        .map(Some)
        .map_err(|source| StoreError::io("read", &path, source))
}

/// `None` for an image that cannot be understood or lacks something.
fn found<T>(outcome: Result<T, ImageError>) -> Result<Option<T>, StoreError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(ImageError::Store(StoreError::Missing { .. })) => Ok(None),
        Err(ImageError::Store(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Puts a new database in the place of the one that is lost.
fn renew(root: &Path, waiter: &Arc<dyn Waiter>) -> Result<Option<PathBuf>, StoreError> {
    let _turn = open::turn(root, waiter.as_ref())?;
    let database = root.join(DATABASE);
    match Database::open(&database, false, waiter).and_then(|database| database.check()) {
        Err(StoreError::DatabaseLost { .. }) => {}
        // another process was faster
        outcome => return outcome.map(|()| None),
    }
    refuse_company(root)?;
    let old = root.join("kiln.db.old");
    let is_worth_it = database.metadata().is_ok_and(|stat| stat.len() > 0);
    for end in ["", "-wal", "-shm", "-journal"] {
        let (from, to) = (beside(&database, end), beside(&old, end));
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed.map_err(|source| StoreError::io("move", &from, source))?,
        }
    }
    Database::make_anew(&database, waiter)?;
    open::fill(root, waiter)?;
    Ok(is_worth_it.then_some(old))
}

/// A process that has the old database open would go on writing to it.
fn refuse_company(root: &Path) -> Result<(), StoreError> {
    for lease in list(&root.join("leases"))? {
        let path = lease.path();
        let is_held = is_locked(&path);
        if is_held.map_err(|source| StoreError::io("lock", &path, source))? {
            return Err(StoreError::InUse {
                path: root.to_owned(),
            });
        }
    }
    Ok(())
}
