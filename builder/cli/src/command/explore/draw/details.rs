//! What is said of the selected layer and of the selected path: which instruction made the one, and which layers wrote, changed or removed
//! the other.

use super::super::browser::Browser;
use super::super::subject::Subject;
use super::framed;
use super::style::{Theme, cut, cut_left, mark};
use crate::units::{bytes, counted};
use kiln_cache::path::display;
use kiln_report::classify::{Class, Classes};
use kiln_report::lifetimes::{Lifetimes, NodeId, Touch};
use kiln_report::waste;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};
use std::cmp::Reverse;

/// Rows of an instruction.
const TEXT: u16 = 2;
/// Columns of a class beside its name: its sign, its bytes, and blanks.
const BESIDE: usize = 10;

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

/// The bytes of each class, in as many columns as fit; where not even two do, names are cut, and never the bytes.
fn legend(classes: &Classes, width: usize, theme: Theme) -> Paragraph<'static> {
    let needed = |count: usize| names(count).iter().sum::<usize>() + count * BESIDE - 1;
    let count = [6, 3].into_iter().find(|count| needed(*count) <= width);
    let count = count.unwrap_or(2);
    let excess = needed(count).saturating_sub(width).div_ceil(count);
    let names = names(count);
    let cells = Class::ALL.into_iter().enumerate().map(|(at, class)| {
        let room = names[at % count].saturating_sub(excess);
        let name = cut(class.name(), room);
        let text = format!(" {name:<room$} {:>6} ", bytes(classes.get(class)));
        let sign = Span::styled(theme.cell(class), theme.class(class));
        [sign, Span::raw(text)]
    });
    let cells: Vec<[Span<'_>; 2]> = cells.collect();
    let lines = cells.chunks(count).map(|cells| Line::from(cells.concat()));
    Paragraph::new(lines.collect::<Vec<_>>())
}

/// The longest name of each of so many columns.
fn names(count: usize) -> Vec<usize> {
    let longest = |column| {
        let classes = Class::ALL.iter().skip(column).step_by(count);
        classes.map(|class| class.name().len()).max().unwrap_or(0)
    };
    (0..count).map(longest).collect()
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
    let mut lines = vec![summary(classes, known(subject, node, &path), width, theme)];
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

/// The kind of waste that a path is known to be, or to have in it.
fn known(subject: &Subject, node: NodeId, path: &[u8]) -> Option<&'static str> {
    let last = subject.paths.node(node).versions.last();
    let of_file = last.and_then(|last| {
        let entry = Lifetimes::entry(&subject.image.layers, last);
        waste::of_file(&subject.image.layers[last.layer], entry)
    });
    of_file.or_else(|| waste::kind(path))
}

/// What is known of a path, and the classes that it has bytes of, the most first, as far as they fit.
fn summary(classes: &Classes, known: Option<&str>, width: usize, theme: Theme) -> Line<'static> {
    let known = known.map(|known| (format!("known waste: {known}"), theme.strong()));
    let mut with_bytes: Vec<Class> = Class::ALL.into_iter().collect();
    with_bytes.retain(|class| classes.get(*class) > 0);
    with_bytes.sort_by_key(|class| Reverse(classes.get(*class)));
    let told = with_bytes.into_iter().map(|class| {
        let text = format!("{} {}", class.name(), bytes(classes.get(class)));
        (text, theme.class(class))
    });
    let mut spans = Vec::new();
    let mut left = width;
    for (text, style) in known.into_iter().chain(told) {
        let shown = cut(&text, left);
        left = left.saturating_sub(shown.len() + 2);
        spans.extend([Span::styled(shown, style), Span::raw("  ")]);
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
