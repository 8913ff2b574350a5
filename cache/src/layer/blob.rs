//! Reading a layer's blob, compressed or not, once and without keeping it. Unaware of stores and archives.

use std::io::{self, Cursor, Read};

use kiln_oci::compression::{Limited, SNIFF, decoder, most_expanded, sniff};
use kiln_oci::{Digest, Digested, Encoding};

use crate::layer::decoded::read_beside;
use crate::layer::read::{Watch, index_tar_watched};
use crate::store::sink::read_full;
use crate::{LayerError, LayerIndex};

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

/// Reads a blob that should have `size` bytes: both digests, and the entries of its tar. Each piece of the tar is given to `seen`; the
/// content of files is shown to `watch`.
///
/// # Errors
/// The blob is damaged, expands to more than any layer of its size, or the tar in it is malformed.
pub fn index_blob(
    mut blob: impl Read,
    size: u64,
    seen: &mut (dyn FnMut(&[u8]) + Send),
    watch: &mut dyn Watch,
) -> Result<IndexedBlob, LayerError> {
    let mut start = vec![0; SNIFF];
    let count = read_full(&mut blob, &mut start).map_err(unreadable)?;
    start.truncate(count);
    let encoding = sniff(&start);
    let blob = Cursor::new(start).chain(blob);
    let limit = most_expanded(size);
    if encoding != Encoding::Plain {
        return index_compressed(blob, encoding, limit, seen, watch);
    }
    let index = index_seen(Limited::new(blob, limit), seen, watch)?;
    Ok(IndexedBlob {
        digest: index.diff_id,
        size: index.tar_size,
        index,
        encoding,
    })
}

fn index_compressed(
    blob: impl Read,
    encoding: Encoding,
    limit: u64,
    seen: &mut (dyn FnMut(&[u8]) + Send),
    watch: &mut dyn Watch,
) -> Result<IndexedBlob, LayerError> {
    let mut blob = Digested::new(blob);
    let parse = |reader: &mut dyn Read| index_seen(reader, seen, watch);
    let index = match read_beside(&mut blob, encoding, limit, parse) {
        Ok((read, whole)) => whole.map_err(unreadable).and(read)?,
        // no further thread: it takes longer
        Err(_) => index_seen(decoded_here(&mut blob, encoding, limit)?, seen, watch)?,
    };
    // what follows the compressed data belongs to the blob too
    io::copy(&mut blob, &mut io::sink()).map_err(unreadable)?;
    let (digest, size) = blob.finish().map_err(unreadable)?;
    Ok(IndexedBlob {
        index,
        digest,
        size,
        encoding,
    })
}

fn decoded_here<'a>(
    blob: impl Read + 'a,
    encoding: Encoding,
    limit: u64,
) -> Result<Limited<impl Read + 'a>, LayerError> {
    let decoded = decoder(blob, encoding).map_err(unreadable)?;
    Ok(Limited::new(decoded, limit))
}

fn index_seen(
    reader: impl Read,
    seen: &mut (dyn FnMut(&[u8]) + Send),
    watch: &mut dyn Watch,
) -> Result<LayerIndex, LayerError> {
    index_tar_watched(Seen { reader, seen }, watch)
}

fn unreadable(source: io::Error) -> LayerError {
    LayerError::Tar(source.into())
}

/// Shows what is read to somebody else.
struct Seen<'a, R> {
    reader: R,
    seen: &'a mut (dyn FnMut(&[u8]) + Send),
}

impl<R: Read> Read for Seen<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        (self.seen)(&buffer[..count]);
        Ok(count)
    }
}
