//! Heredocs: the words that open them (`<<EOF`, `3<<-"EOF"`) and their bodies' tabs. Unaware of instructions.

use nom::bytes::complete::tag;
use nom::character::complete::{char, digit0};
use nom::combinator::opt;
use nom::sequence::separated_pair;
use nom::{IResult, Parser};

use crate::source::Span;
use crate::words::{self, NoVariables, Quotes, Style, WordError};

/// A heredoc with its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiter, quotes removed.
    pub name: String,
    /// The number before `<<`, 0 if there is none.
    pub fd: u64,
    /// Whether variables are expanded in the body: no part of the delimiter was quoted.
    pub expand: bool,
    /// `<<-`: leading tabs of the body's lines are dropped.
    pub strip_tabs: bool,
    /// The body as written, with tabs and line endings.
    pub content: String,
    /// The bytes of the body in the source.
    pub span: Span,
}

impl Heredoc {
    /// The body without the tabs that `<<-` drops.
    pub fn text(&self) -> String {
        if !self.strip_tabs {
            return self.content.clone();
        }
        let lines = self.content.split_inclusive('\n');
        lines.map(|line| line.trim_start_matches('\t')).collect()
    }
}

/// The openings of heredocs in a logical line, without bodies.
pub(crate) fn find(line: &str) -> Result<Vec<Heredoc>, WordError> {
    let style = Style {
        quotes: Quotes::Raw,
        keep_unset: true,
        ..Style::new('\\')
    };
    // A line that is no sequence of shell words has no heredocs; the shell will complain.
    let words = words::expand_words(line, style, &NoVariables);
    let (words, _) = words.unwrap_or_default();
    let openings = words.iter().map(|word| opening(word));
    openings.filter_map(Result::transpose).collect()
}

/// Reads a word that may open a heredoc.
pub(crate) fn opening(word: &str) -> Result<Option<Heredoc>, WordError> {
    let Ok((delimiter, (fd, dash))) = operator(word) else {
        return Ok(None);
    };
    let delimiter = delimiter.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
    if delimiter.is_empty() || delimiter.contains('<') {
        return Ok(None);
    }
    let style = Style {
        keep_unset: true,
        ..Style::new('\\')
    };
    let keep = Style {
        quotes: Quotes::Keep,
        ..style
    };
    let (mut bare, _) = words::expand_words(delimiter, style, &NoVariables)?;
    let (quoted, _) = words::expand_words(delimiter, keep, &NoVariables)?;
    if bare.len() != 1 {
        return Ok(None);
    }
    let name = bare.swap_remove(0);
    let quotes = |text: &String| text.matches(['\'', '"']).count();
    Ok(Some(Heredoc {
        expand: quoted.first().map(quotes) == Some(quotes(&name)),
        name,
        fd: match fd {
            "" => 0,
            fd => fd.parse().unwrap_or(u64::MAX),
        },
        strip_tabs: dash.is_some(),
        content: String::new(),
        span: Span::default(),
    }))
}

/// `fd<<-`
fn operator(input: &str) -> IResult<&str, (&str, Option<char>)> {
    separated_pair(digit0, tag("<<"), opt(char('-'))).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(line: &str) -> Vec<(String, u64, bool, bool)> {
        let found = find(line).unwrap().into_iter();
        found
            .map(|doc| (doc.name, doc.fd, doc.expand, doc.strip_tabs))
            .collect()
    }

    fn name(name: &str, fd: u64, expand: bool, strip_tabs: bool) -> (String, u64, bool, bool) {
        (name.to_owned(), fd, expand, strip_tabs)
    }

    #[test]
    fn openings() {
        assert_eq!(
            names("RUN cat <<A 3<<-'B' <<\"C\"D"),
            [
                name("A", 0, true, false),
                name("B", 3, false, true),
                name("CD", 0, false, false),
            ]
        );
        assert_eq!(names("RUN <<  $X"), [name("$X", 0, true, false)]);
        assert_eq!(names("RUN a<<A '<<B' <<<C << <<"), []);
        assert_eq!(names("RUN 'open <<A"), []);
        assert_eq!(names("RUN 99999999999999999999999<<A")[0].1, u64::MAX);
    }

    #[test]
    fn tabs_are_stripped_from_each_line() {
        let mut doc = opening("<<-E").unwrap().unwrap();
        doc.content = "\t\ta\n\t\n b\tc\r\n".to_owned();
        assert_eq!(doc.text(), "a\n\n b\tc\r\n");
        doc.strip_tabs = false;
        assert_eq!(doc.text(), doc.content);
    }
}
