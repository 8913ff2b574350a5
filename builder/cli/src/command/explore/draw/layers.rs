//! The list of layers: size, classes, line and instruction of each.

use super::super::browser::Browser;
use super::super::keys::Pane;
use super::style::{Theme, cut};
use super::{framed, has_keys, position, row_style};
use crate::units::bytes;
use kiln_report::classify::Classes;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Cells of a bar.
const BAR: usize = 5;

/// Draws it.
pub fn draw(frame: &mut Frame<'_>, area: Rect, browser: &Browser, theme: Theme) {
    let keys = has_keys(browser, Pane::Layers);
    let title = match (browser.layers.with_lower, browser.layers.without_base) {
        (false, false) => "Layers",
        (true, false) => "Layers, with those below",
        (false, true) => "Layers, without the base",
        (true, true) => "Layers, with those below but the base",
    };
    let block = framed(title.to_owned(), area, keys, theme);
    let block = block.title_bottom(position(&browser.layers.list, theme));
    let width = usize::from(block.inner(area).width);
    let list = &browser.layers.list;
    let lines = list.sight().map(|row| {
        let line = line(browser, row, width, theme);
        line.style(row_style(row == list.selected, keys, theme))
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block), area);
}

fn line(browser: &Browser, row: usize, width: usize, theme: Theme) -> Line<'static> {
    let subject = &browser.subject;
    let Some(at) = row.checked_sub(1) else {
        let classes = &subject.classified.total();
        return cells("all", classes, "", "all layers", (width, theme));
    };
    let made = &subject.made[at];
    let place = match (&made.place, subject.image.is_of_base(at)) {
        (_, true) => "base".to_owned(),
        (Some((_, line)), false) => format!(":{line}"),
        (None, false) => String::new(),
    };
    let classes = &subject.classified.layers[at].classes;
    let number = (at + 1).to_string();
    cells(&number, classes, &place, &made.text, (width, theme))
}

fn cells(
    number: &str,
    classes: &Classes,
    place: &str,
    text: &str,
    (width, theme): (usize, Theme),
) -> Line<'static> {
    let mut spans = vec![Span::raw(format!(
        "{number:>3} {:>7} ",
        bytes(classes.total())
    ))];
    spans.extend(theme.bar(classes, BAR));
    spans.push(Span::styled(format!(" {place:<4} "), theme.soft()));
    let used: usize = spans.iter().map(Span::width).sum();
    let room = width.saturating_sub(used);
    spans.push(Span::raw(format!("{:<room$}", cut(text, room))));
    Line::from(spans)
}
