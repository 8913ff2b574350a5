//! How large pieces are that are compressed alone, one after the other, at the default levels. Memory is kept between them, and no
//! thread is started: a stream's encoder costs more than a small piece. Unaware of what the pieces are part of.

use std::io;

use libdeflater::Compressor;

use super::blocks::effort;
use super::layer::{GZIP_LEVEL, ZSTD_LEVEL};

/// Compresses pieces and counts what comes.
pub struct Pieces {
    gzip: Compressor,
    zstd: zstd::bulk::Compressor<'static>,
    out: Vec<u8>,
}

impl Pieces {
    /// Has seen none.
    ///
    /// # Errors
    /// For want of memory.
    pub fn new() -> io::Result<Self> {
        let mut zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        zstd.include_checksum(true)?;
        Ok(Self {
            gzip: Compressor::new(effort(GZIP_LEVEL)),
            zstd,
            out: Vec::new(),
        })
    }

    /// Bytes of the piece as a gzip member and as a zstd frame.
    ///
    /// # Errors
    /// For want of memory.
    pub fn sizes(&mut self, piece: &[u8]) -> io::Result<[u64; 2]> {
        let bound = self.gzip.gzip_compress_bound(piece.len());
        let bound = bound.max(zstd::zstd_safe::compress_bound(piece.len()));
        self.out.resize(bound.max(self.out.len()), 0);
        let gzip = self.gzip.gzip_compress(piece, &mut self.out);
        let gzip = gzip.map_err(io::Error::other)?;
        let zstd = self.zstd.compress_to_buffer(piece, &mut self.out[..])?;
        Ok([gzip as u64, zstd as u64])
    }
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pieces")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerCompression;
    use std::io::Write;

    #[test]
    fn pieces_are_as_large_as_layers_of_them() {
        let mut pieces = Pieces::new().unwrap();
        for length in [0_u32, 1, 5000, 20_000, 700] {
            let piece: Vec<u8> = (0..length).flat_map(|n| (n * n).to_le_bytes()).collect();
            let sizes = [LayerCompression::gzip(), LayerCompression::zstd()].map(|compression| {
                let mut encoder = compression.encoder(Vec::new(), 1).unwrap();
                encoder.write_all(&piece).unwrap();
                encoder.finish().unwrap().len() as u64
            });
            assert_eq!(pieces.sizes(&piece).unwrap(), sizes);
        }
    }
}
