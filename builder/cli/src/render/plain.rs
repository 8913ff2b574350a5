//! Lines for pipes and log files: every line carries the step it belongs to. Unaware of what steps do.

use super::logs::Output;
use super::steps::{Steps, painted};
use super::transfers::Transfer;
use super::view::{View, show};
use super::{Renderer, Sink, Stop};
use crate::printable::{printable, printed};
use crate::units;
use kiln_engine::event::{Event, EventKind, Outcome};
use std::collections::BTreeMap;

const TITLE_WIDTH: usize = 200;
/// A transfer that goes on gets a line each time that so much has passed, in microseconds.
const TRANSFER_TOLD_US: u64 = 5_000_000;

/// Prints a line for each thing that happens.
#[derive(Debug)]
pub struct Plain {
    steps: Steps,
    color: bool,
    on_terminal: bool,
    sink: Sink,
    /// What lines of steps begin with, while they have a log.
    prefixes: BTreeMap<usize, String>,
    /// How many lines each running transfer has got.
    transfers: BTreeMap<String, u64>,
}

impl Plain {
    /// With or without colour, to this place.
    pub fn new(color: bool, sink: Sink) -> Self {
        Plain {
            steps: Steps::default(),
            color,
            on_terminal: sink.is_terminal(),
            sink,
            prefixes: BTreeMap::new(),
            transfers: BTreeMap::new(),
        }
    }

    /// The rest of a step's output.
    fn end_log(&mut self, step: usize, prefix: &str) {
        self.prefixes.remove(&step);
        let (sink, on_terminal) = (&self.sink, self.on_terminal);
        let show = |piece: Output<'_>| output(sink, on_terminal, prefix, piece);
        self.steps.logs().end(step, show);
    }

    /// Whether it is time to print a line about a transfer that goes on.
    fn is_due(&mut self, blob: &str, took_us: u64) -> bool {
        let times = took_us / TRANSFER_TOLD_US;
        let told = self.transfers.entry(blob.to_owned()).or_default();
        let is_due = times > *told;
        *told = times.max(*told);
        is_due
    }

    fn source(&mut self, title: &str, files: u64, digested: u64, took_us: u64) {
        let read = if digested > 0 {
            format!(", {} digested", units::bytes(digested))
        } else {
            String::new()
        };
        let files = units::counted(usize::try_from(files).unwrap_or(usize::MAX), "file");
        self.say(&format!(
            "{title}: {files}{read} in {}",
            units::duration(took_us)
        ));
    }
}

/// A line of a step's output, with the seconds since it began. What a terminal gets moves no cursor and sets no title; a file or a pipe gets
/// what the step wrote.
fn output(sink: &Sink, is_terminal: bool, prefix: &str, piece: Output<'_>) {
    let line = piece.line();
    let seconds = format!(" {:.2}s | ", piece.seconds());
    let shown = match is_terminal {
        true => printed(&line),
        false => line.as_ref().into(),
    };
    sink.pieces(&[prefix, &seconds, &shown]);
}

impl View for Plain {
    fn steps(&mut self) -> &mut Steps {
        &mut self.steps
    }

    fn say(&mut self, line: &str) {
        self.sink.line(&printable(line, true));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        painted(self.color, code, text)
    }

    fn started(&mut self, step: usize, because: Option<&str>) {
        self.say(&format!(
            "{} {}",
            self.steps.prefix(step),
            self.steps.title(step, TITLE_WIDTH)
        ));
        if let Some(reason) = because {
            self.say(&format!("{} again: {reason}", self.steps.prefix(step)));
        }
    }

    fn finished(&mut self, step: usize, outcome: Outcome, took_us: u64) {
        let prefix = self.steps.prefix(step);
        self.end_log(step, &prefix);
        let text = match outcome {
            Outcome::Cached => format!(
                "{prefix} {} {}",
                self.paint("32", "cached"),
                self.steps.title(step, TITLE_WIDTH)
            ),
            _ => format!(
                "{prefix} {} in {}",
                self.paint("1", "done"),
                units::duration(took_us)
            ),
        };
        self.say(&text);
    }

    fn failed(&mut self, step: usize, message: &str) {
        let prefix = self.steps.prefix(step);
        self.end_log(step, &prefix);
        self.say(&format!(
            "{prefix} {}: {message}",
            self.paint("1;31", "failed")
        ));
    }

    /// Prints a line when a transfer has ended, and from time to time while it takes long. What the store does itself is told in that case
    /// only.
    fn transfer(&mut self, transfer: &Transfer<'_>) {
        let was_told = self
            .transfers
            .get(transfer.what)
            .is_some_and(|told| *told > 0);
        if transfer.ended && (transfer.repository.is_some() || was_told) {
            self.say(&transfer.line());
        } else if !transfer.ended && self.is_due(transfer.what, transfer.took_us) {
            self.say(&transfer.state());
        }
    }

    fn kept(&mut self, stage: &str, id: &str) {
        self.say(&format!("kept stage {stage} as {id}"));
    }

    fn image(&mut self, name: &str, lines: &[String]) {
        self.say(&format!("{} {name}", self.paint("1;32", "built")));
        for line in lines {
            self.say(&format!("  {line}"));
        }
    }

    fn other(&mut self, kind: &EventKind) {
        match kind {
            EventKind::Source {
                title,
                items,
                bytes,
                took_us,
            } => {
                self.source(title, *items, *bytes, *took_us);
            }
            EventKind::Log { step, .. } => {
                self.prefixes.insert(*step, self.steps.prefix(*step));
            }
            EventKind::Committed {
                step,
                outcome: Outcome::Unchanged,
                ..
            } => {
                let prefix = self.steps.prefix(*step);
                self.say(&format!(
                    "{prefix} same result as before: later steps may stay cached"
                ));
            }
            _ => {}
        }
    }
}

impl Renderer for Plain {
    fn note(&mut self, event: &Event) {
        if matches!(
            event.kind,
            EventKind::Finished { .. } | EventKind::Committed { .. }
        ) {
            self.steps.note(event);
        }
    }

    fn handle(&mut self, event: &Event) {
        show(self, event);
    }

    fn stop(&mut self, stop: Stop) {
        self.say(stop.words());
        match stop {
            Stop::Asked => self.sink.flush(),
            Stop::AtOnce => self.finish(),
        }
    }

    fn tick(&mut self) -> bool {
        let Plain {
            steps,
            sink,
            prefixes,
            on_terminal,
            ..
        } = self;
        let is_behind = steps.logs().look(|piece| {
            let prefix = prefixes.get(&piece.step).map_or("", String::as_str);
            output(sink, *on_terminal, prefix, piece);
        });
        self.sink.flush();
        is_behind
    }

    /// What is left in the logs of steps that were stopped is shown too.
    fn finish(&mut self) {
        let prefixes = std::mem::take(&mut self.prefixes);
        for (step, prefix) in prefixes {
            self.end_log(step, &prefix);
        }
        self.sink.flush();
    }
}
