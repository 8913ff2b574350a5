//! Screens of any size are drawn, without colours so that classes are letters.

use super::*;
use crate::command::explore::browser::tests::browser;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

const THEME: Theme = Theme { has_color: false };

/// The screen after some keys.
fn screen(keys: &str, width: u16, height: u16) -> String {
    let mut browser = browser(keys);
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let drawn = terminal.draw(|frame| {
        Parts::of(frame.area(), browser.pane).resize(&mut browser);
        draw(frame, &browser, THEME);
    });
    drawn.unwrap();
    let buffer = terminal.backend().buffer();
    let rows = buffer.content.chunks(usize::from(width.max(1)));
    let text = rows.map(|row| {
        let mut text = String::new();
        let mut covered = 0;
        for cell in row {
            if covered == 0 {
                text += cell.symbol();
                covered = unicode_width::UnicodeWidthStr::width(cell.symbol());
            }
            covered = covered.saturating_sub(1);
        }
        text.trim_end().to_owned() + "\n"
    });
    text.collect()
}

#[test]
fn every_size_is_drawn_and_nothing_escapes() {
    let sizes = [0, 1, 2, 5, 19, 59, 60, 80, 133].into_iter();
    for (width, height) in
        sizes.flat_map(|width| [0, 1, 2, 3, 7, 15, 24].map(|height| (width, height)))
    {
        for keys in ["", "<tab>^ G", "?", "<end>^fx"] {
            let text = screen(keys, width, height);
            assert!(
                text.chars()
                    .all(|letter| letter == '\n' || !letter.is_control())
            );
        }
    }
    let hostile = screen("<tab>/31m<enter>", 120, 30);
    assert!(hostile.contains("\\u{1b}[31m層.txt"), "{hostile}");
}
