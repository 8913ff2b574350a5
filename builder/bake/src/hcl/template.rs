//! Templates: text with expressions in it, of which markers (`~`) cut blanks beside them. Unaware of where they stand.

use super::expression::{ForPart, IfPart, Part};
use super::flush::flush;
use super::native::{Reader, names};
use hcl_edit::Span;
use hcl_edit::template::{Directive, Element, HeredocTemplate, IfDirective, Strip, Template};

/// The parts of a heredoc, `<<` or `<<-`, from the text as it is written: hcl-edit takes blanks away before markers do.
pub(super) fn heredoc(reader: &Reader<'_>, read: &HeredocTemplate) -> Vec<Part> {
    let mut parts = inner((reader, true), &read.template, [false, false]);
    let written = reader.written(read.span());
    if written.is_some_and(|written| written.starts_with("<<-")) {
        flush(&mut parts);
    }
    parts
}

/// The parts of a template. One that has lines (`by_lines`, not a string in quotes) loses blanks of the same line only, with the line's end.
pub(super) fn parts(reader: &Reader<'_>, template: &Template, by_lines: bool) -> Vec<Part> {
    inner((reader, by_lines), template, [false, false])
}

/// What makes expressions, and whether the template has lines.
type Within<'a> = (&'a Reader<'a>, bool);

/// The parts between two markers, of which either may cut blanks.
fn inner(within: Within<'_>, template: &Template, cuts: [bool; 2]) -> Vec<Part> {
    let (reader, by_lines) = within;
    let elements: Vec<&Element> = template.iter().collect();
    let mut parts = Vec::new();
    for (at, element) in elements.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| elements.get(at));
        let cut_start = before.map_or(cuts[0], |before| strips(before)[1]);
        let cut_end = elements
            .get(at + 1)
            .map_or(cuts[1], |after| strips(after)[0]);
        match element {
            Element::Literal(text) => {
                let written = reader.written(text.span()).filter(|_| by_lines);
                let written = written.map(|text| text.replace("$${", "${").replace("%%{", "%{"));
                let text = written.as_deref().unwrap_or(text);
                parts.push(Part::Text(cut(text, cut_start, cut_end, by_lines)))
            }
            Element::Interpolation(read) => {
                parts.push(Part::Interpolation(reader.expression(&read.expr)));
            }
            Element::Directive(directive) => parts.push(directed(within, directive)),
        }
    }
    parts
}

fn cut(text: &str, start: bool, end: bool, by_lines: bool) -> String {
    let first = text.find('\n').filter(|_| by_lines);
    let first = first.map_or(text.len(), |end| end + 1);
    let (line, rest) = text.split_at(if start { first } else { 0 });
    let text = [line.trim_start(), rest].concat();
    // a line that has its end is the last one too
    let last = text.strip_suffix('\n').unwrap_or(&text).rfind('\n');
    let last = last.filter(|_| by_lines).map_or(0, |end| end + 1);
    let (rest, line) = text.split_at(if end { last } else { text.len() });
    [rest, line.trim_end()].concat()
}

/// Whether an element cuts what stands before it and what stands after it.
fn strips(element: &Element) -> [bool; 2] {
    match element {
        Element::Literal(_) => [false, false],
        Element::Interpolation(read) => of(read.strip),
        Element::Directive(directive) => match &**directive {
            Directive::If(read) => [of(read.if_expr.strip)[0], of(read.endif_expr.strip)[1]],
            Directive::For(read) => [of(read.for_expr.strip)[0], of(read.endfor_expr.strip)[1]],
        },
    }
}

fn of(strip: Strip) -> [bool; 2] {
    [strip.strip_start(), strip.strip_end()]
}

fn directed(within: Within<'_>, directive: &Directive) -> Part {
    match directive {
        Directive::If(read) => Part::If(Box::new(conditional(within, read))),
        Directive::For(read) => {
            let (intro, end) = (&read.for_expr, of(read.endfor_expr.strip)[0]);
            let cuts = [of(intro.strip)[1], end];
            Part::For(Box::new(ForPart {
                names: names(intro.key_var.as_ref(), &intro.value_var),
                collection: within.0.expression(&intro.collection_expr),
                parts: inner(within, &intro.template, cuts),
            }))
        }
    }
}

fn conditional(within: Within<'_>, read: &IfDirective) -> IfPart {
    let (first, last) = (of(read.if_expr.strip)[1], of(read.endif_expr.strip)[0]);
    let middle = read.else_expr.as_ref().map(|other| of(other.strip));
    let then_end = middle.map_or(last, |middle| middle[0]);
    let otherwise = read.else_expr.as_ref().zip(middle);
    IfPart {
        condition: within.0.expression(&read.if_expr.cond_expr),
        then: inner(within, &read.if_expr.template, [first, then_end]),
        otherwise: otherwise.map_or_else(Vec::new, |(other, middle)| {
            inner(within, &other.template, [middle[1], last])
        }),
    }
}
