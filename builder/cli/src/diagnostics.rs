//! Findings in a Dockerfile with the line, a caret and a way out, drawn by annotate-snippets. Unaware of how they were found.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use kiln_parser::diagnostic::{Diagnostic, Severity};
use kiln_parser::source::Span;

/// A Dockerfile of which parts are shown.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
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
    draw(
        source,
        level
            .primary_title(diagnostic.message.as_str())
            .id(diagnostic.code),
        diagnostic.span,
        &diagnostic.label,
        &help,
        color,
    )
}

/// A place in the Dockerfile with a message of another origin: a failed step, a missing image.
pub fn point(
    source: Source<'_>,
    message: &str,
    span: Span,
    label: &str,
    help: &[String],
    color: bool,
) -> String {
    draw(
        source,
        Level::ERROR.primary_title(message),
        span,
        label,
        help,
        color,
    )
}

fn draw<'a>(
    source: Source<'a>,
    title: annotate_snippets::Title<'a>,
    span: Span,
    label: &'a str,
    help: &'a [String],
    color: bool,
) -> String {
    let end = span.end.min(source.text.len());
    let start = span.start.min(end);
    // A caret under one line: long instructions are marked by their first line.
    let first_line_end = source.text[start..end]
        .find('\n')
        .map_or(end, |at| start + at);
    let annotation = AnnotationKind::Primary.span(start..first_line_end);
    let annotation = if label.is_empty() {
        annotation
    } else {
        annotation.label(label)
    };
    let snippet = Snippet::source(source.text)
        .path(source.name)
        .annotation(annotation);
    let mut group: Group<'_> = title.element(snippet);
    for help in help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.render(&[group])
}
