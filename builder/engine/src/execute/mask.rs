//! Text without the values of secrets: each is replaced by `***`, wherever the text is cut on its way. Unaware of where it comes from.

use memchr::memmem::Finder;
use std::io::{self, Read, Write};

/// What stands for a value.
const MASK: &[u8] = b"***";
/// Bytes of a value that is looked for; a shorter one is part of many words.
const SHORTEST: usize = 3;
/// Bytes of a line that counts as a value of its own: programs often print a key line by line.
const SHORTEST_LINE: usize = 6;
/// How much is read at once.
const CHUNK: u64 = 64 << 10;

/// The values that are replaced.
#[derive(Debug)]
pub struct Mask<'a>(Vec<Finder<'a>>);

impl<'a> Mask<'a> {
    /// For these secrets: each as a whole, without the end of its last line, and each line of one that has several.
    pub fn new(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let values = secrets.into_iter().flat_map(values);
        Mask(values.map(Finder::new).collect())
    }

    /// Copies all of `text` without the values.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn copy(&self, text: impl Read, out: &mut dyn Write) -> io::Result<()> {
        self.copy_by(CHUNK, text, out)
    }

    fn copy_by(&self, chunk: u64, mut text: impl Read, out: &mut dyn Write) -> io::Result<()> {
        let longest = self.0.iter().map(|value| value.needle().len()).max();
        let Some(longest) = longest else {
            return io::copy(&mut text, out).map(drop);
        };
        let mut window = Window::new(self.0.len());
        loop {
            let read = text.by_ref().take(chunk).read_to_end(&mut window.bytes)?;
            // what begins later may be a value of which the end has not come
            let known = match read {
                0 => window.bytes.len(),
                _ => (window.bytes.len() + 1).saturating_sub(longest),
            };
            let found = window.find(&self.0, known);
            window.write(&found, known, out)?;
            if read == 0 {
                return Ok(());
            }
        }
    }
}

/// What of a secret is looked for.
fn values(secret: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = secret.iter().rposition(|byte| !b"\r\n".contains(byte));
    let whole = &secret[..end.map_or(0, |last| last + 1)];
    let lines = whole.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines = lines.filter(|line| line.len() >= SHORTEST_LINE && line.len() < whole.len());
    let whole = Some(whole).filter(|whole| whole.len() >= SHORTEST);
    whole.into_iter().chain(lines)
}

/// A part of a text that moves over it.
#[derive(Debug)]
struct Window {
    bytes: Vec<u8>,
    /// Where each value is looked for next.
    next: Vec<usize>,
    /// How many of the first bytes belong to values whose mask is written.
    masked: usize,
}

impl Window {
    fn new(values: usize) -> Self {
        Window {
            bytes: Vec::new(),
            next: vec![0; values],
            masked: 0,
        }
    }

    /// The beginnings and ends of the values that begin in the first `known` bytes, sorted.
    fn find(&mut self, values: &[Finder<'_>], known: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (value, next) in values.iter().zip(&mut self.next) {
            while *next < known
                && let Some(offset) = value.find(&self.bytes[*next..])
                && *next + offset < known
            {
                let start = *next + offset;
                *next = start + value.needle().len();
                found.push((start, *next));
            }
            *next = (*next).max(known);
        }
        found.sort_unstable();
        found
    }

    /// Writes the first `known` bytes without what was found in them, and moves behind them. Values that overlap have one mask.
    fn write(
        &mut self,
        found: &[(usize, usize)],
        known: usize,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut masked = self.masked;
        for &(start, end) in found {
            if start >= masked {
                out.write_all(&self.bytes[masked..start])?;
                out.write_all(MASK)?;
            }
            masked = masked.max(end);
        }
        out.write_all(self.bytes.get(masked..known).unwrap_or_default())?;
        self.bytes.drain(..known);
        self.next.iter_mut().for_each(|next| *next -= known);
        self.masked = masked.saturating_sub(known);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked_by(chunk: u64, secrets: &[&str], text: &[u8]) -> String {
        let secrets = secrets.iter().map(|secret| secret.as_bytes());
        let mut out = Vec::new();
        Mask::new(secrets).copy_by(chunk, text, &mut out).unwrap();
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn values_are_masked_wherever_the_text_is_cut() {
        let cases: [(&[&str], &str, &str); 9] = [
            (&[], "text", "text"),
            (&["hunter2"], "a hunter2 b hunter2", "a *** b ***"),
            (&["hunter2\n"], "hunter2hunter2 hunter", "****** hunter"),
            // too short to be looked for
            (&["ab", "\r\n", ""], "ab", "ab"),
            // one that begins another, one that ends in another
            (&["abc", "abcdef"], "abcdef abcd", "*** ***d"),
            (&["abcd", "cdef"], "xabcdefx", "x***x"),
            (&["aaa"], "aaaaaaaab", "******aab"),
            (
                &["first line\nx\nsecond"],
                "x first line\nsecond\n",
                "x ***\n***\n",
            ),
            (
                &["one line\r\nlast one\r\n"],
                "one line\r\nlast one\r\n",
                "***\r\n",
            ),
        ];
        for (secrets, text, expected) in cases {
            for chunk in [1, 2, 3, 5, 7, 1000] {
                let masked = masked_by(chunk, secrets, text.as_bytes());
                assert_eq!(masked, expected, "{secrets:?} {chunk}");
            }
        }
        assert_eq!(
            masked_by(1, &["\u{e4}\u{e4}"], b"\xff\xc3\xa4\xc3\xa4\x00"),
            "\u{fffd}***\0"
        );
    }

    proptest! {
        #[test]
        fn no_value_stays(
            secrets in prop::collection::vec("[ab]{3,5}", 1..4),
            text in "[abc]{0,60}",
            chunk in 1_u64..9,
        ) {
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let masked = masked_by(chunk, &secrets, text.as_bytes());
            prop_assert!(!secrets.iter().any(|secret| masked.contains(secret)), "{masked}");
            prop_assert_eq!(&masked, &masked_by(1000, &secrets, text.as_bytes()));
            let is_clean = !secrets.iter().any(|secret| text.contains(secret));
            prop_assert!(!is_clean || masked == text);
        }
    }
}
