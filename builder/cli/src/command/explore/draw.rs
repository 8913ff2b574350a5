//! `kiln explore` on a screen: each state looks one way. Unaware of keys and of what a terminal is.

mod details;
mod files;
mod help;
mod layers;
mod style;

use super::browser::{Browser, List, Order, Prompt, Purpose};
use super::keys::Pane;
use super::layout::Parts;
use crate::sheet::plain;
use crate::units::{bytes, percent};
use kiln_report::classify::Class;
use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph};
pub use style::Theme;

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, browser: &Browser, theme: Theme) {
    let parts = Parts::of(frame.area(), browser.pane);
    title(frame, parts.title, browser, theme);
    layers::draw(frame, parts.layers, browser, theme);
    details::layer(frame, parts.layer, browser, theme);
    details::path(frame, parts.path, browser, theme);
    files::draw(frame, parts.files, browser, theme);
    footer(frame, parts.footer, browser, theme);
    if browser.shows_help {
        help::draw(frame, theme);
    }
}

fn title(frame: &mut Frame<'_>, area: Rect, browser: &Browser, theme: Theme) {
    let total = browser.subject.classified.total();
    let figures = format!(
        "{}  {} live  {} wasted ",
        bytes(total.total()),
        percent(total.get(Class::Live), total.total()),
        bytes(total.waste())
    );
    let room = usize::from(area.width).saturating_sub(figures.len() + 1);
    let name = style::cut(&format!(" {}", browser.subject.name), room);
    frame.render_widget(Paragraph::new(name).style(theme.title()), area);
    let width = (figures.len() as u16).min(area.width);
    let right = Rect {
        x: area.right() - width,
        width,
        ..area
    };
    frame.render_widget(Paragraph::new(figures).style(theme.title()), right);
}

/// The line that is being written, else the keys that matter most.
fn footer(frame: &mut Frame<'_>, area: Rect, browser: &Browser, theme: Theme) {
    let line = match &browser.prompt {
        Some(prompt) => written(prompt, theme),
        None => keys(browser, theme),
    };
    frame.render_widget(line, area);
}

fn written(prompt: &Prompt, theme: Theme) -> Line<'static> {
    let (label, about) = match prompt.purpose {
        Purpose::Filter => (
            " Filter: ",
            "  a part of the path, or a pattern such as *.so",
        ),
        Purpose::Search => (" Search: ", "  a part of the name"),
    };
    let about = if prompt.text.is_empty() { about } else { "" };
    Line::from(vec![
        Span::styled(label, theme.strong()),
        Span::raw(plain(&prompt.text)),
        Span::styled(" ", theme.cursor()),
        Span::styled(about, theme.soft()),
    ])
}

fn keys(browser: &Browser, theme: Theme) -> Line<'static> {
    let order = match browser.files.order {
        Order::Size => "sort: size",
        Order::Waste => "sort: waste",
        Order::Name => "sort: name",
    };
    let class = browser.files.class.map_or("all", Class::name);
    let keys = [
        ("Tab", "switch".to_owned()),
        ("^F", "filter".to_owned()),
        ("/", "search".to_owned()),
        ("s", order.to_owned()),
        ("c", format!("class: {class}")),
        ("?", "keys".to_owned()),
        ("q", "quit".to_owned()),
    ];
    let spans = keys.into_iter().flat_map(|(key, what)| {
        let key = Span::styled(format!(" {key} "), theme.strong());
        [key, Span::styled(what, theme.soft())]
    });
    spans.collect()
}

/// A border with a title; that of the list that has the keys stands out.
fn framed<'a>(title: String, area: Rect, has_keys: bool, theme: Theme) -> Block<'a> {
    let room = usize::from(area.width).saturating_sub(4);
    let title = format!(" {} ", style::cut(&title, room));
    let title = Span::styled(title, theme.heading(has_keys));
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.border(has_keys))
        .title(title)
}

/// Where a list stands, for its lower border.
fn position<'a>(list: &List, theme: Theme) -> Line<'a> {
    let text = match list.count {
        0 => String::new(),
        count => format!(" {}/{count} ", list.selected + 1),
    };
    Line::styled(text, theme.soft()).alignment(Alignment::Right)
}

/// The style of a row of a list.
fn row_style(is_selected: bool, has_keys: bool, theme: Theme) -> ratatui::style::Style {
    match (is_selected, has_keys) {
        (true, true) => theme.selected(),
        (true, false) => theme.chosen(),
        (false, _) => ratatui::style::Style::new(),
    }
}

/// Whether a list has the keys.
fn has_keys(browser: &Browser, pane: Pane) -> bool {
    browser.pane == pane && !browser.shows_help
}

#[cfg(test)]
mod tests;
