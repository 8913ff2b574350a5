//! How large the bytes that pass by would be compressed: counted, or estimated from samples. Unaware of what they are.
//!
//! A sample is a piece of the tar that is compressed alone. Samples stand close together at the start of a tar and far apart
//! behind it, so that small layers are estimated well and large ones soon; each stands for the bytes up to the next one.

mod aside;

use std::io::{self, Write};
use std::ops::AddAssign;

use kiln_oci::LayerCompression;
use kiln_oci::compression::{Encoder, Pieces};

use aside::Aside;

/// Bytes of a sample.
pub(crate) const SAMPLE: usize = 128 << 10;
/// The most bytes between the starts of two samples.
const FARTHEST: u64 = 8 << 20;
/// Both ways to compress.
pub(crate) const BOTH: [LayerCompression; 2] = [LayerCompression::gzip(), LayerCompression::zstd()];

/// How much trouble is taken to learn how large layers are when they are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Effort {
    /// Samples are compressed.
    #[default]
    Estimate,
    /// Everything is compressed.
    Exact,
}

/// Bytes that were counted, or estimated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// How many.
    pub bytes: u64,
    /// Whether nobody has counted them.
    pub is_estimate: bool,
}

/// The size of something compressed in the two ways that registries know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compressed {
    /// With gzip at kiln's default level.
    pub gzip: Size,
    /// With zstd at its default level.
    pub zstd: Size,
}

impl Size {
    /// Bytes that were counted.
    #[must_use]
    pub const fn counted(bytes: u64) -> Self {
        let is_estimate = false;
        Self { bytes, is_estimate }
    }
}

impl AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.is_estimate |= other.is_estimate;
    }
}

impl AddAssign for Compressed {
    fn add_assign(&mut self, other: Self) {
        self.gzip += other.gzip;
        self.zstd += other.zstd;
    }
}

/// Learns from the bytes of a tar that pass by how large it is compressed.
pub struct Meter {
    /// Bytes that have passed.
    at: u64,
    way: Way,
}

enum Way {
    Samples(Aside),
    Whole(Box<[Encoder<'static, Counter>; 2]>),
    /// Memory for an encoder was refused.
    Nothing,
}

impl Meter {
    /// Has seen nothing yet.
    #[must_use]
    pub fn new(effort: Effort) -> Self {
        let way = match effort {
            Effort::Estimate => Way::Samples(Aside::new()),
            Effort::Exact => encoders().map_or(Way::Nothing, |both| Way::Whole(Box::new(both))),
        };
        Self { at: 0, way }
    }

    /// The next bytes of the tar.
    pub fn see(&mut self, mut piece: &[u8]) {
        self.at += piece.len() as u64;
        match &mut self.way {
            Way::Samples(samples) => {
                let mut from = self.at - piece.len() as u64;
                while !piece.is_empty() {
                    let count = samples.see(from, piece);
                    from += count as u64;
                    piece = &piece[count..];
                }
            }
            Way::Whole(both) => {
                if both
                    .iter_mut()
                    .any(|encoder| encoder.write_all(piece).is_err())
                {
                    self.way = Way::Nothing;
                }
            }
            Way::Nothing => {}
        }
    }

    /// The sizes of what has passed.
    #[must_use]
    pub fn finish(self) -> Compressed {
        match self.way {
            Way::Samples(samples) => samples.finish(self.at),
            Way::Whole(both) => {
                let [gzip, zstd] = both.map(|encoder| Size::counted(written(encoder)));
                Compressed { gzip, zstd }
            }
            Way::Nothing => Compressed::default(),
        }
    }
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a meter at byte {}", self.at)
    }
}

fn encoders() -> io::Result<[Encoder<'static, Counter>; 2]> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let [gzip, zstd] = BOTH.map(|compression| compression.encoder(Counter(0), cores));
    Ok([gzip?, zstd?])
}

/// Bytes of a tar that is compressed as layers are.
fn whole(compression: LayerCompression, tar: &[u8]) -> io::Result<u64> {
    let mut encoder = compression.encoder(Counter(0), 1)?;
    encoder.write_all(tar)?;
    Ok(written(encoder))
}

/// Writing to a counter cannot fail.
fn written(encoder: Encoder<'_, Counter>) -> u64 {
    encoder.finish().map_or(0, |counter| counter.0)
}

/// Where the sample after the one that begins here does.
fn following(start: u64) -> u64 {
    start + (start / 2).clamp(SAMPLE as u64, FARTHEST)
}

/// Samples, the first first.
#[derive(Default)]
pub(crate) struct Samples {
    /// Where each begins, its bytes, and how many these are compressed.
    taken: Vec<(u64, u64, [u64; 2])>,
    /// Compresses all but the first.
    pieces: Option<Pieces>,
    /// Where the next one begins.
    pub(crate) next: u64,
}

impl Samples {
    /// The same samples; more can be taken.
    fn so_far(&self) -> Self {
        Samples {
            taken: self.taken.clone(),
            pieces: None,
            next: self.next,
        }
    }

    /// Compresses the sample that stands at `next`. The first one may be all there is, and then is counted as layers are compressed.
    pub(crate) fn take(&mut self, sample: &[u8]) {
        let sizes = match self.taken.is_empty() {
            true => BOTH.map(|compression| whole(compression, sample).unwrap_or_default()),
            false => self.piece(sample).unwrap_or_default(),
        };
        self.taken.push((self.next, sample.len() as u64, sizes));
        self.next = following(self.next);
    }

    fn piece(&mut self, sample: &[u8]) -> io::Result<[u64; 2]> {
        let pieces = match &mut self.pieces {
            Some(pieces) => pieces,
            none => none.insert(Pieces::new()?),
        };
        pieces.sizes(sample)
    }

    /// What all of `total` bytes would be.
    pub(crate) fn finish(&self, total: u64) -> Compressed {
        let ends = self.taken.iter().skip(1).map(|(start, ..)| *start);
        let mut sums = [0; 2];
        for ((start, length, sizes), end) in self.taken.iter().zip(ends.chain([total])) {
            let stands_for = u128::from(end.saturating_sub(*start));
            for (sum, size) in sums.iter_mut().zip(sizes) {
                let part = u128::from(*size) * stands_for / u128::from((*length).max(1));
                *sum += u64::try_from(part).unwrap_or(u64::MAX);
            }
        }
        let is_estimate = total > SAMPLE as u64;
        let [gzip, zstd] = sums.map(|bytes| Size { bytes, is_estimate });
        Compressed { gzip, zstd }
    }
}

/// Counts what is written.
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
