//! Decompression on the caller's thread, while another looks at what comes of it. Unaware of what that is.

use std::io::{self, Cursor, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use kiln_oci::Encoding;
use kiln_oci::compression::{Limited, decoder};

use crate::store::sink::read_full;
use crate::threads::beside;

/// Decompressed bytes that change threads at once.
pub(super) const CHUNK: usize = 256 << 10;
/// Chunks on their way.
const IN_FLIGHT: usize = 8;

/// Decompresses all of `compressed`, of which no more than `limit` bytes may come, and gives them to `read` on another thread. What
/// `read` made of them, and whether they came whole: if not, it has met an error at the end.
///
/// # Errors
/// The thread cannot be started.
pub(super) fn read_beside<T: Send>(
    compressed: &mut impl Read,
    encoding: Encoding,
    limit: u64,
    read: impl FnOnce(&mut dyn Read) -> T + Send,
) -> io::Result<(T, io::Result<()>)> {
    let (chunks, incoming) = sync_channel(IN_FLIGHT);
    let mut decoded = Decoded {
        incoming,
        chunk: Cursor::default(),
    };
    // the other ends when the sender is gone
    let feed = move || feed(compressed, encoding, limit, &chunks);
    beside(move || read(&mut decoded), feed)
}

/// Decompresses into chunks; stops when nobody takes them any more.
fn feed(
    compressed: &mut impl Read,
    encoding: Encoding,
    limit: u64,
    chunks: &SyncSender<io::Result<Vec<u8>>>,
) -> io::Result<()> {
    let decoded = decoder(&mut *compressed, encoding).map(|decoded| Limited::new(decoded, limit));
    let outcome = decoded.and_then(|decoded| feed_decoded(decoded, chunks));
    if outcome.is_err() {
        // the parser must not take a cut-off tar for a whole one; it may be gone already
        let _ = chunks.send(Err(io::ErrorKind::InvalidData.into()));
        return outcome;
    }
    // what follows the compressed data belongs to the blob too
    io::copy(compressed, &mut io::sink()).map(drop)
}

fn feed_decoded(
    mut decoded: impl Read,
    chunks: &SyncSender<io::Result<Vec<u8>>>,
) -> io::Result<()> {
    loop {
        let mut chunk = vec![0; CHUNK];
        let count = read_full(&mut decoded, &mut chunk)?;
        chunk.truncate(count);
        if count == 0 || chunks.send(Ok(chunk)).is_err() {
            return Ok(());
        }
    }
}

/// The other end of the chunks.
struct Decoded {
    incoming: Receiver<io::Result<Vec<u8>>>,
    chunk: Cursor<Vec<u8>>,
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.chunk.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.incoming.recv() {
                Ok(chunk) => self.chunk = Cursor::new(chunk?),
                Err(_) => return Ok(0),
            }
        }
    }
}
