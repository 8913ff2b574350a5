//! Findings in a Dockerfile with the line, a caret and a way out, drawn by annotate-snippets. Unaware of how they were found.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use kiln_parser::diagnostic::{Diagnostic, Severity};
use kiln_parser::redact;
use kiln_parser::source::Span;
use std::ops::Range;

/// Bytes of a long instruction that are marked.
const LONGEST_CARET: usize = 100;
/// No instruction has longer lines: it is shown as it is, and the terminal wraps it.
const WIDEST: usize = kiln_parser::MAX_SOURCE;

/// A Dockerfile of which parts are shown.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

impl Source<'_> {
    /// The line, from 1, of a place in the text.
    pub fn line(&self, at: usize) -> u32 {
        let before = self.text.as_bytes().iter().take(at);
        let ends = before.filter(|byte| **byte == b'\n').count();
        u32::try_from(ends + 1).unwrap_or(u32::MAX)
    }
}

/// All findings, as text.
pub fn render(source: Source<'_>, diagnostics: &[Diagnostic], color: bool) -> String {
    let texts: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| render_one(source, diagnostic, color))
        .collect();
    texts.join("\n\n")
}

fn render_one(source: Source<'_>, diagnostic: &Diagnostic, color: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let help: Vec<String> = diagnostic.help.iter().cloned().collect();
    let snippet = snippet(source, diagnostic.span, &diagnostic.label);
    draw(
        snippet,
        level
            .primary_title(diagnostic.message.as_str())
            .id(diagnostic.code),
        &help,
        renderer(color),
    )
}

/// A place of the Dockerfile, with what is said of it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub source: Source<'a>,
    pub span: Span,
    /// Stands beside the caret.
    pub label: &'a str,
    /// Stands below.
    pub help: &'a [String],
}

impl<'a> Place<'a> {
    /// A place of which nothing is said but the message.
    pub fn new(source: Source<'a>, span: Span) -> Self {
        Place {
            source,
            span,
            label: "",
            help: &[],
        }
    }

    /// The whole instruction, shown with a message of another origin than the parser: a failed step, a missing image.
    pub fn point(self, message: &str, color: bool) -> String {
        let Place { source, span, .. } = self;
        let whole = within(source, span);
        let end = whole.end.min(whole.start + LONGEST_CARET);
        let end = source.text.floor_char_boundary(end);
        let snippet = snippet(source, Span::new(span.start(), end), self.label);
        let snippet = snippet.annotation(AnnotationKind::Visible.span(whole));
        let title = Level::ERROR.primary_title(message);
        draw(
            snippet,
            title,
            self.help,
            renderer(color).term_width(WIDEST),
        )
    }
}

/// A span may be of a text that was longer.
fn within(source: Source<'_>, span: Span) -> Range<usize> {
    let end = span.end().min(source.text.len());
    span.start().min(end)..end
}

/// A caret under one line: what has several is marked by its first one.
fn snippet<'a>(source: Source<'a>, span: Span, label: &'a str) -> Snippet<'a, Annotation<'a>> {
    let Range { start, end } = within(source, span);
    let first_line_end = source.text[start..end]
        .find('\n')
        .map_or(end, |at| start + at);
    let annotation = AnnotationKind::Primary.span(start..first_line_end);
    let annotation = if label.is_empty() {
        annotation
    } else {
        annotation.label(label)
    };
    // the terminal, and who is sent its text, need not see passwords in addresses
    Snippet::source(redact::masked(source.text))
        .path(source.name)
        .annotation(annotation)
}

fn draw<'a>(
    snippet: Snippet<'a, Annotation<'a>>,
    title: annotate_snippets::Title<'a>,
    help: &'a [String],
    renderer: Renderer,
) -> String {
    let mut group: Group<'_> = title.element(snippet);
    for help in help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

fn renderer(color: bool) -> Renderer {
    if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    }
}
