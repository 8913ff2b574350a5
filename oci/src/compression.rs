//! Recognises, undoes and makes compression. Memory is bounded whatever the input says. Unaware of
//! what is compressed.

use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::bufread::GzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

mod blocks;
mod layer;
mod pieces;

use blocks::{Blocks, Method};
pub use layer::{LayerCompression, LayerCompressionError};
pub use pieces::Pieces;

/// The largest zstd window, as a power of two: 128 MiB, what `zstd --long` writes and the
/// reference tool accepts unasked. RFC 8878 lets a hostile frame demand terabytes.
pub const ZSTD_WINDOW_LOG: u32 = 27;
/// The most memory that an xz decoder may take, in bytes; `xz -9` needs half of it.
pub const XZ_MEMORY: u64 = 128 << 20;
/// How many bytes at the start of a file [`sniff`] wants to see.
pub const SNIFF: usize = 10;

/// To how many bytes any compressed input may expand, however small it is.
const EXPANSION: u64 = 16 << 30;

/// To how many bytes an input of `size` bytes may expand. Images hold files of zeros that compress a
/// thousandfold; what is both so dense and so large was made to fill disks.
pub const fn most_expanded(size: u64) -> u64 {
    let many = size.saturating_mul(200);
    if many > EXPANSION { many } else { EXPANSION }
}

/// Reads up to a limit; what goes on beyond it fails with [`io::ErrorKind::FileTooLarge`].
#[derive(Debug)]
pub struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R> Limited<R> {
    /// At most `limit` bytes of `inner`.
    pub fn new(inner: R, limit: u64) -> Self {
        Self { inner, left: limit }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(count)
    }
}

/// How bytes are compressed, told from their start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// Not in a way known here.
    Plain,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// bzip2.
    Bzip2,
    /// The .xz file format.
    Xz,
}

/// What the first block of bzip2 begins with: one with content, and the end of an empty stream.
const BZIP2_BLOCKS: [[u8; 6]; 2] = [
    [0x31, 0x41, 0x59, 0x26, 0x53, 0x59],
    [0x17, 0x72, 0x45, 0x38, 0x50, 0x90],
];

/// Recognises the encoding from the first [`SNIFF`] bytes, or all when there are fewer.
pub fn sniff(start: &[u8]) -> Encoding {
    match start {
        [0x1f, 0x8b, 8, ..] => Encoding::Gzip,
        // A frame, or a skippable frame before one.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Encoding::Zstd,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Encoding::Xz,
        // Ten bytes, because a tar may well start with a file called `BZh1`.
        [b'B', b'Z', b'h', b'1'..=b'9', block @ ..]
            if BZIP2_BLOCKS.iter().any(|magic| block.starts_with(magic)) =>
        {
            Encoding::Bzip2
        }
        _ => Encoding::Plain,
    }
}

/// Reads `inner` decompressed. Concatenated members, frames and streams are read as one; zero
/// bytes after the last gzip member are ignored; other trailing bytes and cut-off input are errors
/// of the reader.
///
/// # Errors
/// When a decoder cannot be set up, which is for want of memory.
pub fn decoder<'a>(inner: impl Read + 'a, encoding: Encoding) -> io::Result<Box<dyn Read + 'a>> {
    let inner = BufReader::with_capacity(1 << 16, inner);
    Ok(match encoding {
        Encoding::Plain => Box::new(inner),
        Encoding::Gzip => Box::new(GzipMembers(Some(GzDecoder::new(inner)))),
        Encoding::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(inner)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Encoding::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(inner)),
        Encoding::Xz => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(inner, stream))
        }
    })
}

/// Recognises the encoding of `inner` and reads it decompressed.
///
/// # Errors
/// Those of `inner` and of [`decoder`].
pub fn auto<'a>(mut inner: impl Read + 'a) -> io::Result<(Encoding, Box<dyn Read + 'a>)> {
    let mut start = Vec::with_capacity(SNIFF);
    inner.by_ref().take(SNIFF as u64).read_to_end(&mut start)?;
    let encoding = sniff(&start);
    Ok((
        encoding,
        decoder(io::Cursor::new(start).chain(inner), encoding)?,
    ))
}

