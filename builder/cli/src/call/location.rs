//! Places as BuildKit's JSON has them: `{"ranges": [{"start": {"line": 1}, "end": {"line": 2}}]}`, lines from 1, whole
//! instructions; and sources in base 64, to which places refer by number (0, the only one, is left out).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kiln_parser::source::{LineIndex, Span};
use serde_json::{Value, json};

/// Makes places of one text.
pub(super) struct Places<'a> {
    text: &'a str,
    lines: LineIndex,
    /// First and last line of each instruction, in order.
    instructions: Vec<(u32, u32)>,
}

impl<'a> Places<'a> {
    /// Reads the text.
    pub(super) fn of(text: &'a str) -> Self {
        let dockerfile = kiln_parser::parse(text).dockerfile;
        let lines = dockerfile.lines.iter();
        Places {
            text,
            lines: LineIndex::new(text),
            instructions: lines.map(|line| (line.first, line.last)).collect(),
        }
    }

    /// The instruction that holds a place; the place's lines, if there is none.
    pub(super) fn of_span(&self, span: Span) -> Value {
        let first = self.lines.line(span.start());
        let last = self
            .lines
            .line(span.end().saturating_sub(1).max(span.start()));
        let after = self
            .instructions
            .partition_point(|&(begins, _)| begins <= first);
        let own = after.checked_sub(1).map(|at| self.instructions[at]);
        match own {
            Some(own) if last <= own.1 => range(own),
            _ => range((first, last)),
        }
    }

    /// The instruction that begins at a line; the line, if none does.
    pub(super) fn of_line(&self, line: u32) -> Value {
        let at = self
            .instructions
            .binary_search_by_key(&line, |&(begins, _)| begins);
        range(at.map_or((line, line), |at| self.instructions[at]))
    }

    /// The text, as it stands in `sources`.
    pub(super) fn source(&self) -> String {
        STANDARD.encode(self.text)
    }
}

fn range((start, end): (u32, u32)) -> Value {
    json!({"ranges": [{"start": {"line": start}, "end": {"line": end}}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_whole_instructions() {
        let text = "# c\nFROM x\nRUN a \\\n  b\n";
        let places = Places::of(text);
        let lines = |at: usize| {
            let place = places.of_span(Span::new(at, at + 1));
            let range = &place["ranges"][0];
            (
                range["start"]["line"].as_u64(),
                range["end"]["line"].as_u64(),
            )
        };
        assert_eq!(lines(0), (Some(1), Some(1)));
        assert_eq!(lines(4), (Some(2), Some(2)));
        assert_eq!(lines(text.rfind('b').unwrap()), (Some(3), Some(4)));
        assert_eq!(places.source(), "IyBjCkZST00geApSVU4gYSBcCiAgYgo=");
    }
}
