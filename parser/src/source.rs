//! Places in the Dockerfile's text: byte ranges and lines. Unaware of what the text means.

use serde::Serialize;

/// A byte range of the source, `start <= end <= source.len()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The range `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        Span { start, end }
    }
}

/// Finds the line of a byte. Lines end at `\n`.
#[derive(Clone, Debug)]
pub struct LineIndex {
    starts: Vec<usize>,
}

impl LineIndex {
    /// Reads the source once.
    pub fn new(source: &str) -> Self {
        let after_newlines = source
            .bytes()
            .enumerate()
            .filter_map(|(at, byte)| (byte == b'\n').then_some(at + 1));
        LineIndex {
            starts: std::iter::once(0).chain(after_newlines).collect(),
        }
    }

    /// The 1-based line that holds the byte.
    pub fn line(&self, byte: usize) -> u32 {
        let line = self.starts.partition_point(|&start| start <= byte);
        u32::try_from(line).unwrap_or(u32::MAX)
    }
}