/// Gzip members one after another. flate2's own multi-member reader takes the zeros that tape-like
/// writers append for a damaged member.
struct GzipMembers<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let n = member.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let mut rest = self.0.take().map(GzDecoder::into_inner);
            if rest.as_mut().map_or(Ok(false), has_next_member)? {
                self.0 = rest.map(GzDecoder::new);
            }
        }
        Ok(0)
    }
}

/// Whether `rest` has a further member; false when only zero bytes are left, which it consumes.
fn has_next_member(rest: &mut impl BufRead) -> io::Result<bool> {
    let mut padded = false;
    loop {
        let bytes = rest.fill_buf()?;
        match bytes.first() {
            None => return Ok(false),
            Some(0) => {
                let zeros = bytes.iter().take_while(|b| **b == 0).count();
                rest.consume(zeros);
                padded = true;
            }
            Some(0x1f) if !padded => return Ok(true),
            Some(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "garbage after the end of gzip data",
                ));
            }
        }
    }
}

/// The highest level of zstd that works in blocks.
const MOST_IN_BLOCKS: i32 = 9;

/// Each of zstd's threads holds several windows, which grow with the level: 8 MiB from level 18 on.
fn zstd_threads(level: i32, threads: usize) -> u32 {
    let most = if level <= 16 { 2 } else { 1 };
    u32::try_from(threads.clamp(1, most)).unwrap_or(1)
}

/// A compressing writer. [`Encoder::finish`] must be called, dropping it leaves the output cut off.
pub struct Encoder<'a, W: Write>(Kind<'a, W>);

enum Kind<'a, W: Write> {
    Plain(W),
    Blocks(Blocks<W>),
    Zstd(zstd::Encoder<'a, W>),
}

impl<W: Write> Encoder<'_, W> {
    /// Passes everything through.
    pub fn plain(out: W) -> Self {
        Self(Kind::Plain(out))
    }

    /// Gzip with `level` 0 to 9 on all cores: members of one block each, without name and time.
    pub fn gzip(out: W, level: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::gzip_on(out, level, cores)
    }

    /// The same on `threads` threads. The bytes do not depend on their number.
    pub fn gzip_on(out: W, level: u32, threads: usize) -> Self {
        Self(Kind::Blocks(Blocks::new(out, Method::gzip(level), threads)))
    }

    /// Zstd with `level` 1 to 22 and checksums: up to level 9 frames of one block each, above, where windows are larger than blocks, one
    /// frame. The bytes are the same for any number of `threads`: even one works in zstd's multi-threaded mode, which cuts its jobs by size.
    ///
    /// # Errors
    /// For want of memory.
    pub fn zstd(out: W, level: i32, threads: usize) -> io::Result<Self> {
        if level <= MOST_IN_BLOCKS {
            let method = Method::Zstd(level);
            return Ok(Self(Kind::Blocks(Blocks::new(out, method, threads))));
        }
        let mut encoder = zstd::Encoder::new(out, level)?;
        encoder.include_checksum(true)?;
        encoder.multithread(zstd_threads(level, threads))?;
        Ok(Self(Kind::Zstd(encoder)))
    }

    /// Writes what is left and returns the inner writer, not flushed.
    ///
    /// # Errors
    /// Those of the inner writer.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Kind::Plain(out) => Ok(out),
            Kind::Blocks(encoder) => encoder.finish(),
            Kind::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> std::fmt::Debug for Encoder<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoder")
    }
}

impl<W: Write> Write for Encoder<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Plain(out) => out.write(bytes),
            Kind::Blocks(encoder) => encoder.write(bytes),
            Kind::Zstd(encoder) => encoder.write(bytes),
        }
    }

    /// Does nothing: a flush inside would change the compressed bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
