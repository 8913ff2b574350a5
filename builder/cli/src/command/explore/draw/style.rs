//! Colours, bars and cut texts. The colours are those of the terminal's own palette; without any, classes are letters.

use kiln_report::classify::{Class, Classes};
use kiln_report::lifetimes::State;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Whether there are any.
    pub has_color: bool,
}

impl Theme {
    fn colored(self, color: Color) -> Style {
        match self.has_color {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }

    /// The first line.
    pub fn title(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    /// What matters.
    pub fn strong(self) -> Style {
        self.colored(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// What is there to be found.
    pub fn soft(self) -> Style {
        self.colored(Color::DarkGray)
    }

    /// The place where a letter goes.
    pub fn cursor(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The border of a list.
    pub fn border(self, has_keys: bool) -> Style {
        match has_keys {
            true => self.colored(Color::Cyan),
            false => self.soft(),
        }
    }

    /// The title of a list.
    pub fn heading(self, has_keys: bool) -> Style {
        match has_keys {
            true => self.strong(),
            false => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    /// The selected row of the list that has the keys.
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The selected row of the other list.
    pub fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
    }

    /// A class.
    pub fn class(self, class: Class) -> Style {
        self.colored(match class {
            Class::Live => Color::Green,
            Class::Duplicate => Color::Blue,
            Class::Overwritten => Color::Yellow,
            Class::Rewritten => Color::Magenta,
            Class::Deleted => Color::Red,
            Class::Headers => Color::DarkGray,
        })
    }

    /// What layers do to a path.
    pub fn state(self, state: Option<State>) -> Style {
        match state {
            Some(State::Added) => self.colored(Color::Green),
            Some(State::Changed) => self.colored(Color::Yellow),
            Some(State::Removed) => self.colored(Color::Red),
            Some(State::Unchanged) | None => Style::new(),
        }
    }

    /// One cell of a class.
    pub fn cell(self, class: Class) -> &'static str {
        match (self.has_color, class) {
            (true, _) => "▆",
            (false, Class::Live) => "L",
            (false, Class::Duplicate) => "D",
            (false, Class::Overwritten) => "O",
            (false, Class::Rewritten) => "R",
            (false, Class::Deleted) => "X",
            (false, Class::Headers) => "h",
        }
    }

    /// The shares of the classes in so many cells; blanks where there are no bytes.
    pub fn bar(self, classes: &Classes, width: usize) -> Vec<Span<'static>> {
        let total = u128::from(classes.total());
        if total == 0 {
            return vec![Span::raw(" ".repeat(width))];
        }
        let (mut before, mut filled, mut spans) = (0, 0, Vec::new());
        for class in Class::ALL {
            before += u128::from(classes.get(class));
            // cells whose middle belongs to what came so far
            let end = ((before * width as u128 * 2 + total) / (total * 2)) as usize;
            let text = self.cell(class).repeat(end - filled);
            spans.push(Span::styled(text, self.class(class)));
            filled = end;
        }
        spans
    }
}

/// The character of what layers do to a path.
pub const fn mark(state: Option<State>) -> &'static str {
    match state {
        Some(State::Added) => "+",
        Some(State::Changed) => "~",
        Some(State::Removed) => "-",
        Some(State::Unchanged) | None => " ",
    }
}

/// The beginning of a text that fits; where something is left out, `…` stands.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |letter: &char| {
        let room = letter.width().unwrap_or_default();
        let fits = room <= left;
        left = left.saturating_sub(room);
        fits
    };
    let mut shown: String = text.chars().take_while(fits).collect();
    if width > 0 {
        shown.push('…');
    }
    shown
}

/// The end of a text that fits; where something is left out, `…` stands.
pub fn cut_left(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let backwards: String = text.chars().rev().collect();
    cut(&backwards, width).chars().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_by_columns() {
        assert_eq!(cut("layer", 5), "layer");
        assert_eq!(cut("layers", 5), "laye…");
        assert_eq!(cut("層層層", 4), "層…");
        assert_eq!(cut("x", 0), "");
        assert_eq!(cut_left("usr/lib/x", 5), "…ib/x");
    }

    #[test]
    fn a_bar_is_as_wide_as_it_should_be() {
        let theme = Theme { has_color: false };
        for bytes in [[1, 0, 0], [5, 3, 1], [0, 1, 999], [u64::MAX / 4; 3]] {
            let mut classes = Classes::default();
            for (class, bytes) in [Class::Live, Class::Rewritten, Class::Deleted]
                .into_iter()
                .zip(bytes)
            {
                classes.add(class, bytes);
            }
            let bar: String = theme
                .bar(&classes, 6)
                .iter()
                .map(|span| span.content.clone())
                .collect();
            assert_eq!(bar.len(), 6, "{bar}");
        }
    }
}
