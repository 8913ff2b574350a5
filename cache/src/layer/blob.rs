//! Reading a layer's blob, compressed or not, once and without keeping it. Unaware of stores and archives.

use std::io::{self, Read};

use kiln_oci::compression::{Limited, auto, most_expanded};
use kiln_oci::{Digest, Encoding, HashingReader};

use crate::layer::read::{Kept, index_tar_keeping};
use crate::{LayerError, LayerIndex};

/// A layer's blob that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedBlob {
    /// What the tar in it holds.
    pub index: LayerIndex,
    /// The content of small files that are wanted.
    pub kept: Kept,
    /// sha256 of the blob.
    pub digest: Digest,
    /// Bytes of the blob.
    pub size: u64,
    /// How the blob is compressed.
    pub encoding: Encoding,
}

/// Reads a blob that should have `size` bytes: both digests, and the entries of its tar. Each piece of the tar is given to `seen`; the
/// content of small files whose paths are wanted is kept.
///
/// # Errors
/// The blob is damaged, expands to more than any layer of its size, or the tar in it is malformed.
pub fn index_blob(
    blob: impl Read,
    size: u64,
    seen: &mut dyn FnMut(&[u8]),
    is_wanted: fn(&[u8]) -> bool,
) -> Result<IndexedBlob, LayerError> {
    let unreadable = |source: io::Error| LayerError::Tar(source.into());
    let mut blob = HashingReader::new(blob);
    let (encoding, decoded) = auto(&mut blob).map_err(unreadable)?;
    let reader = Limited::new(decoded, most_expanded(size));
    let (index, kept) = index_tar_keeping(Seen { reader, seen }, is_wanted)?;
    // what follows the compressed data belongs to the blob too
    io::copy(&mut blob, &mut io::sink()).map_err(unreadable)?;
    let (_, digest, size) = blob.finish();
    Ok(IndexedBlob {
        index,
        kept,
        digest,
        size,
        encoding,
    })
}

/// Shows what is read to somebody else.
struct Seen<'a, R> {
    reader: R,
    seen: &'a mut dyn FnMut(&[u8]),
}

impl<R: Read> Read for Seen<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        (self.seen)(&buffer[..count]);
        Ok(count)
    }
}
