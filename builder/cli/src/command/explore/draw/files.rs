//! The tree of files: size, classes, what the layers do to each, and its name.

use super::super::browser::{Browser, Row};
use super::super::keys::Pane;
use super::super::subject::Subject;
use super::style::{Theme, cut, mark};
use super::{framed, has_keys, position, row_style};
use crate::units::bytes;
use kiln_cache::path::display;
use kiln_cache::{Entry, EntryKind};
use kiln_report::difference::kind;
use kiln_report::lifetimes::{Lifetimes, Measure, NodeId};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Columns from which there is room for more.
const WIDE: usize = 70;

/// How the rows are drawn.
#[derive(Clone, Copy)]
struct Look {
    width: usize,
    theme: Theme,
}

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, area: Rect, browser: &Browser, theme: Theme) {
    let keys = has_keys(browser, Pane::Files);
    let list = &browser.files.list;
    let block = framed(title(browser), area, keys, theme).title_bottom(position(list, theme));
    let width = usize::from(block.inner(area).width);
    let look = Look { width, theme };
    let heading = Line::styled(look.heading(browser), theme.soft());
    let rows = list.sight().map(|at| {
        let line = look.line(browser, browser.files.rows[at]);
        line.style(row_style(at == list.selected, keys, theme))
    });
    let lines: Vec<Line<'_>> = std::iter::once(heading).chain(rows).collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn title(browser: &Browser) -> String {
    let scope = browser.layers.scope(&browser.subject);
    let layers = match (scope.from + 1, scope.to + 1) {
        (1, last) if last >= browser.subject.image.layers.len() => "all layers".to_owned(),
        (first, last) if first == last => format!("layer {first}"),
        (first, last) => format!("layers {first} to {last}"),
    };
    let class = browser
        .files
        .class
        .map(|class| format!(", {}", class.name()));
    let pattern = match browser.files.pattern.as_str() {
        "" => String::new(),
        pattern => format!(", {}", crate::sheet::plain(pattern)),
    };
    format!("Files of {layers}{}{pattern}", class.unwrap_or_default())
}

impl Look {
    fn is_wide(self) -> bool {
        self.width >= WIDE
    }

    fn bar(self) -> usize {
        if self.is_wide() { 10 } else { 5 }
    }

    fn heading(self, browser: &Browser) -> String {
        let waste = if self.is_wide() { "   WASTE" } else { "" };
        let attributes = match browser.files.has_attributes {
            true => format!("  {:<15}", "MODE UID:GID"),
            false => String::new(),
        };
        format!(
            "   SIZE{waste} {:<bar$}{attributes}   NAME",
            "CLASS",
            bar = self.bar()
        )
    }

    fn line(self, browser: &Browser, row: Row) -> Line<'static> {
        let (theme, measure) = (self.theme, &browser.files.measures[row.node]);
        let subject = &browser.subject;
        let entry = entry(subject, row.node);
        let mut spans = vec![Span::raw(self.sizes(browser, measure))];
        spans.extend(theme.bar(&measure.classes, self.bar()));
        if browser.files.has_attributes {
            let attributes = entry.map_or_else(String::new, attributes);
            spans.push(Span::styled(format!("  {attributes:<15}"), theme.soft()));
        }
        let depth = row.depth.min(self.width / 4);
        let folded = match row.is_open {
            Some(true) => "▾ ",
            Some(false) => "▸ ",
            None => "  ",
        };
        let style = theme.state(measure.state);
        let mark = mark(measure.state);
        spans.push(Span::styled(
            format!(" {mark}{:1$}{folded}", "", depth * 2),
            style,
        ));
        let used: usize = spans.iter().map(Span::width).sum();
        let room = self.width.saturating_sub(used);
        let name = cut(&name(subject, row.node, entry), room);
        spans.push(Span::styled(format!("{name:<room$}"), style));
        Line::from(spans)
    }

    fn sizes(self, browser: &Browser, measure: &Measure) -> String {
        let size = match (browser.files.bytes(measure), measure.hidden) {
            (0, hidden) if hidden > 0 => format!("-{}", bytes(hidden)),
            (size, _) => bytes(size),
        };
        match (self.is_wide(), measure.classes.waste()) {
            (false, _) => format!("{size:>7} "),
            (true, 0) => format!("{size:>7} {:>7} ", ""),
            (true, waste) => format!("{size:>7} {:>7} ", bytes(waste)),
        }
    }
}

/// What a path was last.
pub fn entry(subject: &Subject, node: NodeId) -> Option<&Entry> {
    let last = subject.paths.node(node).versions.last();
    last.map(|version| Lifetimes::entry(&subject.image.layers, version))
}

fn name(subject: &Subject, node: NodeId, entry: Option<&Entry>) -> String {
    let name = display(&subject.paths.node(node).name);
    match entry.map(|entry| &entry.kind) {
        Some(EntryKind::Symlink { target }) => format!("{name} → {}", display(target)),
        Some(EntryKind::Directory { .. }) | None => format!("{name}/"),
        Some(_) => name,
    }
}

fn attributes(entry: &Entry) -> String {
    let kind = kind(&entry.kind).chars().next().unwrap_or_default();
    let letter = if kind == 'f' { '-' } else { kind };
    format!("{letter}{:04o} {}:{}", entry.mode, entry.uid, entry.gid)
}
