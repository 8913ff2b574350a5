//! What both human renderers know of the steps: names, followed logs, counts for the summary. Unaware of terminals.

use super::logs::{Logs, Output};
use crate::units;
use kiln_engine::event::{Event, EventKind, Outcome, StepInfo};
use std::collections::BTreeMap;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The state of a build as far as renderers need it.
#[derive(Debug, Default)]
pub struct Steps {
    infos: BTreeMap<usize, StepInfo>,
    logs: Logs,
    cached: usize,
    ran: usize,
    unchanged: usize,
}

impl Steps {
    /// Takes what `event` says of the steps.
    pub fn note(&mut self, event: &Event) {
        self.logs.note(event);
        match &event.kind {
            EventKind::Planned { steps } => {
                self.infos = steps.iter().map(|info| (info.step, info.clone())).collect()
            }
            EventKind::Finished {
                outcome: Outcome::Cached,
                ..
            } => self.cached += 1,
            EventKind::Committed { outcome, .. } => match outcome {
                Outcome::Cached => self.cached += 1,
                Outcome::Ran => self.ran += 1,
                Outcome::Unchanged => self.unchanged += 1,
            },
            _ => {}
        }
    }

    /// The step's description.
    pub fn info(&self, step: usize) -> Option<&StepInfo> {
        self.infos.get(&step)
    }

    /// `[build 2/5]`, aligned with the other steps of its stage.
    pub fn prefix(&self, step: usize) -> String {
        self.infos.get(&step).map_or_else(
            || format!("[{step}]"),
            |info| format!("[{} {}/{}]", info.stage, info.number, info.of),
        )
    }

    /// The instruction, cut to `width` columns.
    pub fn title(&self, step: usize, width: usize) -> String {
        let title = self.infos.get(&step).map_or("", |info| info.title.as_str());
        clip(title, width)
    }

    /// The logs of running steps.
    pub fn logs(&mut self) -> &mut Logs {
        &mut self.logs
    }

    /// What is new in all logs, but of much only the end.
    pub fn follow_ends(&mut self, show: impl FnMut(Output<'_>)) {
        self.logs.skip();
        self.logs.look(show);
    }

    /// What is said of a finished image: its name, then lines about it. `at_us` is when.
    pub fn image(
        &self,
        at_us: u64,
        tags: &[String],
        id: &str,
        layers: usize,
        bytes: u64,
    ) -> (String, [String; 3]) {
        let name = if tags.is_empty() {
            "an image without a tag".to_owned()
        } else {
            tags.join(", ")
        };
        let size = format!(
            "{} in {}",
            units::bytes(bytes),
            units::counted(layers, "layer")
        );
        let time = format!("{}; {} in all", self.summary(), units::duration(at_us));
        (name, [id.to_owned(), size, time])
    }

    /// All steps, in the order of the Dockerfile.
    pub fn all(&self) -> impl Iterator<Item = &StepInfo> {
        self.infos.values()
    }

    /// `8 steps: 6 cached, 2 ran`.
    fn summary(&self) -> String {
        let mut parts = Vec::new();
        for (count, what) in [
            (self.cached, "cached"),
            (self.ran, "ran"),
            (self.unchanged, "ran without any change"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        let steps = units::counted(self.cached + self.ran + self.unchanged, "step");
        if parts.is_empty() {
            steps
        } else {
            format!("{steps}: {}", parts.join(", "))
        }
    }
}

/// `text` in a colour of the terminal.
pub fn painted(color: bool, code: &str, text: &str) -> String {
    if color {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// `text` on one line and cut to `width` columns of a terminal.
pub fn clip(text: &str, width: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.width() <= width {
        return line;
    }
    let mut columns = 0;
    let fits = |c: &char| {
        columns += c.width().unwrap_or(0);
        columns < width
    };
    let beginning: String = line.chars().take_while(fits).collect();
    beginning + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_text_is_no_wider_than_it_may_be() {
        let texts = [
            ("plain text", 10),
            ("plain text", 5),
            ("構築する", 8),
            ("構築する", 7),
            ("構築する", 1),
        ];
        let cut = texts.map(|(text, width)| clip(text, width));
        assert_eq!(cut, ["plain text", "plai…", "構築する", "構築す…", "…"]);
        assert_eq!(clip("a\tb\x1b[1m", 20), "a b [1m");
    }
}
