//! The lines of a live view that are drawn again and again: what is done, for how long, and how far it is. They fit any terminal: what there is
//! no room for is left out, finished steps first, then output, then whole steps. Unaware of how lines reach the terminal.

use super::board::{Board, Ended, Running};
use super::screen::Size;
use crate::render::steps::{Steps, clip, painted};
use crate::units;
use std::time::Instant;
use unicode_width::UnicodeWidthStr;

/// Lines of output under a running step, on a terminal of usual height; on a higher one a quarter of its rows.
const OUTPUT: usize = 6;
/// Bars at once.
const BARS: usize = 4;

/// What is looked at.
#[derive(Debug)]
pub struct Frame<'a> {
    pub board: &'a Board,
    pub steps: &'a Steps,
    /// `building`, `pulling`, …
    pub verb: &'a str,
    pub begun: Instant,
    pub size: Size,
    pub color: bool,
}

impl Frame<'_> {
    /// All lines, each narrower than the terminal.
    pub fn lines(&self) -> Vec<String> {
        let bars = self.bars();
        // one row for the header, and one for the cursor
        let room = self.size.rows.saturating_sub(2);
        let bars = &bars[..bars.len().min(room)];
        let room = room - bars.len();
        let mut lines = vec![self.header()];
        lines.extend(self.stages(room));
        lines.extend_from_slice(bars);
        lines.truncate(self.size.rows.saturating_sub(1));
        lines
    }

    fn width(&self) -> usize {
        self.size.columns.saturating_sub(1)
    }

    /// `building 12.3s  7/12 steps`.
    fn header(&self) -> String {
        let time = seconds(self.begun);
        let steps = match self.board.total() {
            0 => String::new(),
            total => format!("  {}/{total} steps", self.board.ended.len()),
        };
        let text = clip(&format!("{} {time}{steps}", self.verb), self.width());
        painted(self.color, "1", &text)
    }

    /// Bytes on their way.
    fn bars(&self) -> Vec<String> {
        let width = self.width().saturating_sub(2);
        let bars = self.board.bars.values().take(BARS);
        let mut lines: Vec<String> = bars.map(|bar| self.cut(&bar.line(width))).collect();
        let hidden = self.board.bars.len().saturating_sub(BARS);
        if hidden > 0 {
            lines.push(clip(&format!("  and {hidden} more"), self.width()));
        }
        lines
    }

    fn cut(&self, bar: &str) -> String {
        clip(&format!("  {bar}"), self.width())
    }

    /// Steps of stages that are under way, in `room` lines.
    fn stages(&self, room: usize) -> Vec<String> {
        let running: Vec<(&usize, &Running)> = self.board.running.iter().collect();
        let hidden = match running.len() > room {
            true => running.len() - room.saturating_sub(1),
            false => 0,
        };
        let shown = &running[..running.len() - hidden];
        let left = room.saturating_sub(running.len().min(room));
        let most = OUTPUT.max(self.size.rows / 4);
        let each = left.checked_div(shown.len()).unwrap_or(0).min(most);
        let of_step = |running: &Running| running.lines.len().min(each);
        let output: usize = shown.iter().map(|(_, running)| of_step(running)).sum();
        let mut lines = self.finished(left - output);
        for (step, running) in shown {
            lines.push(self.running(**step, running));
            lines.extend(self.output(running, each));
        }
        if hidden > 0 {
            lines.push(clip(&format!("  and {hidden} more steps"), self.width()));
        }
        lines
    }

    /// The last steps that have ended, of stages that have not.
    fn finished(&self, room: usize) -> Vec<String> {
        let stages = self.board.open();
        let ended: Vec<_> = stages
            .flat_map(|stage| self.board.ended_of(stage))
            .collect();
        let last = &ended[ended.len().saturating_sub(room)..];
        let line = |(step, ended): &(usize, Ended)| {
            let right = match ended {
                Ended::Cached => "cached".to_owned(),
                Ended::Ran(took_us) => units::duration(*took_us),
            };
            painted(self.color, "2", &self.row(*step, &right))
        };
        last.iter().map(line).collect()
    }

    fn running(&self, step: usize, running: &Running) -> String {
        match running.took_us {
            None => self.row(step, &seconds(running.since)),
            Some(took_us) => self.row(step, &format!("writing, {}", units::duration(took_us))),
        }
    }

    /// A step on the left, something short on the right.
    fn row(&self, step: usize, right: &str) -> String {
        let room = self.width().saturating_sub(right.len() + 2);
        let left = format!(
            "  {} {}",
            self.steps.prefix(step),
            self.steps.title(step, room)
        );
        let left = clip(&left, room);
        let gap = " ".repeat(self.width().saturating_sub(left.width() + right.len()));
        clip(&format!("{left}{gap}{right}"), self.width())
    }

    fn output(&self, running: &Running, most: usize) -> Vec<String> {
        let skipped = running.lines.len().saturating_sub(most);
        let lines = running.lines.iter().skip(skipped);
        let line = |line: &String| {
            painted(
                self.color,
                "2",
                &clip(&format!("      {line}"), self.width()),
            )
        };
        lines.map(line).collect()
    }
}

/// How long ago something began, with one digit, so that it does not flicker.
fn seconds(since: Instant) -> String {
    let passed = since.elapsed();
    match passed.as_secs() {
        0..60 => format!("{:.1}s", passed.as_secs_f64()),
        whole => units::duration(whole * 1_000_000),
    }
}

#[cfg(test)]
mod tests;
