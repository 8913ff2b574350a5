//! The commands of a RUN that are joined by `&&`, with their places in the Dockerfile. Only what is plain is understood: a command with
//! quotes, variables, pipes or redirections is known to be there and nothing more. Unaware of what commands do.

use std::ops::Range;

/// One command between `&&`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Its bytes in the Dockerfile, without blanks around it.
    pub at: Range<usize>,
    /// Its words with their places, as far as blanks part them.
    words: Vec<(String, Range<usize>)>,
}

impl Clause {
    /// The words alone; none where the command is not plain.
    pub fn texts(&self) -> Vec<&str> {
        let plain = self.words().iter();
        plain.map(|(text, _)| text.as_str()).collect()
    }

    /// The words with their places; none where the command is not plain.
    pub fn words(&self) -> &[(String, Range<usize>)] {
        let is_plain = self.words.iter().all(|(word, _)| !word.contains(SHELL));
        if is_plain { &self.words } else { &[] }
    }

    /// Where the first word ends that is this one.
    pub fn end_of(&self, word: &str) -> Option<usize> {
        let found = self.words.iter().find(|(text, _)| text == word);
        found.map(|(_, at)| at.end)
    }

    /// What blanks part, whatever the shell makes of it.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(|(text, _)| text.as_str())
    }
}

/// What makes a command more than words.
const SHELL: &[char] = &[
    '\'', '"', '`', '$', '|', '>', '<', ';', '(', ')', '{', '}', '&', '!', '#',
];

/// The clauses of a command that stands at `at` of `source`; `escape` ends lines that go on. None where the command is more than a
/// list of `&&`: then nothing can be said of when a part of it runs.
pub fn clauses(source: &str, at: Range<usize>, escape: char) -> Option<Vec<Clause>> {
    let text = blanked(source.get(at.clone())?);
    // a list in another one, a loop: none is taken apart
    let is_list = !text.contains("||") && !text.contains(';');
    let words = ["if ", "for ", "while ", "case ", "until "];
    if !is_list || words.iter().any(|word| text.trim_start().starts_with(word)) {
        return None;
    }
    let mut clauses = Vec::new();
    let mut start = 0;
    for end in joints(&text, escape)?.into_iter().chain([text.len()]) {
        clauses.push(clause(&text, start..end, at.start, escape));
        start = (end + 2).min(text.len());
    }
    Some(clauses)
}

/// The text with blanks in the place of comments that stand between its lines.
pub(super) fn blanked(text: &str) -> String {
    let lines = text
        .split_inclusive('\n')
        .enumerate()
        .map(|(number, line)| {
            let end = line.trim_end_matches(['\n', '\r']).len();
            match number > 0 && line.trim_start().starts_with('#') {
                true => " ".repeat(end) + &line[end..],
                false => line.to_owned(),
            }
        });
    lines.collect()
}

/// Where the `&&` are that are in no quotes; none where quotes or parentheses do not end, where a comment ends the command, and where a part
/// of it goes on in the background.
fn joints(text: &str, escape: char) -> Option<Vec<usize>> {
    let bytes = text.as_bytes();
    let (mut joints, mut quote, mut depth, mut at) = (Vec::new(), None, 0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        let (before, after) = (bytes[..at].last(), bytes.get(at + 1));
        let goes_on = |rest| is_continuation(rest, escape);
        match (quote, byte) {
            _ if text.get(at..).is_some_and(goes_on) => {}
            (None | Some(b'"'), b'\\') => at += 1,
            (Some(open), byte) if open == *byte => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"' | b'`') => quote = Some(*byte),
            (None, b'(' | b'{') => depth += 1,
            (None, b')' | b'}') => depth = depth.checked_sub(1)?,
            (None, b'#') if before.is_none_or(u8::is_ascii_whitespace) => return None,
            (None, b'&') if before == Some(&b'&') => joints.extend((depth == 0).then(|| at - 1)),
            (None, b'&') if after == Some(&b'&') => {}
            (None, b'&') if before != Some(&b'>') && after != Some(&b'>') => return None,
            _ => {}
        }
        at += 1;
    }
    (quote.is_none() && depth == 0).then_some(joints)
}

fn clause(text: &str, range: Range<usize>, offset: usize, escape: char) -> Clause {
    let words = words(&text[range.clone()], offset + range.start, escape);
    let start = words
        .first()
        .map_or(offset + range.start, |(_, of)| of.start);
    let end = words.last().map_or(start, |(_, of)| of.end);
    let at = start..end;
    Clause { at, words }
}

/// The words of a text that stands at `start`, with their places.
fn words(text: &str, start: usize, escape: char) -> Vec<(String, Range<usize>)> {
    let mut words: Vec<(String, Range<usize>)> = Vec::new();
    let mut is_in_word = false;
    for (at, character) in text.char_indices() {
        let is_blank = character.is_whitespace() || is_continuation(&text[at..], escape);
        let place = start + at..start + at + character.len_utf8();
        match words.last_mut() {
            _ if is_blank => {}
            Some((word, of)) if is_in_word => {
                word.push(character);
                of.end = place.end;
            }
            _ => words.push((character.to_string(), place)),
        }
        is_in_word = !is_blank;
    }
    words
}

/// Whether an escape character ends its line.
fn is_continuation(text: &str, escape: char) -> bool {
    let rest = text.strip_prefix(escape);
    rest.is_some_and(|rest| rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Option<Vec<String>> {
        read(source, '\\')
    }

    fn read(source: &str, escape: char) -> Option<Vec<String>> {
        let clauses = clauses(source, 0..source.len(), escape)?;
        let text = |clause: &Clause| source[clause.at.clone()].to_owned();
        for clause in &clauses {
            for (word, at) in clause.words() {
                assert_eq!(*word, source[at.clone()], "{source}");
            }
        }
        Some(clauses.iter().map(text).collect())
    }

    #[test]
    fn commands_are_found_with_their_places() {
        let found =
            texts("apt-get update \\\n  && apt-get install -y \\\n    gcc && echo 'a && b'")
                .unwrap();
        assert_eq!(
            found,
            [
                "apt-get update",
                "apt-get install -y \\\n    gcc",
                "echo 'a && b'"
            ]
        );
        let source = "rm -rf /a \\\n /b && x > y";
        let read = clauses(source, 0..source.len(), '\\').unwrap();
        assert_eq!(read[0].texts(), ["rm", "-rf", "/a", "/b"]);
        assert!(read[1].words().is_empty());
    }

    #[test]
    fn what_is_no_list_of_commands_is_left_alone() {
        for text in [
            "a; b", "a || b", "if x", "(a && b", "a # && b", "a & b", "echo 'a",
        ] {
            assert_eq!(texts(text), None, "{text}");
        }
    }

    #[test]
    fn quotes_comments_and_continuations_are_no_commands() {
        let found = |text: &str| texts(text).unwrap();
        assert_eq!(found("a \"\\\" && b\" && c").len(), 2);
        assert_eq!(found("a \\\n# if; x || y\n  && b"), ["a", "b"]);
        assert_eq!(found("a > b 2>&1 && (c && d)").len(), 2);
        let windows = read("a `\n  b && `\n  c", '`').unwrap();
        assert_eq!(windows, ["a `\n  b", "c"]);
        let plain = clauses("a `\n  b", 0..7, '`').unwrap();
        assert_eq!(plain[0].texts(), ["a", "b"]);
    }
}
