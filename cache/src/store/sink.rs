//! A scratch file that knows its sha256 when it is finished.
//!
//! Small files are written and digested in place. From the first full buffer on, one thread writes and a second one digests while the next
//! bytes are read: sha256 cannot be split within a blob, so this is what hides it behind the copying. Unaware of blobs and layers.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use kiln_oci::{Digest, Hasher};

use crate::{ContentHasher, StoreError, WriteOut, sparse};

/// Bytes that are written and digested at once.
const BUFFER: usize = 1 << 20;
/// Buffers on their way to each of the threads: more would only hold memory.
const IN_FLIGHT: usize = 2;

/// A scratch file being written; removed when it is dropped unfinished.
#[derive(Debug)]
pub(crate) struct Sink {
    path: PathBuf,
    file: Arc<File>,
    buffer: Vec<u8>,
    /// Bytes that are written, or on their way.
    flushed: u64,
    work: Work,
    finished: bool,
}

/// Who writes and digests.
#[derive(Debug)]
enum Work {
    Here(Hasher),
    Threads(Threads),
    /// Nobody any more.
    Over,
}

/// A thread that writes buffers and gives them to one that digests them, which gives them back.
#[derive(Debug)]
struct Threads {
    full: SyncSender<Vec<u8>>,
    free: Receiver<Vec<u8>>,
    writer: JoinHandle<io::Result<()>>,
    digester: JoinHandle<Digest>,
}

impl Threads {
    /// Starts them for what follows in a file after what is in `hasher`; `None` where they cannot be.
    fn start(file: Arc<File>, at: u64, hasher: Hasher) -> Option<Self> {
        let (full, unwritten) = sync_channel(IN_FLIGHT);
        let (written, undigested) = sync_channel(IN_FLIGHT);
        let (digested, free) = channel();
        let digest = move || digest(hasher, &undigested, &digested);
        let write = move || write((&file, at), &unwritten, &written);
        let digester = Builder::new()
            .name("sha256".to_owned())
            .spawn(digest)
            .ok()?;
        let writer = Builder::new().name("writer".to_owned()).spawn(write).ok()?;
        Some(Self {
            full,
            free,
            writer,
            digester,
        })
    }

    /// An empty buffer: one of theirs, if it is free.
    fn buffer(&self) -> Vec<u8> {
        let free = self.free.try_recv();
        free.unwrap_or_else(|_| Vec::with_capacity(BUFFER))
    }

    /// Waits until everything is written and digested; with the error of the write that failed.
    fn join(self) -> io::Result<Digest> {
        drop((self.full, self.free));
        self.writer.join().map_err(|_| failed_thread())??;
        self.digester.join().map_err(|_| failed_thread())
    }
}

/// Writes buffers to a file from an offset on.
fn write(
    (file, mut at): (&File, u64),
    unwritten: &Receiver<Vec<u8>>,
    written: &SyncSender<Vec<u8>>,
) -> io::Result<()> {
    let mut out = WriteOut::default();
    while let Ok(buffer) = unwritten.recv() {
        sparse::write_at(file, &buffer, at)?;
        at += buffer.len() as u64;
        out.reached(file, at);
        written.send(buffer).map_err(|_| failed_thread())?;
    }
    Ok(())
}

/// Digests buffers, which are empty afterwards.
fn digest(
    mut hasher: Hasher,
    undigested: &Receiver<Vec<u8>>,
    digested: &Sender<Vec<u8>>,
) -> Digest {
    while let Ok(mut buffer) = undigested.recv() {
        hasher.update(&buffer);
        buffer.clear();
        // who fills them may have finished: then nobody needs the buffer any more
        let _ = digested.send(buffer);
    }
    hasher.finish()
}

