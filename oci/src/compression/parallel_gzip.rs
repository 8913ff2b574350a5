//! Gzip on several threads, with bytes that do not depend on how many. Unaware of what is compressed.
//!
//! The input is cut into blocks of [`BLOCK`] bytes, and each becomes a gzip member of its own, as `bgzip` and `pigz -i` write them
//! and as every reader of gzip takes them (RFC 1952, 2.2: "members simply appear one after another"). libdeflate compresses a block
//! about three times as fast as zlib-rs to the same size; it knows no streams, so blocks cannot share a window, which costs less
//! than half a per cent. Written by hand because the crates that do this bring thread pools of their own.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use libdeflater::{CompressionLvl, Compressor};

use crate::lock::locked;

/// Bytes that one thread compresses at once. Part of the format of the output: another number gives other bytes.
const BLOCK: usize = 1 << 20;
/// More threads would wait for the disk.
const MAX_THREADS: usize = 16;
/// The level of libdeflate for each of the levels 0 to 9 that users know. With it the output is at most one per cent larger than
/// zlib's, measured on 512 MiB of programs, libraries and documents, and smaller from level 7 on.
const EFFORT: [i32; 10] = [0, 1, 1, 2, 3, 4, 4, 6, 8, 9];

/// A writer that compresses. [`ParallelGzip::finish`] must be called, dropping it leaves the output cut off.
#[derive(Debug)]
pub struct ParallelGzip<W> {
    out: W,
    effort: CompressionLvl,
    threads: usize,
    block: Vec<u8>,
    workers: Option<Sender<Job>>,
    /// Blocks on their way, in order.
    pending: VecDeque<Receiver<io::Result<Vec<u8>>>>,
}

type Job = (Vec<u8>, Sender<io::Result<Vec<u8>>>);

impl<W: Write> ParallelGzip<W> {
    /// Compresses to `out` with `level` 0 to 9 on `threads` threads, which start with the second block. Where none can be started, the
    /// caller's thread does it.
    pub fn new(out: W, level: u32, threads: usize) -> Self {
        Self {
            out,
            effort: effort(level),
            threads: threads.min(MAX_THREADS),
            block: Vec::new(),
            workers: None,
            pending: VecDeque::new(),
        }
    }

    /// Writes what is left and returns the inner writer, not flushed.
    ///
    /// # Errors
    /// Those of the inner writer.
    pub fn finish(mut self) -> io::Result<W> {
        let last = std::mem::take(&mut self.block);
        if self.workers.is_some() {
            self.send(last)?;
        } else {
            let member = compress(&mut Compressor::new(self.effort), &last)?;
            self.out.write_all(&member)?;
        }
        while let Some(oldest) = self.pending.pop_front() {
            self.out.write_all(&receive(&oldest)?)?;
        }
        Ok(self.out)
    }

    /// Hands a block to a thread; waits for the oldest one when enough are on their way.
    fn send(&mut self, block: Vec<u8>) -> io::Result<()> {
        if self.workers.is_none() {
            self.workers = start_workers(self.threads, self.effort);
        }
        let Some(jobs) = &self.workers else {
            let member = compress(&mut Compressor::new(self.effort), &block)?;
            return self.out.write_all(&member);
        };
        if self.pending.len() >= 2 * self.threads
            && let Some(oldest) = self.pending.pop_front()
        {
            self.out.write_all(&receive(&oldest)?)?;
        }
        let (reply, result) = channel();
        self.pending.push_back(result);
        let sent = jobs.send((block, reply));
        sent.map_err(|_| io::Error::other("the compressing threads are gone"))
    }
}

impl<W: Write> Write for ParallelGzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full block waits until there is more: one block alone needs no thread.
        if self.block.len() == BLOCK && !bytes.is_empty() {
            let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
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

/// libdeflate's level for one of users.
pub(super) fn effort(level: u32) -> CompressionLvl {
    let level = usize::try_from(level).map_or(9, |level| level.min(9));
    CompressionLvl::new(EFFORT[level]).unwrap_or_default()
}

fn receive(result: &Receiver<io::Result<Vec<u8>>>) -> io::Result<Vec<u8>> {
    result
        .recv()
        .map_err(|_| io::Error::other("a compressing thread failed"))?
}

/// Starts the threads; they end when the sender is dropped. One is enough to go on with, and none is no failure.
fn start_workers(threads: usize, effort: CompressionLvl) -> Option<Sender<Job>> {
    let (jobs, queue) = channel::<Job>();
    let queue = Arc::new(Mutex::new(queue));
    let start = |_: &usize| {
        let queue = queue.clone();
        let work = move || {
            let mut compressor = Compressor::new(effort);
            loop {
                let job = locked(&queue).recv();
                let Ok((block, reply)) = job else { return };
                // The writer may have been dropped.
                let _ = reply.send(compress(&mut compressor, &block));
            }
        };
        let thread = std::thread::Builder::new().name("gzip".to_owned());
        thread.spawn(work).is_ok()
    };
    let started = (0..threads).filter(start).count();
    (started > 0).then_some(jobs)
}

/// One member, without name and time.
fn compress(compressor: &mut Compressor, block: &[u8]) -> io::Result<Vec<u8>> {
    let mut member = vec![0; compressor.gzip_compress_bound(block.len())];
    let length = compressor
        .gzip_compress(block, &mut member)
        .map_err(io::Error::other)?;
    member.truncate(length);
    Ok(member)
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
            for threads in [0, 2, 3, 8] {
                prop_assert!(compress(&content, level, threads, piece) == one, "{} threads", threads);
            }
        }
    }

    #[test]
    fn higher_levels_are_smaller() {
        let content = content(BLOCK, 5);
        let sizes: Vec<usize> = [0, 1, 4, 6, 8]
            .map(|level| compress(&content, level, 1, BLOCK).len())
            .into();
        assert!(sizes.is_sorted_by(|a, b| a > b), "{sizes:?}");
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
    fn members_that_the_system_s_gunzip_reads() {
        let content = content(2 * BLOCK + 5, 3);
        let bytes = compress(&content, 6, 2, 4096);
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
