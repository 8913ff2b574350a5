//! The digest of a file's content: BLAKE3, because it is four times as fast as sha256 and never leaves the store.
//!
//! Its own type, so that it can never be mistaken for a blob digest, a diff ID or a key (those are sha256).

use std::fmt;
use std::io::{self, Read};

use crate::store::sink::read_full;

/// BLAKE3 of the bytes of a regular file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentDigest([u8; 32]);

impl ContentDigest {
    /// Stands where a digest is not known, or means nothing.
    pub(crate) const NONE: Self = Self([0; 32]);

    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).into())
    }

    /// The digest of all that a reader gives.
    pub(crate) fn of_reader(reader: &mut impl Read) -> io::Result<Self> {
        let (mut hasher, mut buffer) = (ContentHasher::new(), vec![0; 64 << 10]);
        loop {
            let count = read_full(reader, &mut buffer)?;
            hasher.update(&buffer[..count]);
            if count < buffer.len() {
                return Ok(hasher.finish());
            }
        }
    }

    /// Takes 32 bytes for a digest, unchecked: for decoders.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("blake3:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Digests content piece by piece.
#[derive(Debug, Default)]
pub struct ContentHasher {
    hasher: blake3::Hasher,
}

impl ContentHasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// How many bytes it has seen.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.hasher.count()
    }

    /// The digest of what it has seen so far.
    #[must_use]
    pub fn finish(&self) -> ContentDigest {
        ContentDigest(self.hasher.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_and_whole_agree() {
        let bytes: Vec<u8> = (0..600_000u32).map(|n| (n % 251) as u8).collect();
        let mut hasher = ContentHasher::new();
        bytes.chunks(777).for_each(|piece| hasher.update(piece));
        assert_eq!(hasher.finish(), ContentDigest::of(&bytes));
        assert_eq!(hasher.length(), 600_000);
    }

    #[test]
    fn the_empty_file_has_the_known_digest() {
        let text = ContentDigest::of(b"").to_string();
        assert!(text.starts_with("blake3:af1349b9f5f9a1a6"), "{text}");
    }
}
