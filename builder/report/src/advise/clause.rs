//! The commands of a RUN that are joined by `&&`, with their places in the Dockerfile. Only what is plain is understood: a command with
//! quotes, variables, pipes or redirections is known to be there and nothing more. Unaware of what commands do.

use std::ops::Range;

/// One command between `&&`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Its bytes in the Dockerfile, without blanks around it.
    pub at: Range<usize>,
    /// Its words with their places; none where it is not plain.
    pub words: Vec<(String, Range<usize>)>,
}

impl Clause {
    /// The words alone.
    pub fn texts(&self) -> Vec<&str> {
        self.words.iter().map(|(text, _)| text.as_str()).collect()
    }
}

/// What makes a command more than words.
const SHELL: &[char] = &[
    '\'', '"', '`', '$', '|', '>', '<', ';', '(', ')', '{', '}', '&', '!', '#',
];

/// The clauses of a command that stands at `at` of `source`; `escape` ends lines that go on. None where the command is more than a
/// list of `&&`: then nothing can be said of when a part of it runs.
pub fn clauses(source: &str, at: Range<usize>, escape: char) -> Option<Vec<Clause>> {
    let text = source.get(at.clone())?;
    // a list in another one, a comment between lines, a loop: none is taken apart
    let is_list = !text.contains("||") && !text.contains(';') && !has_comment(text);
    let words = ["if ", "for ", "while ", "case ", "until "];
    if !is_list || words.iter().any(|word| text.trim_start().starts_with(word)) {
        return None;
    }
    let mut clauses = Vec::new();
    let mut start = 0;
    for end in joints(text)?.into_iter().chain([text.len()]) {
        clauses.push(clause(text, start..end, at.start, escape));
        start = (end + 2).min(text.len());
    }
    Some(clauses)
}

fn has_comment(text: &str) -> bool {
    let mut lines = text.lines().skip(1);
    lines.any(|line| line.trim_start().starts_with('#'))
}

/// Where the `&&` are that are in no quotes; none where quotes or parentheses do not end.
fn joints(text: &str) -> Option<Vec<usize>> {
    let bytes = text.as_bytes();
    let (mut joints, mut quote, mut depth, mut at) = (Vec::new(), None, 0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(open), byte) if open == *byte => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"' | b'`') => quote = Some(*byte),
            (None, b'(' | b'{') => depth += 1,
            (None, b')' | b'}') => depth = depth.checked_sub(1)?,
            (None, b'&') if depth == 0 && bytes.get(at + 1) == Some(&b'&') => {
                joints.push(at);
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    (quote.is_none() && depth == 0).then_some(joints)
}

fn clause(text: &str, range: Range<usize>, offset: usize, escape: char) -> Clause {
    let part = &text[range.clone()];
    let words = words(part, offset + range.start, escape);
    let start = words
        .first()
        .map_or(offset + range.start, |(_, of)| of.start);
    let end = words.last().map_or(start, |(_, of)| of.end);
    let is_plain = !part.contains(SHELL);
    Clause {
        at: start..end,
        words: if is_plain { words } else { Vec::new() },
    }
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
        let clauses = clauses(source, 0..source.len(), '\\')?;
        let text = |clause: &Clause| source[clause.at.clone()].to_owned();
        for clause in &clauses {
            for (word, at) in &clause.words {
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
        assert!(read[1].words.is_empty());
    }

    #[test]
    fn what_is_no_list_of_commands_is_left_alone() {
        for text in [
            "a; b",
            "a || b",
            "if x",
            "(a && b",
            "a \\\n# c\n && b",
            "echo 'a",
        ] {
            assert_eq!(texts(text), None, "{text}");
        }
    }
}
