//! Compression in blocks on several threads, with bytes that do not depend on how many. Unaware of what is compressed.
//!
//! The input is cut into blocks of one length, and each becomes a gzip member or a zstd frame of its own, as `bgzip`, `pigz -i` and
//! `pzstd` write them and as every reader takes them (RFC 1952, 2.2: "members simply appear one after another"; RFC 8878, 3: "one or more
//! frames"). Blocks cannot share a window, which costs less than half a per cent. libdeflate compresses a block about three times as fast
//! as zlib-rs to the same size; zstd's own threads take jobs one after the other from who feeds them, and wait for each other's windows.
//! Written by hand because the crates that do this bring thread pools of their own.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use libdeflater::CompressionLvl;

use crate::lock::locked;

/// More threads would wait for the disk.
const MAX_THREADS: usize = 16;
/// The level of libdeflate for each of the levels 0 to 9 that users know. With it the output is at most one per cent larger than
/// zlib's, measured on 512 MiB of programs, libraries and documents, and smaller from level 7 on.
const EFFORT: [i32; 10] = [0, 1, 1, 2, 3, 4, 4, 6, 8, 9];

/// What becomes of a block.
#[derive(Clone, Copy, Debug)]
pub enum Method {
    /// A gzip member without name and time.
    Gzip(CompressionLvl),
    /// A zstd frame with a checksum.
    Zstd(i32),
}

impl Method {
    /// Gzip with `level` 0 to 9.
    pub fn gzip(level: u32) -> Self {
        Self::Gzip(effort(level))
    }

    /// Bytes of a block. Part of the format of the output: another number gives other bytes. A window of zstd's levels up to 9 fits in one.
    const fn block(self) -> usize {
        match self {
            Self::Gzip(_) => 1 << 20,
            Self::Zstd(_) => 4 << 20,
        }
    }

    /// Threads that may work at once: each holds two blocks and a compressor.
    const fn threads(self) -> usize {
        match self {
            Self::Gzip(_) => MAX_THREADS,
            Self::Zstd(_) => MAX_THREADS / 4,
        }
    }

    fn compressor(self) -> io::Result<Compressor> {
        Ok(match self {
            Self::Gzip(effort) => Compressor::Gzip(libdeflater::Compressor::new(effort)),
            Self::Zstd(level) => {
                let mut zstd = zstd::bulk::Compressor::new(level)?;
                zstd.include_checksum(true)?;
                Compressor::Zstd(zstd)
            }
        })
    }

    fn compress(self, block: &[u8]) -> io::Result<Vec<u8>> {
        self.compressor()?.compress(block)
    }
}

enum Compressor {
    Gzip(libdeflater::Compressor),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Compressor {
    fn compress(&mut self, block: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd(zstd) => zstd.compress(block),
            Self::Gzip(gzip) => {
                let mut member = vec![0; gzip.gzip_compress_bound(block.len())];
                let length = gzip.gzip_compress(block, &mut member);
                member.truncate(length.map_err(io::Error::other)?);
                Ok(member)
            }
        }
    }
}

/// A writer that compresses. [`Blocks::finish`] must be called, dropping it leaves the output cut off.
#[derive(Debug)]
pub struct Blocks<W> {
    out: W,
    method: Method,
    threads: usize,
    block: Vec<u8>,
    workers: Option<Sender<Job>>,
    /// Blocks on their way, in order.
    pending: VecDeque<Receiver<io::Result<Vec<u8>>>>,
}

type Job = (Vec<u8>, Sender<io::Result<Vec<u8>>>);

impl<W: Write> Blocks<W> {
    /// Compresses to `out` on `threads` threads, which start with the second block. Where none can be started, the caller's thread
    /// does it.
    pub fn new(out: W, method: Method, threads: usize) -> Self {
        Self {
            out,
            method,
            threads: threads.min(method.threads()),
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
            self.out.write_all(&self.method.compress(&last)?)?;
        }
        while let Some(oldest) = self.pending.pop_front() {
            self.out.write_all(&receive(&oldest)?)?;
        }
        Ok(self.out)
    }

