//! Draws on a terminal: lines that stay and scroll up, and a frame of lines below them that is drawn again and again. Nothing is written where
//! nothing has changed. Unaware of what the lines say; each line of a frame is narrower than the terminal.
//!
//! By hand, because indicatif draws each bar by itself: none of them knows how many rows there are, and which line has to give way.

use crate::printable::unstyled;
use crate::render::Sink;
use std::os::fd::AsFd;
use unicode_width::UnicodeWidthStr;

/// A terminal that does not say how large it is.
const UNKNOWN: Size = Size {
    rows: 24,
    columns: 80,
};
/// What is on the screen is shown as a whole: no terminal shows a half of it.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";
/// Clears what is right of the cursor, and what is right of and below it.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// How large a terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub rows: usize,
    pub columns: usize,
}

impl Size {
    /// That of standard error, which may change at any time.
    pub fn now() -> Self {
        let found = rustix::termios::tcgetwinsize(std::io::stderr().as_fd());
        let known = found.ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
        known.map_or(UNKNOWN, |size| Size {
            rows: usize::from(size.ws_row),
            columns: usize::from(size.ws_col),
        })
    }
}

/// What stands on the terminal.
#[derive(Debug)]
pub struct Screen {
    sink: Sink,
    frame: Vec<String>,
}

impl Screen {
    /// An empty one.
    pub fn new(sink: Sink) -> Self {
        Screen {
            sink,
            frame: Vec::new(),
        }
    }

    /// Adds `lines` above the frame, and draws it anew. The cursor is left below it.
    pub fn draw(&mut self, lines: &[String], frame: Vec<String>, size: Size) {
        if lines.is_empty() && frame == self.frame {
            return;
        }
        let text = [BEGIN, &self.drawing(lines, &frame, size), END].concat();
        self.frame = frame;
        self.sink.raw(&text);
        self.sink.flush();
    }

    fn drawing(&self, lines: &[String], frame: &[String], size: Size) -> String {
        let mut text = match self.height(size) {
            0 => "\r".to_owned(),
            rows => format!("\r\x1b[{rows}A"),
        };
        if !lines.is_empty() {
            // one that is wrapped leaves nothing of the old frame beside it
            text += CLEAR_BELOW;
        }
        for line in lines.iter().chain(frame) {
            text.extend([line, CLEAR_LINE, "\r\n"]);
        }
        text + CLEAR_BELOW
    }

    /// Rows that the frame takes. A terminal that became narrower since it was drawn has wrapped its lines.
    fn height(&self, size: Size) -> usize {
        let rows = |line: &String| unstyled(line).width().div_ceil(size.columns).max(1);
        let height: usize = self.frame.iter().map(rows).sum();
        height.min(size.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(columns: usize, steps: &[(&[&str], &[&str])]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut screen = Screen::new(Sink::file(file.reopen().unwrap()));
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        for (lines, frame) in steps {
            let lines: Vec<String> = owned(lines);
            screen.draw(&lines, owned(frame), Size { rows: 10, columns });
        }
        let text = std::fs::read_to_string(file.path()).unwrap();
        text.replace(BEGIN, "<").replace(END, ">")
    }

    #[test]
    fn what_has_not_changed_is_not_drawn_again() {
        let once = drawn(80, &[(&["said"], &["a", "b"])]);
        let twice = drawn(80, &[(&["said"], &["a", "b"]), (&[], &["a", "b"])]);
        assert_eq!(once, twice);
        assert_eq!(once, "<\r\x1b[Jsaid\x1b[K\r\na\x1b[K\r\nb\x1b[K\r\n\x1b[J>");
    }

    #[test]
    fn a_frame_is_replaced_wherever_its_lines_are_wrapped() {
        let frames: [(&[&str], &[&str]); 2] =
            [(&[], &["\x1b[1m0123456789\x1b[0m", "b"]), (&[], &[])];
        assert!(drawn(80, &frames).ends_with("<\r\x1b[2A\x1b[J>"));
        assert!(drawn(5, &frames).ends_with("<\r\x1b[3A\x1b[J>"));
    }
}
