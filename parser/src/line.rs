//! One instruction as it is written: name, flags, arguments, heredocs. Unaware of what the name means; the caller says how the arguments
//! of each instruction are split.

mod arguments;
mod head;

use std::sync::Arc;

use compact_str::CompactString;

use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::heredoc::{self, Heredoc};
use crate::lexer::{EmptyContinuation, Lexer, LogicalLine, Text};
use crate::source::Span;

pub(crate) use arguments::Form;

/// How deep triggers nest before reading stops; two levels are already an error.
const MAX_TRIGGER_DEPTH: usize = 8;

/// How the lines of an instruction are split, by its name in any case; none if there is no such instruction.
pub(crate) type Grammar = fn(&str) -> Option<Shape>;

/// How the lines of one instruction are split.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) form: Form,
    /// Whether heredocs may follow.
    pub(crate) heredocs: bool,
}

/// One instruction, split but not understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// What follows the name and the flags.
    pub arguments: Arguments,
    /// The whole line, continuations joined, no heredocs, no blanks around it.
    pub text: CompactString,
    /// From the name to the end of the last line (of the last heredoc).
    pub span: Span,
    /// How many bytes of the text are the name.
    name_length: u32,
    name_span: Span,
    /// 1-based line of the name.
    pub first: u32,
    /// 1-based line of the end, heredocs included.
    pub last: u32,
    /// What few lines have; apart, because a Dockerfile may have a million lines.
    attached: Option<Box<Attached>>,
}

/// What stands with some lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Attached {
    flags: Vec<Word>,
    heredocs: Vec<Heredoc>,
    comments: Vec<String>,
    empty_continuation: Option<EmptyContinuation>,
}

/// A piece of text and its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// The text; flags without their quotes.
    pub text: CompactString,
    /// Its bytes in the source.
    pub span: Span,
}

impl Word {
    pub(crate) fn new(text: impl Into<CompactString>, span: Span) -> Self {
        let text = text.into();
        Word { text, span }
    }
}

/// The arguments of an instruction, which shares them with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// All others.
    Words {
        /// Strings of the JSON form, words of a list, or one text.
        words: Arc<[Word]>,
        /// Whether they were a JSON array.
        json: bool,
    },
    /// `ENV`, `LABEL`.
    Pairs(Arc<[Pair]>),
    /// `ONBUILD`.
    Trigger(Option<Box<Line>>),
}

impl Attached {
    fn of_flags(flags: Vec<Word>) -> Option<Box<Self>> {
        let with = |flags| Attached {
            flags,
            ..Self::default()
        };
        (!flags.is_empty()).then(|| Box::new(with(flags)))
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Arguments::Words {
            words: Arc::default(),
            json: false,
        }
    }
}

/// `key=value`, quotes and escapes kept, nothing expanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// Before `=`.
    pub key: CompactString,
    /// After it.
    pub value: CompactString,
    /// Written as `key value`.
    pub legacy: bool,
    /// Both.
    pub span: Span,
}

impl Line {
    /// The name as written.
    pub fn name(&self) -> &str {
        let name = self.text.get(..self.name_length as usize);
        name.unwrap_or_default()
    }

    /// The bytes of the name in the source.
    pub fn name_span(&self) -> Span {
        self.name_span
    }

    /// Words that begin with `--`, before the arguments.
    pub fn flags(&self) -> &[Word] {
        self.attached
            .as_ref()
            .map_or(&[], |attached| &attached.flags)
    }

    /// The bodies that follow the line.
    pub fn heredocs(&self) -> &[Heredoc] {
        self.attached
            .as_ref()
            .map_or(&[], |attached| &attached.heredocs)
    }

    /// Comment lines directly above, without `#`.
    pub fn comments(&self) -> &[String] {
        self.attached
            .as_ref()
            .map_or(&[], |attached| &attached.comments)
    }

    /// The first empty line inside it.
    pub fn empty_continuation(&self) -> Option<EmptyContinuation> {
        self.attached.as_ref()?.empty_continuation
    }

    fn attached(&mut self) -> &mut Attached {
        self.attached.get_or_insert_default()
    }

    /// The words of the arguments; none for pairs and triggers.
    pub fn words(&self) -> &[Word] {
        match &self.arguments {
            Arguments::Words { words, .. } => words,
            _ => &[],
        }
    }

    /// The same, for an instruction to keep.
    pub(crate) fn shared_words(&self) -> Arc<[Word]> {
        match &self.arguments {
            Arguments::Words { words, .. } => Arc::clone(words),
            _ => Arc::default(),
        }
    }

    /// Whether the arguments are a JSON array.
    pub fn is_json(&self) -> bool {
        matches!(self.arguments, Arguments::Words { json: true, .. })
    }

