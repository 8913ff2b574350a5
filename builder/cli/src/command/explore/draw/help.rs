//! All keys, above everything else.

use super::super::keys::{BINDINGS, Pane};
use super::framed;
use super::style::Theme;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

/// Columns of the help, and of each half of it.
const WIDTH: u16 = 78;
const HALF: u16 = 38;

/// Draws them.
pub fn draw(frame: &mut Frame<'_>, theme: Theme) {
    let both = lines(None, theme);
    let mut own = vec![Line::styled("In the list of layers", theme.heading(false))];
    own.extend(lines(Some(Pane::Layers), theme));
    own.push(Line::default());
    own.push(Line::styled("In the tree of files", theme.heading(false)));
    own.extend(lines(Some(Pane::Files), theme));
    let area = frame.area();
    let rows = both.len().max(own.len()) as u16 + 2;
    let (width, height) = (WIDTH.min(area.width), rows.min(area.height));
    let area = area.centered(Constraint::Length(width), Constraint::Length(height));
    let block = framed("Keys".to_owned(), area, true, theme);
    let inner = block.inner(area);
    frame.render_widget(Clear, area);
    frame.render_widget(block, area);
    let left = HALF.min(inner.width);
    let column = |x, width| Rect { x, width, ..inner };
    frame.render_widget(Paragraph::new(both), column(inner.x, left));
    let rest = column(inner.x + left, inner.width - left);
    frame.render_widget(Paragraph::new(own), rest);
}

fn lines(pane: Option<Pane>, theme: Theme) -> Vec<Line<'static>> {
    let own = BINDINGS.iter().filter(|binding| binding.pane == pane);
    let told = own.filter(|binding| !binding.what.is_empty());
    let line = told.map(|binding| {
        let name = Span::styled(format!(" {:<14}", binding.name), theme.strong());
        Line::from(vec![name, Span::raw(binding.what)])
    });
    line.collect()
}
