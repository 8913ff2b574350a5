//! What is said of the selected layer and of the selected path: which instruction made the one, and which layers wrote, changed or removed
//! the other.

use super::super::browser::Browser;
use super::framed;
use super::style::{Theme, cut, cut_left, mark};
use crate::units::{bytes, counted};
use kiln_cache::path::display;
use kiln_report::classify::{Class, Classes};
use kiln_report::lifetimes::Touch;
use kiln_report::waste;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

/// Rows of an instruction.
const TEXT: u16 = 2;

/// Draws what is said of the selected layer.
pub fn layer(frame: &mut Frame<'_>, area: Rect, browser: &Browser, theme: Theme) {
    let (title, text, classes) = about(browser);
    let block = framed(title, area, false, theme);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let height = TEXT.min(inner.height);
    // lines end between words
    let text = cut(&text, usize::from(inner.width * height).saturating_sub(8));
    let text = Paragraph::new(text).wrap(Wrap { trim: true });
    frame.render_widget(text, Rect { height, ..inner });
    let below = Rect {
        y: inner.y + height,
        height: inner.height - height,
        ..inner
    };
    frame.render_widget(legend(&classes, usize::from(inner.width), theme), below);
}

/// The title, the instruction and the classes of the selected layer, or of all.
fn about(browser: &Browser) -> (String, String, Classes) {
    let subject = &browser.subject;
    let Some(at) = browser.layers.selected() else {
        let count = counted(subject.image.layers.len(), "layer");
        let base = match subject.image.base {
            0 => String::new(),
            base => format!(", {base} of them of the base"),
        };
        let text = format!("{}, {count}{base}", subject.image.id);
        return ("Image".to_owned(), text, subject.classified.total());
    };
    let made = &subject.made[at];
    let place = made.place.as_ref();
    let place = place.map(|(file, line)| format!(", {file}:{line}"));
    let title = format!("Layer {}{}", at + 1, place.unwrap_or_default());
    (
        title,
        made.text.clone(),
        subject.classified.layers[at].classes,
    )
}

/// The bytes of each class, in columns.
fn legend(classes: &Classes, width: usize, theme: Theme) -> Paragraph<'static> {
    let columns = (width / 18).clamp(1, Class::ALL.len());
    let cell = width / columns;
    let cells = Class::ALL.map(|class| {
        let sign = Span::styled(theme.cell(class), theme.class(class));
        let text = format!(" {:<11} {:>6}", class.name(), bytes(classes.get(class)));
        let room = cell.saturating_sub(1);
        vec![sign, Span::raw(format!("{:<room$}", cut(&text, room)))]
    });
    let lines = cells
        .chunks(columns)
        .map(|cells| Line::from(cells.concat()));
    Paragraph::new(lines.collect::<Vec<_>>())
}

/// Draws what is said of the selected path.
pub fn path(frame: &mut Frame<'_>, area: Rect, browser: &Browser, theme: Theme) {
    let subject = &browser.subject;
    let Some(node) = browser.files.selected().filter(|_| area.height > 2) else {
        return frame.render_widget(framed(String::new(), area, false, theme), area);
    };
    let path = subject.paths.path(node);
    let shown = format!("/{}", display(&path));
    let room = usize::from(area.width).saturating_sub(4);
    let block = framed(cut_left(&shown, room), area, false, theme);
    let inner = block.inner(area);
    let width = usize::from(inner.width);
    let classes = &browser.files.measures[node].classes;
    let mut lines = vec![summary(classes, waste::kind(&path), theme)];
    let touches = subject
        .paths
        .touches(&subject.image.layers, &subject.classified, node);
    let left = usize::from(inner.height).saturating_sub(1);
    let skipped = touches.len().saturating_sub(left);
    for (at, touch) in touches.iter().skip(skipped) {
        lines.push(touched(*at, touch, width, theme));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// The classes that a path has bytes of, and what is known of it.
fn summary(classes: &Classes, known: Option<&str>, theme: Theme) -> Line<'static> {
    let has = |class: &Class| classes.get(*class) > 0;
    let mut spans = Vec::new();
    for class in Class::ALL.into_iter().filter(has) {
        spans.push(Span::styled(class.name(), theme.class(class)));
        spans.push(Span::raw(format!(" {}  ", bytes(classes.get(class)))));
    }
    if let Some(known) = known {
        let known = format!("known waste: {known}");
        spans.push(Span::styled(known, theme.strong()));
    }
    if spans.is_empty() {
        spans.push(Span::styled("no bytes", theme.soft()));
    }
    Line::from(spans)
}

/// What a layer does to a path.
fn touched(at: usize, touch: &Touch, width: usize, theme: Theme) -> Line<'static> {
    let signed = |sign: &str, count: u64| match count {
        0 => String::new(),
        count => format!("{sign}{}", bytes(count)),
    };
    let (written, hidden) = (signed("+", touch.written), signed("-", touch.hidden));
    let number = format!("{:>3} {} ", at + 1, mark(touch.state));
    let sizes = format!("{written:>7} {hidden:>7}  ");
    let room = width.saturating_sub(number.len() + sizes.len());
    Line::from(vec![
        Span::styled(number, theme.state(touch.state)),
        Span::raw(sizes),
        Span::raw(cut(&what(touch), room)),
    ])
}

fn what(touch: &Touch) -> String {
    let mut parts = Vec::new();
    if !touch.fields.is_empty() {
        let fields: Vec<&str> = touch.fields.iter().map(|field| field.name()).collect();
        parts.push(fields.join(", "));
    }
    let [added, changed, removed] = touch.below;
    for (count, what) in [(added, "new"), (changed, "changed"), (removed, "gone")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join(", ")
}
