//! Gzip on several threads, with bytes that do not depend on how many: pigz's scheme. Unaware of what is compressed.
//!
//! The input is cut into blocks of [`BLOCK`] bytes. Each is deflated on its own, primed with the last 32 KiB before it, and ends
//! on a byte boundary (a sync flush), so that the blocks concatenated are one deflate stream and the whole is one gzip member that
//! every reader takes. Written by hand because the crates that do this bring thread pools and C libraries of their own.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Bytes that one thread compresses at once. Part of the format of the output: another number gives other bytes.
const BLOCK: usize = 1 << 20;
/// How far deflate looks back (RFC 1951, 2).
const WINDOW: usize = 32 << 10;
/// More threads would wait for the disk.
const MAX_THREADS: usize = 16;

/// A writer that compresses. [`ParallelGzip::finish`] must be called, dropping it leaves the output cut off.
#[derive(Debug)]
pub struct ParallelGzip<W> {
    out: W,
    level: u32,
    threads: usize,
    started_header: bool,
    block: Vec<u8>,
    /// The end of the block before.
    window: Vec<u8>,
    crc: Crc,
    workers: Option<Sender<Job>>,
    /// Blocks on their way, in order.
    pending: VecDeque<Receiver<io::Result<Deflated>>>,
}

#[derive(Debug)]
struct Block {
    window: Vec<u8>,
    bytes: Vec<u8>,
    level: u32,
    is_last: bool,
}

type Job = (Block, Sender<io::Result<Deflated>>);

#[derive(Debug)]
struct Deflated {
    bytes: Vec<u8>,
    crc: Crc,
}

impl<W: Write> ParallelGzip<W> {
    /// Compresses to `out` with `level` 0 to 9 on `threads` threads (at least 1), which start with the second block.
    pub fn new(out: W, level: u32, threads: usize) -> Self {
        Self {
            out,
            level: level.min(9),
            threads: threads.clamp(1, MAX_THREADS),
            started_header: false,
            block: Vec::new(),
            window: Vec::new(),
            crc: Crc::new(),
            workers: None,
            pending: VecDeque::new(),
        }
    }

    /// Writes what is left and returns the inner writer, not flushed.
    ///
    /// # Errors
    /// Those of the inner writer.
    pub fn finish(mut self) -> io::Result<W> {
        let last = self.take_block(true);
        if self.workers.is_some() {
            self.send(last)?;
        } else {
            let deflated = deflate(&last)?;
            self.append(deflated)?;
        }
        while let Some(oldest) = self.pending.pop_front() {
            self.append(receive(&oldest)?)?;
        }
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        // modulo 2^32, as the format has it (RFC 1952, 2.3.1)
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }

    fn take_block(&mut self, is_last: bool) -> Block {
        let bytes = std::mem::take(&mut self.block);
        let tail = bytes.len().saturating_sub(WINDOW);
        let window = std::mem::replace(&mut self.window, bytes[tail..].to_vec());
        Block {
            window,
            bytes,
            level: self.level,
            is_last,
        }
    }

    /// Hands a block to a thread; waits for the oldest one when enough are on their way.
    fn send(&mut self, block: Block) -> io::Result<()> {
        while self.pending.len() >= 2 * self.threads {
            if let Some(oldest) = self.pending.pop_front() {
                self.append(receive(&oldest)?)?;
            }
        }
        if self.workers.is_none() {
            self.workers = Some(start_workers(self.threads)?);
        }
        let (reply, result) = channel();
        let sent = self.workers.as_ref().map(|jobs| jobs.send((block, reply)));
        self.pending.push_back(result);
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err(io::Error::other("the compressing threads are gone")),
        }
    }

    fn append(&mut self, deflated: Deflated) -> io::Result<()> {
        if !self.started_header {
            self.started_header = true;
            self.out.write_all(&header(self.level))?;
        }
        self.crc.combine(&deflated.crc);
        self.out.write_all(&deflated.bytes)
    }
}

impl<W: Write> Write for ParallelGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // a full block waits until there is more: the last one ends the stream
        if self.block.len() == BLOCK && !bytes.is_empty() {
            let block = self.take_block(false);
            self.send(block)?;
        }
        let count = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    /// Does nothing: a flush inside would change the compressed bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Without name and time; the operating system is unknown (RFC 1952, 2.3).
fn header(level: u32) -> [u8; 10] {
    let effort = match level {
        9 => 2,
        0 | 1 => 4,
        _ => 0,
    };
    [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, effort, 0xff]
}

fn receive(result: &Receiver<io::Result<Deflated>>) -> io::Result<Deflated> {
    result
        .recv()
        .map_err(|_| io::Error::other("a compressing thread failed"))?
}

