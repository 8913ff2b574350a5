//! The text of a logical line, and the way back from its bytes to those of the source. Unaware of what the text means.

use std::borrow::Cow;
use std::ops::Range;

use crate::source::Span;
use crate::steps;

/// Joined text. Without continuations it is borrowed from the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text<'s> {
    joined: Cow<'s, str>,
    /// Where the first physical line starts in the source.
    start: usize,
    /// (offset in `joined`, offset in the source) where each further physical line starts.
    pieces: Vec<(usize, usize)>,
}

impl<'s> Text<'s> {
    /// A physical line that starts at `start` of the source.
    pub(crate) fn whole(text: &'s str, start: usize) -> Self {
        Text {
            joined: Cow::Borrowed(text),
            start,
            pieces: Vec::new(),
        }
    }

    /// Adds the next physical line.
    pub(crate) fn append(&mut self, text: &str, start: usize) {
        self.pieces.push((self.joined.len(), start));
        // Borrowed text is copied once, when something is added to it.
        steps::look_at(match self.joined {
            Cow::Borrowed(joined) => joined.len() + text.len(),
            Cow::Owned(_) => text.len(),
        });
        self.joined.to_mut().push_str(text);
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.joined
    }

    /// The source offset of a byte of the text (or of its end).
    pub(crate) fn offset(&self, at: usize) -> usize {
        steps::look_at(self.pieces.len().checked_ilog2().unwrap_or(0) as usize);
        let after = self.pieces.partition_point(|&(joined, _)| joined <= at);
        let piece = after.checked_sub(1).and_then(|last| self.pieces.get(last));
        let (joined, source) = piece.copied().unwrap_or((0, self.start));
        source + (at - joined)
    }

    /// The source bytes of a range of the text.
    pub(crate) fn span(&self, range: Range<usize>) -> Span {
        let start = self.offset(range.start);
        // The end belongs to the piece of the last byte: a range may end where a line ends.
        let end = match range.end.checked_sub(1) {
            Some(last) if last >= range.start => self.offset(last) + 1,
            _ => start,
        };
        Span::new(start, end.max(start))
    }

    /// The source bytes of a slice of this text, by its address. A slice of another text gives the whole line.
    pub(crate) fn span_of(&self, part: &str) -> Span {
        let all = self.as_str();
        let start = (part.as_ptr() as usize).checked_sub(all.as_ptr() as usize);
        let range = start.map(|start| start..start + part.len());
        let range = range.filter(|range| range.end <= all.len());
        self.span(range.unwrap_or(0..all.len()))
    }
}
