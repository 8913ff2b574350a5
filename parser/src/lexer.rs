//! Source text to logical lines: directives, comments, continuations, heredoc bodies. Unaware of instructions: the reader of a line asks for
//! the heredoc bodies that follow it.

mod directive;
mod text;

use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::source::Span;
use crate::steps;

pub use directive::Directive;
pub(crate) use directive::{declared, setting};
pub(crate) use text::Text;

/// Lines with continuations joined.
#[derive(Debug)]
pub(crate) struct LogicalLine<'s> {
    /// Without comments, continuation characters and leading blanks of its first line.
    pub text: Text<'s>,
    /// 1-based.
    pub first: u32,
    /// 1-based; grows with each heredoc.
    pub last: u32,
    /// From its first character to the end of its last line, without line ending.
    pub span: Span,
    /// Comment lines directly above, without `#`.
    pub comments: Vec<&'s str>,
    /// The first empty line inside it.
    pub empty_continuation: Option<EmptyContinuation>,
}

/// An empty line inside a logical one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmptyContinuation {
    /// The first of them.
    pub span: Span,
    /// 1-based last line of the logical line, without heredocs.
    pub last: u32,
}

/// A cursor over the source.
#[derive(Debug)]
pub(crate) struct Lexer<'s> {
    source: &'s str,
    at: usize,
    /// Lines read so far.
    line: u32,
    comments: Vec<&'s str>,
    reader: directive::Reader,
}

/// A physical line: its text without line ending, where it starts, and its text with it.
#[derive(Clone, Copy)]
struct Physical<'s> {
    text: &'s str,
    start: usize,
    raw: &'s str,
}

impl<'s> Lexer<'s> {
    pub(crate) fn new(source: &'s str) -> Self {
        let mark = source.len() - source.trim_start_matches('\u{feff}').len();
        Lexer {
            source,
            at: mark.min('\u{feff}'.len_utf8()),
            line: 0,
            comments: Vec::new(),
            reader: directive::Reader::default(),
        }
    }

    /// The escape character in force.
    pub(crate) fn escape(&self) -> char {
        self.reader.escape
    }

    /// Lines read so far.
    pub(crate) fn lines(&self) -> u32 {
        self.line
    }

