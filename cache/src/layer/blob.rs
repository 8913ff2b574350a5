//! Reading a layer's blob, compressed or not, once and without keeping it. Unaware of stores and archives.

use std::io::{self, Read};

use kiln_oci::compression::{Limited, auto, most_expanded};
use kiln_oci::{Digest, Encoding, HashingReader};

use crate::{LayerError, LayerIndex, index_tar};

/// A layer's blob that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedBlob {
    /// What the tar in it holds.
    pub index: LayerIndex,
    /// sha256 of the blob.
    pub digest: Digest,
    /// Bytes of the blob.
    pub size: u64,
    /// How the blob is compressed.
    pub encoding: Encoding,
}

/// Reads a blob that should have `size` bytes: both digests, and the entries of its tar. Each piece of the tar is given to `seen`.
///
/// # Errors
/// The blob is damaged, expands to more than any layer of its size, or the tar in it is malformed.
pub fn index_blob(
    blob: impl Read,
    size: u64,
    seen: &mut dyn FnMut(&[u8]),
) -> Result<IndexedBlob, LayerError> {
    let unreadable = |source: io::Error| LayerError::Tar(source.into());
    let mut blob = HashingReader::new(blob);
    let (encoding, decoded) = auto(&mut blob).map_err(unreadable)?;
    let index = index_tar(Seen {
        reader: Limited::new(decoded, most_expanded(size)),
        seen,
    })?;
    // what follows the compressed data belongs to the blob too
    io::copy(&mut blob, &mut io::sink()).map_err(unreadable)?;
    let (_, digest, size) = blob.finish();
    Ok(IndexedBlob {
        index,
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
