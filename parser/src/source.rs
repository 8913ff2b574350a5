//! Places in the Dockerfile's text: byte ranges and lines. Unaware of what the text means.

use std::ops::Range;

use serde::Serialize;

/// A byte range of the source, `start <= end <= source.len()`. Small, because a Dockerfile may have millions of words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The range `start..end`. No source is as long as its numbers can say.
    pub fn new(start: usize, end: usize) -> Self {
        let number = |at| u32::try_from(at).unwrap_or(u32::MAX);
        let (start, end) = (number(start), number(end));
        Span { start, end }
    }

    /// First byte.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// One past the last byte.
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// `start..end`
    pub fn range(self) -> Range<usize> {
        self.start()..self.end()
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
