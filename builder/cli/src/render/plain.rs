//! Lines for pipes and log files: every line carries the step it belongs to. Unaware of what steps do.

use super::Renderer;
use super::steps::Steps;
use crate::units;
use kiln_engine::event::{Event, EventKind, Outcome};
use std::io::Write;

const TITLE_WIDTH: usize = 200;

/// Prints a line for each thing that happens.
#[derive(Debug)]
pub struct Plain {
    steps: Steps,
    color: bool,
    sizes: std::collections::BTreeMap<usize, u64>,
}

impl Plain {
    /// With or without colour.
    pub fn new(color: bool) -> Self {
        Plain { steps: Steps::default(), color, sizes: std::collections::BTreeMap::new() }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn finished(&mut self, step: usize, outcome: Outcome, took_us: u64) {
        let prefix = self.steps.prefix(step);
        self.steps.end_log(step, |line| print_line(&format!("{prefix} | {line}")));
        let text = match outcome {
            Outcome::Cached => format!("{prefix} {} {}", self.paint("32", "cached"), self.steps.title(step, TITLE_WIDTH)),
            _ => format!("{prefix} {} in {}", self.paint("1", "done"), units::duration(took_us)),
        };
        print_line(&text);
    }

    fn image(&self, event: &Event, tags: &[String], id: &str, layers: usize, bytes: u64) {
        let name = if tags.is_empty() { "an image without a tag".to_owned() } else { tags.join(", ") };
        print_line(&format!("{} {name}", self.paint("1;32", "built")));
        print_line(&format!("  {id}"));
        print_line(&format!("  {} in {}", units::bytes(bytes), units::counted(layers, "layer")));
        print_line(&format!("  {}; {} in all", self.steps.summary(), units::duration(event.at_us)));
    }
}

impl Renderer for Plain {
    fn handle(&mut self, event: &Event) {
        self.steps.note(event);
        match &event.kind {
            EventKind::Source { title, items, bytes, took_us } => {
                let read = if *bytes > 0 { format!(", {} digested", units::bytes(*bytes)) } else { String::new() };
                print_line(&format!("{title}: {}{read} in {}", units::counted(usize::try_from(*items).unwrap_or(usize::MAX), "file"), units::duration(*took_us)));
            }
            EventKind::Started { step, because } => {
                print_line(&format!("{} {}", self.steps.prefix(*step), self.steps.title(*step, TITLE_WIDTH)));
                if let Some(reason) = because {
                    print_line(&format!("{} again: {reason}", self.steps.prefix(*step)));
                }
            }
            EventKind::Finished { step, outcome, took_us, .. } => self.finished(*step, *outcome, *took_us),
            EventKind::Committed { step, bytes, outcome } => {
                self.sizes.insert(*step, *bytes);
                if *outcome == Outcome::Unchanged {
                    print_line(&format!("{} same result as before: what follows may stay cached", self.steps.prefix(*step)));
                }
            }
            EventKind::Failed { step, message } => {
                let prefix = self.steps.prefix(*step);
                self.steps.end_log(*step, |line| print_line(&format!("{prefix} | {line}")));
                print_line(&format!("{prefix} {}: {message}", self.paint("1;31", "failed")));
            }
            EventKind::Warning { message } => print_line(&format!("{}: {message}", self.paint("1;33", "warning"))),
            EventKind::Image { id, tags, layers, bytes, .. } => self.image(event, tags, id, *layers, *bytes),
            EventKind::Begun { .. } | EventKind::Planned { .. } | EventKind::Log { .. } => {}
        }
    }

    fn tick(&mut self) {
        let mut lines = Vec::new();
        self.steps.follow(|step, line| lines.push((step, line.to_owned())));
        for (step, line) in lines {
            print_line(&format!("{} | {line}", self.steps.prefix(step)));
        }
    }
}

fn print_line(line: &str) {
    // A reader that went away must not end the build.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
