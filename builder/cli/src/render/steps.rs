//! What both human renderers know of the steps: names, followed logs, counts for the summary. Unaware of terminals.

use super::logs::{Logs, Output};
use crate::units;
use kiln_engine::event::{Event, EventKind, Outcome, StepInfo};
use std::collections::BTreeMap;

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

    /// The instruction, cut to `width` characters.
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

/// `text` on one line and cut to `width` characters.
pub fn clip(text: &str, width: usize) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.chars().count() > width {
        line = line.chars().take(width.saturating_sub(1)).collect();
        line.push('…');
    }
    line
}