/// Starts the threads; they end when the sender is dropped. One is enough to go on with.
fn start_workers(threads: usize) -> io::Result<Sender<Job>> {
    let (jobs, queue) = channel::<Job>();
    let queue = Arc::new(Mutex::new(queue));
    for number in 0..threads {
        let queue = queue.clone();
        let work = move || {
            loop {
                let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((block, reply)) = job else { return };
                // nobody waits any more when the writer was dropped
                let _ = reply.send(deflate(&block));
            }
        };
        let thread = std::thread::Builder::new().name("gzip".to_owned());
        match thread.spawn(work) {
            Err(error) if number == 0 => return Err(error),
            _ => {}
        }
    }
    Ok(jobs)
}

fn deflate(block: &Block) -> io::Result<Deflated> {
    let mut compress = Compress::new(Compression::new(block.level), false);
    if !block.window.is_empty() {
        compress.set_dictionary(&block.window)?;
    }
    let flush = if block.is_last {
        FlushCompress::Finish
    } else {
        FlushCompress::Sync
    };
    let mut bytes = Vec::with_capacity(block.bytes.len() / 2 + 1024);
    loop {
        let taken = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        let status = compress.compress_vec(&block.bytes[taken..], &mut bytes, flush)?;
        // a flush is complete when there was room left for more
        let is_done = match status {
            Status::StreamEnd => true,
            _ => !block.is_last && bytes.len() < bytes.capacity(),
        };
        if is_done {
            break;
        }
        bytes.reserve(256 << 10);
    }
    let mut crc = Crc::new();
    crc.update(&block.bytes);
    Ok(Deflated { bytes, crc })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::{Encoding, decoder};
    use proptest::prelude::*;
    use std::io::Read;

    fn compress(bytes: &[u8], level: u32, threads: usize, piece: usize) -> Vec<u8> {
        let mut gzip = ParallelGzip::new(Vec::new(), level, threads);
        for part in bytes.chunks(piece) {
            gzip.write_all(part).unwrap();
        }
        gzip.finish().unwrap()
    }

    fn decompress(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut reader = decoder(bytes, Encoding::Gzip).unwrap();
        reader.read_to_end(&mut out).unwrap();
        out
    }

    /// Repeats itself here and there, as layers do.
    fn content(length: usize, seed: u64) -> Vec<u8> {
        let mut state = seed | 1;
        let mut bytes = Vec::with_capacity(length + 300);
        while bytes.len() < length {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let count = (state >> 56) as usize;
            match (state >> 40) % 3 {
                0 if bytes.len() > count => bytes.extend_from_within(bytes.len() - count..),
                1 => bytes.extend(std::iter::repeat_n((state >> 33) as u8, count)),
                _ => bytes.extend_from_slice(&state.to_le_bytes()),
            }
        }
        bytes.truncate(length);
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn bytes_do_not_depend_on_threads_or_writes(
            length in prop_oneof![0..3 * BLOCK + 3, Just(BLOCK), Just(2 * BLOCK), Just(BLOCK + 1)],
            seed in any::<u64>(),
            level in 0..10_u32,
            piece in 1000..2 * BLOCK,
        ) {
            let content = content(length, seed);
            let one = compress(&content, level, 1, BLOCK);
            prop_assert_eq!(&decompress(&one), &content);
            for threads in [2, 3, 8] {
                prop_assert!(compress(&content, level, threads, piece) == one, "{} threads", threads);
            }
        }
    }

    #[test]
    fn incompressible_blocks_are_whole() {
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(2 * BLOCK + 77)
        .collect();
        // level 1 spends fixed codes on noise, in one piece too
        for level in [0, 6, 9] {
            let bytes = compress(&noise, level, 2, BLOCK);
            assert!(decompress(&bytes) == noise);
            assert!(bytes.len() < noise.len() + noise.len() / 100);
        }
    }

    #[test]
    fn one_member_that_the_system_s_gunzip_reads() {
        let content = content(2 * BLOCK + 5, 3);
        let bytes = compress(&content, 6, 2, 4096);
        // flate2's single-member reader stops at the end of the first one
        let mut out = Vec::new();
        let mut single = flate2::read::GzDecoder::new(&bytes[..]);
        single.read_to_end(&mut out).unwrap();
        assert!(out == content);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        let gunzip = std::process::Command::new("gzip")
            .args(["-dc"])
            .stdin(file.reopen().unwrap())
            .output()
            .unwrap();
        assert!(gunzip.status.success() && gunzip.stdout == content);
    }
}