    /// The description of a name in the comment above: `# NAME description`. Empty if there is none.
    pub(crate) fn description_of(&self, name: &str) -> String {
        let words = self
            .comments()
            .iter()
            .map(|comment| comment.split_once(' '));
        let own = words.flatten().find(|(first, _)| *first == name);
        own.map_or(String::new(), |(_, description)| description.to_owned())
    }

    /// An error of this line as a whole.
    pub(crate) fn error(&self, code: &'static str, message: impl Into<String>) -> Diagnostic {
        self.error_at(self.head_span(), code, message)
    }

    /// An error of a part of this line.
    pub(crate) fn error_at(
        &self,
        span: Span,
        code: &'static str,
        message: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::error(code, Phase::Semantic, span, message).at_line(self.first)
    }

    /// The line without its heredocs: what errors mark.
    pub(crate) fn head_span(&self) -> Span {
        match self.heredocs().first() {
            Some(doc) if doc.span.start() > self.span.start() => {
                Span::new(self.span.start(), doc.span.start().saturating_sub(1))
            }
            _ => self.span,
        }
    }
}

/// Splits a logical line and reads the heredocs that follow it.
pub(crate) fn read(
    line: LogicalLine<'_>,
    lexer: &mut Lexer<'_>,
    grammar: Grammar,
) -> Result<Line, Diagnostic> {
    let splitter = Splitter {
        text: &line.text,
        escape: lexer.escape(),
        grammar,
    };
    let mut read = splitter.split(line.text.as_str(), 0)?;
    read.span = line.span;
    read.first = line.first;
    read.last = line.last;
    if line.empty_continuation.is_some() || !line.comments.is_empty() {
        let attached = read.attached();
        attached.empty_continuation = line.empty_continuation;
        attached.comments = line.comments.iter().map(|&text| text.to_owned()).collect();
    }
    if holds_heredocs(&read, grammar) && read.text.contains("<<") {
        read_heredocs(&mut read, &line.text, lexer)?;
    }
    Ok(read)
}

struct Splitter<'t> {
    text: &'t Text<'t>,
    escape: char,
    grammar: Grammar,
}

impl Splitter<'_> {
    fn split(&self, part: &str, depth: usize) -> Result<Line, Diagnostic> {
        let (text, part) = (self.text, part.trim());
        let head = head::read(part);
        let flags = head.flags.into_iter();
        let flags = flags.map(|flag| Word::new(flag.text, text.span_of(flag.written)));
        let flags: Vec<Word> = flags.collect();
        Ok(Line {
            name_length: u32::try_from(head.name.len()).unwrap_or(u32::MAX),
            name_span: text.span_of(head.name),
            arguments: match (self.grammar)(head.name).map(|shape| shape.form) {
                Some(Form::Trigger) => Arguments::Trigger(self.trigger(head.rest, depth)?),
                Some(form) => arguments::read(form, text, head.name, head.rest, self.escape)?,
                // As the peers' parsers read an unknown name: one empty argument.
                None => Arguments::Words {
                    words: [Word::default()].into(),
                    json: false,
                },
            },
            text: part.into(),
            span: text.span_of(part),
            attached: Attached::of_flags(flags),
            ..Line::default()
        })
    }

    fn trigger(&self, rest: &str, depth: usize) -> Result<Option<Box<Line>>, Diagnostic> {
        if rest.is_empty() || depth >= MAX_TRIGGER_DEPTH {
            return Ok(None);
        }
        Ok(Some(Box::new(self.split(rest, depth + 1)?)))
    }
}

fn holds_heredocs(line: &Line, grammar: Grammar) -> bool {
    let line = match &line.arguments {
        Arguments::Trigger(Some(trigger)) => trigger,
        _ => line,
    };
    grammar(line.name()).is_some_and(|shape| shape.heredocs) && !line.is_json()
}

fn read_heredocs(
    line: &mut Line,
    text: &Text<'_>,
    lexer: &mut Lexer<'_>,
) -> Result<(), Diagnostic> {
    let error = |message: String| {
        let span = text.span(0..text.as_str().len());
        Diagnostic::error(code::HEREDOC, Phase::Syntax, span, message)
    };
    for mut doc in heredoc::find(text.as_str()).map_err(|why| error(why.to_string()))? {
        let Some((start, body)) = lexer.heredoc(&doc.name, doc.strip_tabs) else {
            let help = format!(
                "end the heredoc with a line that contains only {}",
                doc.name
            );
            return Err(error("unterminated heredoc".to_owned()).with_help(help));
        };
        doc.content = body.to_owned();
        doc.span = Span::new(start, start + body.len());
        line.attached().heredocs.push(doc);
        line.last = lexer.lines();
        line.span = Span::new(line.span.start(), lexer.end());
    }
    Ok(())
}