impl Sink {
    /// Creates the file, which must not exist.
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        let mut options = File::options();
        let file = options
            .write(true)
            .read(true)
            .create_new(true)
            .open(&path)?;
        Ok(Self {
            path,
            file: Arc::new(file),
            buffer: Vec::new(),
            flushed: 0,
            work: Work::Here(Hasher::new()),
            finished: false,
        })
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes given so far.
    pub(crate) fn position(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Copies up to `most` bytes of `reader` without another buffer between, and adds them to `content`. Fewer only at the end of
    /// the reader. The outer error is the writer's, the inner the reader's.
    pub(crate) fn copy_from(
        &mut self,
        reader: &mut dyn Read,
        most: u64,
        content: &mut ContentHasher,
    ) -> io::Result<io::Result<u64>> {
        let mut copied = 0;
        while copied < most {
            if self.buffer.len() == BUFFER {
                self.flush_buffer()?;
            }
            let start = self.buffer.len();
            let left = usize::try_from(most - copied).unwrap_or(usize::MAX);
            let room = left.min(BUFFER - start);
            let mut piece = (&mut *reader).take(room as u64);
            let outcome = piece.read_to_end(&mut self.buffer);
            content.update(&self.buffer[start..]);
            copied += (self.buffer.len() - start) as u64;
            match outcome {
                Err(error) => return Ok(Err(error)),
                Ok(count) if count < room => break,
                Ok(_) => {}
            }
        }
        Ok(Ok(copied))
    }

    fn flush_buffer(&mut self) -> io::Result<()> {
        self.work = match std::mem::replace(&mut self.work, Work::Over) {
            Work::Here(hasher) => {
                let threads = Threads::start(self.file.clone(), self.flushed, hasher.clone());
                threads.map_or(Work::Here(hasher), Work::Threads)
            }
            work => work,
        };
        self.give_buffer()?;
        self.buffer.clear();
        Ok(())
    }

    /// The buffer is written and digested, here or soon.
    fn give_buffer(&mut self) -> io::Result<()> {
        let length = self.buffer.len() as u64;
        match &mut self.work {
            Work::Here(hasher) => {
                sparse::write_at(&self.file, &self.buffer, self.flushed)?;
                hasher.update(&self.buffer);
            }
            Work::Threads(threads) => {
                let full = std::mem::replace(&mut self.buffer, threads.buffer());
                if threads.full.send(full).is_err() {
                    // the writer has failed
                    self.end()?;
                    return Err(failed_thread());
                }
            }
            Work::Over => return Err(failed_thread()),
        }
        self.flushed += length;
        Ok(())
    }

    /// All that was given is written and digested.
    fn end(&mut self) -> io::Result<Digest> {
        match std::mem::replace(&mut self.work, Work::Over) {
            Work::Here(hasher) => Ok(hasher.finish()),
            Work::Threads(threads) => threads.join(),
            Work::Over => Err(failed_thread()),
        }
    }

    /// Writes what is left. The file stays, for a rename.
    pub(crate) fn finish(mut self) -> Result<Finished, StoreError> {
        let digest = self.finish_digest();
        let digest = digest.map_err(|source| StoreError::io("write", &self.path, source))?;
        self.finished = true;
        Ok(Finished {
            path: std::mem::take(&mut self.path),
            digest,
            size: self.flushed,
        })
    }

    fn finish_digest(&mut self) -> io::Result<Digest> {
        self.give_buffer()?;
        let digest = self.end()?;
        sparse::finish(&self.file, self.flushed)?;
        Ok(digest)
    }
}

fn failed_thread() -> io::Error {
    io::Error::other("a thread that writes failed")
}

/// A finished scratch file; removed when it is dropped before it is moved to its place.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl Drop for Finished {
    fn drop(&mut self) {
        // gone already when it was renamed
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == BUFFER {
            self.flush_buffer()?;
        }
        if self.buffer.capacity() < BUFFER
            && self.buffer.len() + bytes.len() > self.buffer.capacity()
        {
            self.buffer
                .reserve_exact(grown(self.buffer.len() + bytes.len()) - self.buffer.len());
        }
        let count = bytes.len().min(BUFFER - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A capacity for `needed` bytes: small layers should not claim a whole buffer.
fn grown(needed: usize) -> usize {
    needed.next_power_of_two().clamp(16 << 10, BUFFER)
}

impl Drop for Sink {
    fn drop(&mut self) {
        if !self.finished {
            // scratch: the lease's folder goes as a whole if this fails
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Reads until `buffer` is full or the reader ends.
pub(crate) fn read_full(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContentDigest;

    fn check(length: usize) {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..length).map(|n| (n * 7 % 253) as u8).collect();
        let mut sink = Sink::create(dir.path().join("x")).unwrap();
        let (head, tail) = bytes.split_at(length / 3);
        sink.write_all(head).unwrap();
        let mut content = ContentHasher::new();
        let mut reader = tail;
        assert_eq!(
            sink.copy_from(&mut reader, u64::MAX, &mut content)
                .unwrap()
                .unwrap(),
            tail.len() as u64
        );
        assert_eq!(sink.position(), length as u64);
        let finished = sink.finish().unwrap();
        assert_eq!(
            (finished.digest, finished.size),
            (Digest::of(&bytes), length as u64)
        );
        assert_eq!(content.finish(), ContentDigest::of(tail));
        assert_eq!(std::fs::read(&finished.path).unwrap(), bytes);
    }

    #[test]
    fn the_digest_is_that_of_the_file_at_any_size() {
        for length in [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 7 * BUFFER + 12_345] {
            check(length);
        }
    }

    #[test]
    fn an_unfinished_sink_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = Sink::create(dir.path().join("x")).unwrap();
        sink.write_all(&[1; 3 * BUFFER]).unwrap();
        drop(sink);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
