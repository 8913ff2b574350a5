//! The small files of an archive: manifests, indexes and configs, read within limits and verified.
//! Unaware of how they refer to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::members::{Blob, Members};
use super::receive::Received;
use super::{LoadError, MAX_DOCUMENTS, blob_path};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::document::{DocumentError, MAX_DOCUMENT};

/// Reads the small files of an archive, as many bytes as are allowed.
pub(super) struct Documents<'a> {
    pub(super) members: &'a Members,
    budget: u64,
    /// Compressed layers of docker archives by name: hashed once, however many images share them.
    pub(super) described: BTreeMap<String, Descriptor>,
    /// Diff IDs of layers that docker archives name and do not have.
    pub(super) absent: BTreeSet<Digest>,
    /// Diff IDs of layers of archives that do not say them, by name: each is found once.
    pub(super) diff_ids: BTreeMap<String, Digest>,
    /// Whether compressed layers of docker archives are hashed now, or later, when they
    /// are taken.
    pub(super) hashes_layers: bool,
}

impl<'a> Documents<'a> {
    /// The documents of an archive of which nothing was read yet.
    pub(super) fn new(members: &'a Members, hashes_layers: bool) -> Self {
        Self {
            members,
            budget: MAX_DOCUMENTS,
            described: BTreeMap::new(),
            absent: BTreeSet::new(),
            diff_ids: BTreeMap::new(),
            hashes_layers,
        }
    }

    /// Reads the file `name`, at most 4 MiB of it.
    pub(super) fn read(&mut self, name: &str, what: &'static str) -> Result<Vec<u8>, LoadError> {
        let blob = self
            .members
            .find(name)?
            .ok_or_else(|| LoadError::Missing(name.into()))?;
        if blob.size > MAX_DOCUMENT as u64 {
            let source = DocumentError::TooLarge {
                what,
                size: blob.size,
            };
            return Err(LoadError::Document {
                name: name.into(),
                source,
            });
        }
        let over = LoadError::too_large("bytes of manifests and configs", MAX_DOCUMENTS);
        self.budget = self.budget.checked_sub(blob.size).ok_or(over)?;
        let mut bytes = Vec::new();
        self.members.open(&blob)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads the blob that `descriptor` points at and verifies it.
    pub(super) fn read_blob(
        &mut self,
        descriptor: &Descriptor,
        what: &'static str,
    ) -> Result<Vec<u8>, LoadError> {
        let name = blob_path(&descriptor.digest);
        let bytes = self.read(&name, what)?;
        let (expected, actual) = (descriptor.size, bytes.len() as u64);
        if expected != actual {
            return Err(LoadError::Size {
                name,
                expected,
                actual,
            });
        }
        verify(name, &bytes, descriptor.digest)?;
        Ok(bytes)
    }

    /// The layer that `descriptor` points at, when the archive has it, with its size checked.
    pub(super) fn layer(&self, descriptor: &Descriptor) -> Result<Option<Blob>, LoadError> {
        let name = blob_path(&descriptor.digest);
        match self.members.find(&name)? {
            Some(blob) if blob.size != descriptor.size => Err(LoadError::Size {
                name,
                expected: descriptor.size,
                actual: blob.size,
            }),
            blob => Ok(blob),
        }
    }
}

/// Checks that a layer that was taken is the one that manifest and config mean.
pub(super) fn same_layer(
    name: &str,
    received: &Received,
    digest: Digest,
    diff_id: Digest,
) -> Result<(), LoadError> {
    let is_same = |expected: Digest, actual: Digest| {
        (expected == actual).then_some(()).ok_or(LoadError::Digest {
            name: name.into(),
            expected,
            actual,
        })
    };
    is_same(digest, received.digest)?;
    is_same(diff_id, received.diff_id)
}

/// Checks that there are as many layers as diff IDs.
pub(super) fn same_count(config: Digest, layers: usize, diff_ids: usize) -> Result<(), LoadError> {
    if layers == diff_ids {
        Ok(())
    } else {
        Err(LoadError::LayerCount {
            config,
            layers,
            diff_ids,
        })
    }
}

/// Checks that `bytes` have the digest `expected`.
pub(super) fn verify(name: String, bytes: &[u8], expected: Digest) -> Result<(), LoadError> {
    let actual = Digest::of(bytes);
    if actual == expected {
        Ok(())
    } else {
        Err(LoadError::Digest {
            name,
            expected,
            actual,
        })
    }
}
