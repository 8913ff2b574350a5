//! How the blob of a layer is to be compressed: what `--compression` and `--layer-compression` mean. Unaware of stores.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use super::Encoder;
use crate::media_type::Compression;

/// Docker's and pigz's default.
pub(super) const GZIP_LEVEL: u32 = 6;
/// zstd's own default.
pub(super) const ZSTD_LEVEL: i32 = 3;

/// How a layer's tar becomes a blob. The text form, which stores keep, is `none`, `gzip:6` or `zstd:3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerCompression {
    /// The tar itself.
    None,
    /// Gzip members of one block each, with a level from 0 to 9.
    Gzip(u32),
    /// Zstd frames, with a level from 1 to 22.
    Zstd(i32),
}

/// A text that names no compression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no compression: expected none, gzip, gzip:0 to gzip:9, zstd, or zstd:1 to zstd:22"
)]
pub struct LayerCompressionError {
    /// The text.
    pub text: String,
}

impl LayerCompression {
    /// Gzip as every tool reads and writes it.
    #[must_use]
    pub const fn gzip() -> Self {
        Self::Gzip(GZIP_LEVEL)
    }

    /// Zstd with its default level.
    #[must_use]
    pub const fn zstd() -> Self {
        Self::Zstd(ZSTD_LEVEL)
    }

    /// What media types say about it.
    #[must_use]
    pub const fn algorithm(self) -> Compression {
        match self {
            Self::None => Compression::None,
            Self::Gzip(_) => Compression::Gzip,
            Self::Zstd(_) => Compression::Zstd,
        }
    }

    /// Starts compressing to `out` on up to `threads` threads; the bytes do not depend on their number.
    ///
    /// # Errors
    /// For want of memory.
    pub fn encoder<'a, W: Write>(self, out: W, threads: usize) -> io::Result<Encoder<'a, W>> {
        match self {
            Self::None => Ok(Encoder::plain(out)),
            Self::Gzip(level) => Ok(Encoder::gzip_on(out, level, threads)),
            Self::Zstd(level) => Encoder::zstd(out, level, threads),
        }
    }
}

impl fmt::Display for LayerCompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Gzip(level) => write!(f, "gzip:{level}"),
            Self::Zstd(level) => write!(f, "zstd:{level}"),
        }
    }
}

impl FromStr for LayerCompression {
    type Err = LayerCompressionError;

    fn from_str(text: &str) -> Result<Self, LayerCompressionError> {
        let error = || LayerCompressionError { text: text.into() };
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level.parse::<u8>().map_err(|_| error())?)),
            None => (text, None),
        };
        match (name, level) {
            ("none" | "uncompressed", None) => Ok(Self::None),
            ("gzip", None) => Ok(Self::gzip()),
            ("gzip", Some(level @ 0..=9)) => Ok(Self::Gzip(level.into())),
            ("zstd", None) => Ok(Self::zstd()),
            ("zstd", Some(level @ 1..=22)) => Ok(Self::Zstd(level.into())),
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::auto;
    use std::io::Read;

    #[test]
    fn texts_name_compressions() {
        for (text, meant) in [
            ("none", "none"),
            ("uncompressed", "none"),
            ("gzip", "gzip:6"),
            ("gzip:9", "gzip:9"),
            ("zstd", "zstd:3"),
            ("zstd:22", "zstd:22"),
        ] {
            let parsed: LayerCompression = text.parse().unwrap();
            assert_eq!(parsed.to_string(), meant);
            assert_eq!(meant.parse(), Ok(parsed));
        }
        for bad in [
            "", "GZIP", "gzip:", "gzip:10", "zstd:0", "zstd:23", "estargz", "none:1", "gzip:-1",
        ] {
            assert!(bad.parse::<LayerCompression>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_compression_is_undone_and_is_the_same_on_any_number_of_threads() {
        let content: Vec<u8> = (0..5_000_000_u32).map(|n| (n / 7 % 251) as u8).collect();
        for compression in [
            LayerCompression::None,
            LayerCompression::gzip(),
            LayerCompression::zstd(),
            LayerCompression::Zstd(19),
        ] {
            let compress = |threads| {
                let mut encoder = compression.encoder(Vec::new(), threads).unwrap();
                encoder.write_all(&content).unwrap();
                encoder.finish().unwrap()
            };
            let one = compress(1);
            for threads in [2, 3, 8] {
                assert!(
                    compress(threads) == one,
                    "{compression} on {threads} threads"
                );
            }
            let mut out = Vec::new();
            auto(&one[..]).unwrap().1.read_to_end(&mut out).unwrap();
            assert!(out == content, "{compression}");
        }
    }
}