    /// Hands a block to a thread; waits for the oldest one when enough are on their way.
    fn send(&mut self, block: Vec<u8>) -> io::Result<()> {
        if self.workers.is_none() {
            self.workers = start_workers(self.threads, self.method);
        }
        let Some(jobs) = &self.workers else {
            return self.out.write_all(&self.method.compress(&block)?);
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

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.method.block();
        // A full block waits until there is more: one block alone needs no thread.
        if self.block.len() == length && !bytes.is_empty() {
            let block = std::mem::replace(&mut self.block, Vec::with_capacity(length));
            self.send(block)?;
        }
        let count = bytes.len().min(length - self.block.len());
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
fn start_workers(threads: usize, method: Method) -> Option<Sender<Job>> {
    let (jobs, queue) = channel::<Job>();
    let queue = Arc::new(Mutex::new(queue));
    let start = |_: &usize| {
        let queue = queue.clone();
        let thread = std::thread::Builder::new().name("compression".to_owned());
        thread.spawn(move || work(method, &queue)).is_ok()
    };
    let started = (0..threads).filter(start).count();
    (started > 0).then_some(jobs)
}

fn work(method: Method, queue: &Mutex<Receiver<Job>>) {
    let mut compressor = method.compressor();
    loop {
        let job = locked(queue).recv();
        let Ok((block, reply)) = job else { return };
        let compressed = match &mut compressor {
            Ok(compressor) => compressor.compress(&block),
            Err(_) => method.compress(&block),
        };
        // The writer may have been dropped.
        let _ = reply.send(compressed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::{Encoding, decoder};
    use proptest::prelude::*;
    use std::io::Read;

    const BLOCK: usize = 1 << 20;

    fn compress(bytes: &[u8], method: Method, threads: usize, piece: usize) -> Vec<u8> {
        let mut blocks = Blocks::new(Vec::new(), method, threads);
        for part in bytes.chunks(piece) {
            blocks.write_all(part).unwrap();
        }
        blocks.finish().unwrap()
    }

    fn decompress(bytes: &[u8], method: Method) -> Vec<u8> {
        let mut out = Vec::new();
        let encoding = match method {
            Method::Gzip(_) => Encoding::Gzip,
            Method::Zstd(_) => Encoding::Zstd,
        };
        let mut reader = decoder(bytes, encoding).unwrap();
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
            (blocks, rest) in prop_oneof![(0..3_usize, 0..BLOCK), (0..3_usize, Just(0)), (0..3_usize, Just(1))],
            seed in any::<u64>(),
            method in prop_oneof![(0..10_u32).prop_map(Method::gzip), (1..10_i32).prop_map(Method::Zstd)],
            piece in 1000..2 * BLOCK,
        ) {
            let content = content(blocks * method.block() + rest, seed);
            let one = compress(&content, method, 1, BLOCK);
            prop_assert_eq!(&decompress(&one, method), &content);
            for threads in [0, 2, 3, 8] {
                prop_assert!(compress(&content, method, threads, piece) == one, "{} threads", threads);
            }
        }
    }

    #[test]
    fn higher_levels_are_smaller() {
        let content = content(BLOCK, 5);
        let sizes: Vec<usize> = [0, 1, 4, 6, 8]
            .map(|level| compress(&content, Method::gzip(level), 1, BLOCK).len())
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
        let gzip = [0, 6, 9].map(Method::gzip);
        for method in gzip.into_iter().chain([Method::Zstd(3)]) {
            let bytes = compress(&noise, method, 2, BLOCK);
            assert!(decompress(&bytes, method) == noise);
            assert!(bytes.len() < noise.len() + noise.len() / 100);
        }
    }

    #[test]
    fn blocks_that_the_system_s_programs_read() {
        let content = content(9 * BLOCK + 5, 3);
        for (method, program) in [(Method::gzip(6), "gzip"), (Method::Zstd(3), "zstd")] {
            let bytes = compress(&content, method, 2, 4096);
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&bytes).unwrap();
            let read = std::process::Command::new(program)
                .args(["-dc"])
                .stdin(file.reopen().unwrap())
                .output()
                .unwrap();
            assert!(read.status.success() && read.stdout == content, "{program}");
        }
    }
}