    /// The next logical line; None at the end. An error is a bad directive.
    pub(crate) fn next_line(&mut self) -> Result<Option<LogicalLine<'s>>, Diagnostic> {
        while let Some(line) = self.physical() {
            let text = line.text.trim_start();
            if let Some(comment) = text.strip_prefix('#') {
                self.comment(comment, line)?;
                continue;
            }
            self.reader.finish();
            let start = line.start + (line.text.len() - text.len());
            match self.continued(text) {
                None if text.is_empty() => {}
                None => return Ok(Some(self.logical(Text::whole(text, start), None))),
                Some(head) => return Ok(Some(self.continuation(head, start))),
            }
        }
        Ok(None)
    }

    /// The body of a heredoc, with its offset, up to its terminator, which is skipped. None if there is no terminator.
    pub(crate) fn heredoc(&mut self, name: &str, strip_tabs: bool) -> Option<(usize, &'s str)> {
        let start = self.at;
        while let Some(line) = self.physical() {
            let text = if strip_tabs {
                line.text.trim_start_matches('\t')
            } else {
                line.text
            };
            if text == name {
                return Some((start, &self.source[start..line.start]));
            }
        }
        None
    }

    /// The offset of the end of the last line that was read, without the line ending.
    pub(crate) fn end(&self) -> usize {
        let end = self.source[..self.at].trim_end_matches(['\r', '\n']).len();
        steps::look_at(self.at - end);
        end
    }

    fn physical(&mut self) -> Option<Physical<'s>> {
        let rest = &self.source[self.at..];
        if rest.is_empty() {
            return None;
        }
        let raw = rest.find('\n').map_or(rest, |end| &rest[..=end]);
        let start = self.at;
        steps::look_at(raw.len());
        self.at += raw.len();
        self.line = self.line.saturating_add(1);
        Some(Physical {
            text: raw.trim_end_matches(['\r', '\n']),
            start,
            raw,
        })
    }

    fn comment(&mut self, comment: &'s str, line: Physical<'s>) -> Result<(), Diagnostic> {
        let span = Span::new(line.start, line.start + line.text.len());
        match self.reader.read(line.text.trim_start()) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(why) => return Err(Diagnostic::error(code::DIRECTIVE, Phase::Syntax, span, why)),
        }
        match comment.trim() {
            "" => self.comments.clear(),
            comment => self.comments.push(comment),
        }
        Ok(())
    }

    fn logical(&mut self, text: Text<'s>, empty: Option<Span>) -> LogicalLine<'s> {
        let last = self.line;
        LogicalLine {
            span: Span::new(text.offset(0), self.end().max(text.offset(0))),
            text,
            first: self.line,
            last: self.line,
            comments: std::mem::take(&mut self.comments),
            empty_continuation: empty.map(|span| EmptyContinuation { span, last }),
        }
    }

    fn continuation(&mut self, head: &'s str, start: usize) -> LogicalLine<'s> {
        let first = self.line;
        let mut text = Text::whole(head, start);
        let mut empty = None;
        while let Some(line) = self.physical() {
            let trimmed = line.text.trim_start();
            if trimmed.starts_with('#') {
                continue;
            }
            if trimmed.is_empty() {
                empty.get_or_insert(Span::new(line.start, line.start + line.raw.len()));
                continue;
            }
            let more = self.continued(line.text);
            text.append(more.unwrap_or(line.text), line.start);
            if more.is_none() {
                break;
            }
        }
        LogicalLine {
            first,
            ..self.logical(text, empty)
        }
    }

    /// The text before the continuation character, if the line is continued: an escape that only blanks follow and no other escape
    /// precedes.
    fn continued(&self, line: &'s str) -> Option<&'s str> {
        let escape = self.reader.escape;
        let head = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
        (!head.ends_with(escape)).then_some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(source: &str) -> Vec<(String, u32, u32)> {
        let mut lexer = Lexer::new(source);
        let mut lines = Vec::new();
        while let Some(line) = lexer.next_line().unwrap() {
            lines.push((line.text.as_str().to_owned(), line.first, line.last));
        }
        lines
    }

    fn line(text: &str, first: u32, last: u32) -> (String, u32, u32) {
        (text.to_owned(), first, last)
    }

    #[test]
    fn comments_and_empty_lines_vanish_inside_and_outside() {
        let source = "\n # c\n  FROM x\nRUN a \\\n# c\n\n  b\nRUN c";
        assert_eq!(
            lines(source),
            [
                line("FROM x", 3, 3),
                line("RUN a   b", 4, 7),
                line("RUN c", 8, 8)
            ]
        );
    }

    #[test]
    fn continuations() {
        assert_eq!(lines("a\\ \t\nb"), [line("ab", 1, 2)]);
        assert_eq!(lines("a\\\\\nb"), [line("a\\\\", 1, 1), line("b", 2, 2)]);
        assert_eq!(lines("\\\nb"), [line("b", 1, 2)]);
        assert_eq!(lines("a \\"), [line("a ", 1, 1)]);
        assert_eq!(lines("a \\\r\n b\r\n"), [line("a  b", 1, 2)]);
        assert_eq!(
            lines("# escape=`\na `\nb\\\nc"),
            [line("a b\\", 2, 3), line("c", 4, 4)]
        );
    }

    #[test]
    fn spans_lead_back_to_the_source() {
        let source = "\u{feff}RUN a \\\n#c\n  bc \\\n d";
        let mut lexer = Lexer::new(source);
        let line = lexer.next_line().unwrap().unwrap();
        assert_eq!(line.text.as_str(), "RUN a   bc  d");
        let at = line.text.as_str().find("bc").unwrap();
        let span = line.text.span(at..at + 2);
        assert_eq!(&source[span.range()], "bc");
        assert_eq!(&source[line.span.range()], &source[3..]);
    }

    #[test]
    fn heredoc_bodies_keep_their_carriage_returns() {
        let mut lexer = Lexer::new("x\n\ta\r\n\tE\r\ny\nE\nz");
        lexer.next_line().unwrap();
        assert_eq!(lexer.heredoc("E", true), Some((2, "\ta\r\n")));
        assert_eq!(lexer.heredoc("E", false), Some((10, "y\n")));
        assert_eq!(lexer.heredoc("E", false), None);
    }
}
