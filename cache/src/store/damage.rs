//! Damage that shows while a blob is read: bytes that changed after this boot wrote or checked them. The reader that finds it says so, and the blob
//! is digested and dropped, so that the next use makes or fetches it anew. Unaware of who reads.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use kiln_oci::{Digest, Hasher};

use crate::path::display;
use crate::store::Inner;
use crate::store::blobs::digest_file;
use crate::{Blobs, Store, StoreError};

/// A blob of the store that holds other bytes than its name says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the blob {digest} of the store is damaged{}{}",
    file.as_deref().map(|file| format!(", in {file}")).unwrap_or_default(),
    if *is_dropped { ", and was removed; what needs it makes or fetches it anew" } else { "" }
)]
pub struct DamagedBlob {
    /// What it should be.
    pub digest: Digest,
    /// The file of the layer in which the damage showed.
    pub file: Option<String>,
    /// It is no longer in the store.
    pub is_dropped: bool,
}

/// The damage that an error is about, also deep below others.
#[must_use]
pub fn damage_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a DamagedBlob> {
    let mut next: Option<&'a (dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(StoreError::Blob(found)) = error.downcast_ref() {
            return Some(found);
        }
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The file with a layer's tar.
#[derive(Clone, Debug)]
pub struct LayerTar {
    path: PathBuf,
    /// What it is in a store.
    blob: Option<(Digest, Weak<Inner>)>,
}

impl LayerTar {
    /// One that is in no store.
    #[must_use]
    pub fn outside(path: PathBuf) -> Self {
        Self { path, blob: None }
    }

    pub(crate) fn of(store: &Store, diff_id: &Digest) -> Self {
        Self {
            path: store.blobs().path(diff_id),
            blob: Some((*diff_id, Arc::downgrade(&store.inner))),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The error for a file in it that holds other bytes than its index says.
    pub(crate) fn damage(&self, file: &[u8]) -> io::Error {
        let file = display(file);
        let Some((digest, inner)) = &self.blob else {
            return io::Error::other(format!("{file} changed while it was read"));
        };
        let dropped = inner
            .upgrade()
            .map(|inner| Store::of(inner).blobs().suspect(digest));
        io::Error::other(DamagedBlob {
            digest: *digest,
            file: Some(file),
            is_dropped: dropped.unwrap_or(false),
        })
    }
}

/// Reads a blob; the read that reaches its end fails when the bytes are not those that its name says.
#[derive(Debug)]
pub struct BlobReader {
    store: Store,
    digest: Digest,
    file: File,
    hasher: Hasher,
    /// Bytes that it has not read yet.
    left: u64,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.left = self.left.saturating_sub(count as u64);
        // who sends a blob reads as many bytes as it has, and not on to its end
        if self.left == 0 && count > 0 {
            let found = std::mem::take(&mut self.hasher).finish();
            if found != self.digest {
                return Err(io::Error::other(self.store.blobs().damage(&self.digest)));
            }
        }
        Ok(count)
    }
}

impl Blobs<'_> {
    /// As [`Blobs::open`], with a digest of all that is read.
    ///
    /// # Errors
    /// As there.
    pub fn reader(&self, digest: &Digest) -> Result<BlobReader, StoreError> {
        let file = self.open(digest)?;
        let stat = file.metadata();
        let stat = stat.map_err(|source| StoreError::io("look at", &self.path(digest), source))?;
        Ok(BlobReader {
            store: self.store.clone(),
            digest: *digest,
            file,
            hasher: Hasher::new(),
            left: stat.len(),
        })
    }

    /// A small blob, whole; at most `most` bytes of another.
    pub(crate) fn read(&self, digest: &Digest, most: u64) -> Result<Vec<u8>, StoreError> {
        // few documents are larger, and to look for the end takes a read each time
        let mut bytes = Vec::with_capacity(8 << 10);
        let read = self.reader(digest)?.take(most).read_to_end(&mut bytes);
        read.map_err(|source| StoreError::io("read", &self.path(digest), source))?;
        Ok(bytes)
    }

    pub(crate) fn damage(&self, digest: &Digest) -> DamagedBlob {
        DamagedBlob {
            digest: *digest,
            file: None,
            is_dropped: self.suspect(digest),
        }
    }

    /// Somebody has read other bytes in a blob than its name says. It is digested, and dropped if that is so; whether it is gone.
    pub fn suspect(&self, digest: &Digest) -> bool {
        let path = self.path(digest);
        match digest_file(&path) {
            Ok(found) if found != *digest && !self.store.inner.options.read_only => {
                let forgotten = self.forget(digest);
                forgotten
                    .and_then(|()| self.store.trash().put(&path))
                    .is_ok()
            }
            Ok(_) => false,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}
