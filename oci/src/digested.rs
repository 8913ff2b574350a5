//! A reader whose bytes are digested by another thread while they are looked at: sha256 cannot be split, so this is what hides it. What
//! is no longer than a chunk, and all where no thread can be started, is digested in place. Unaware of what is read.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::{Digest, Hasher};

/// Bytes that are read and digested at once.
const CHUNK: usize = 256 << 10;
/// Chunks that wait to be digested.
const IN_FLIGHT: usize = 8;

/// Reads through to `R`.
#[derive(Debug)]
pub struct Digested<R> {
    reader: R,
    /// What was read last.
    chunk: Arc<Vec<u8>>,
    /// How much of it was taken.
    taken: usize,
    /// Chunks before it, which may still be digested; their memory is used again.
    earlier: VecDeque<Arc<Vec<u8>>>,
    size: u64,
    digesting: Digesting,
}

#[derive(Debug)]
enum Digesting {
    Here(Hasher),
    Thread(SyncSender<Arc<Vec<u8>>>, JoinHandle<Digest>),
}

impl<R: Read> Digested<R> {
    /// Nothing is read yet.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            chunk: Arc::default(),
            taken: 0,
            earlier: VecDeque::new(),
            size: 0,
            digesting: Digesting::Here(Hasher::new()),
        }
    }

    /// The digest of what was read, and how many bytes that was.
    ///
    /// # Errors
    /// The thread failed.
    pub fn finish(self) -> io::Result<(Digest, u64)> {
        let digest = match self.digesting {
            Digesting::Here(hasher) => hasher.finish(),
            Digesting::Thread(full, thread) => {
                drop(full);
                thread.join().map_err(|_| failed_thread())?
            }
        };
        Ok((digest, self.size))
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let last = std::mem::take(&mut self.chunk);
        self.taken = 0;
        self.earlier.push_back(last);
        let free = self.earlier.pop_front().map(Arc::try_unwrap);
        let mut buffer = match free {
            Some(Ok(buffer)) => buffer,
            Some(Err(busy)) => {
                self.earlier.push_front(busy);
                Vec::new()
            }
            None => Vec::with_capacity(CHUNK),
        };
        buffer.clear();
        let mut next = self.reader.by_ref().take(CHUNK as u64);
        next.read_to_end(&mut buffer)?;
        self.chunk = Arc::new(buffer);
        self.digest()
    }

    fn digest(&mut self) -> io::Result<()> {
        if self.size > 0 {
            self.digesting.start_thread();
        }
        self.size += self.chunk.len() as u64;
        match &mut self.digesting {
            Digesting::Here(hasher) => hasher.update(&self.chunk),
            Digesting::Thread(full, _) => {
                let sent = full.send(self.chunk.clone());
                sent.map_err(|_| failed_thread())?;
            }
        }
        Ok(())
    }
}

impl Digesting {
    /// Moves to a thread, unless it is there; where none can be started it stays here.
    fn start_thread(&mut self) {
        let Self::Here(hasher) = self else {
            return;
        };
        let mut hasher = hasher.clone();
        let (full, incoming) = sync_channel::<Arc<Vec<u8>>>(IN_FLIGHT);
        let digesting = move || {
            while let Ok(chunk) = incoming.recv() {
                hasher.update(&chunk);
            }
            hasher.finish()
        };
        let builder = std::thread::Builder::new().name("sha256".to_owned());
        if let Ok(thread) = builder.spawn(digesting) {
            *self = Self::Thread(full, thread);
        }
    }
}

fn failed_thread() -> io::Error {
    io::Error::other("the digesting thread failed")
}

impl<R: Read> Read for Digested<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Digested<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.chunk.len() {
            self.next_chunk()?;
        }
        Ok(&self.chunk[self.taken..])
    }

    fn consume(&mut self, count: usize) {
        self.taken += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_digested_at_any_size() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 20 * CHUNK + 12_345] {
            let bytes: Vec<u8> = (0..length).map(|n| (n * 7 % 253) as u8).collect();
            let mut reader = Digested::new(&*bytes);
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert_eq!(read, bytes);
            let expected = (Digest::of(&bytes), length as u64);
            assert_eq!(reader.finish().unwrap(), expected);
        }
    }
}
