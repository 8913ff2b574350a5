//! A live view for terminals: finished steps scroll up, running ones stay below with their time and last line of output.
//! Unaware of what steps do. Drawing is indicatif's; it is driven from one thread only.

use super::Renderer;
use super::steps::{Steps, clip};
use super::transfers::{self, Transfer};
use crate::failure::printable;
use crate::units;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use kiln_engine::event::{Event, EventKind, Outcome};
use std::collections::BTreeMap;

/// Characters of an instruction or of output that are shown; wider text would wrap and flicker.
const WIDTH: usize = 100;

struct Stage {
    bar: ProgressBar,
    done: usize,
}

/// The live view.
pub struct Terminal {
    steps: Steps,
    screen: MultiProgress,
    stages: BTreeMap<String, Stage>,
    running: BTreeMap<usize, (ProgressBar, ProgressBar)>,
    /// Blobs on their way, by digest.
    transfers: BTreeMap<String, ProgressBar>,
    color: bool,
}

impl Terminal {
    /// With or without colour.
    pub fn new(color: bool) -> Self {
        Terminal {
            steps: Steps::default(),
            screen: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(20)),
            stages: BTreeMap::new(),
            running: BTreeMap::new(),
            transfers: BTreeMap::new(),
            color,
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn say(&self, line: impl AsRef<str>) {
        // Drawing fails only when the terminal has gone.
        let _ = self.screen.println(printable(line.as_ref(), true));
    }

    fn stage_line(&mut self, step: usize) -> Option<ProgressBar> {
        let info = self.steps.info(step)?.clone();
        let stage = self.stages.entry(info.stage.clone()).or_insert_with(|| {
            let bar = self.screen.add(ProgressBar::new(info.of as u64));
            bar.set_style(style("{prefix:.bold} {pos}/{len}"));
            bar.set_prefix(info.stage);
            Stage { bar, done: 0 }
        });
        Some(stage.bar.clone())
    }

    fn start(&mut self, step: usize, because: Option<&str>) {
        let Some(stage) = self.stage_line(step) else {
            return;
        };
        let step_bar = self.screen.insert_after(&stage, ProgressBar::new_spinner());
        step_bar.set_style(style("  {spinner} {msg} {elapsed}"));
        step_bar.set_message(self.steps.title(step, WIDTH));
        let output = self
            .screen
            .insert_after(&step_bar, ProgressBar::new_spinner());
        output.set_style(style("    {msg:.dim}"));
        self.running.insert(step, (step_bar, output));
        if let Some(reason) = because {
            self.say(format!(
                "  {} {} again: {reason}",
                self.steps.prefix(step),
                self.steps.title(step, 40)
            ));
        }
    }

    fn end(&mut self, step: usize) {
        self.steps.take_log(step);
        if let Some((bar, output)) = self.running.remove(&step) {
            output.finish_and_clear();
            bar.finish_and_clear();
            self.screen.remove(&output);
            self.screen.remove(&bar);
        }
        let Some(bar) = self.stage_line(step) else {
            return;
        };
        let Some(stage) = self
            .steps
            .info(step)
            .and_then(|info| self.stages.get_mut(&info.stage))
        else {
            return;
        };
        stage.done += 1;
        bar.set_position(stage.done as u64);
    }

    fn finished(&mut self, step: usize, outcome: Outcome, took_us: u64) {
        self.end(step);
        let prefix = self.steps.prefix(step);
        let title = self.steps.title(step, WIDTH);
        match outcome {
            Outcome::Cached => self.say(format!("{} {prefix} {title}", self.paint("32", "cached"))),
            _ => self.say(format!(
                "{}   {prefix} {title} {}",
                self.paint("1;32", "done"),
                self.paint("2", &units::duration(took_us))
            )),
        }
    }

    fn transfer(&mut self, transfer: &Transfer<'_>) {
        if transfer.ended {
            if let Some(bar) = self.transfers.remove(transfer.blob) {
                bar.finish_and_clear();
                self.screen.remove(&bar);
            }
            self.say(transfer.line());
            return;
        }
        let screen = &self.screen;
        let bar = self
            .transfers
            .entry(transfer.blob.to_owned())
            .or_insert_with(|| {
                let bar = screen.add(ProgressBar::new(transfer.total));
                bar.set_style(style("  {bar:20} {bytes}/{total_bytes} {msg:.dim}"));
                bar.set_message(clip(&printable(&transfer.title(), false), WIDTH));
                bar
            });
        bar.set_position(transfer.done);
    }

    fn failed(&mut self, step: usize, message: &str) {
        self.end(step);
        let line = format!(
            "{} {} {}",
            self.paint("1;31", "failed"),
            self.steps.prefix(step),
            self.steps.title(step, WIDTH)
        );
        self.say(line);
        self.say(format!("       {message}"));
    }

    fn image(&self, (name, lines): (String, [String; 3])) {
        self.say(format!("{}  {name}", self.paint("1;32", "built")));
        for line in lines {
            self.say(format!("       {line}"));
        }
    }
}

impl Renderer for Terminal {
    fn handle(&mut self, event: &Event) {
        self.steps.note(event);
        if let Some(transfer) = Transfer::of(&event.kind) {
            self.transfer(&transfer);
        }
        if let Some(line) = transfers::line(&event.kind) {
            self.say(line);
        }
        match &event.kind {
            EventKind::Started { step, because } => self.start(*step, because.as_deref()),
            EventKind::Finished {
                step,
                outcome,
                took_us,
                ..
            } => self.finished(*step, *outcome, *took_us),
            EventKind::Failed { step, message } => self.failed(*step, message),
            EventKind::Warning { message } => {
                self.say(format!("{}: {message}", self.paint("1;33", "warning")))
            }
            EventKind::Note { message } => {
                self.say(format!("{}: {message}", self.paint("1;36", "note")))
            }
            EventKind::StageKept { stage, id, .. } => {
                self.say(format!(
                    "{}   stage {stage} as {id}",
                    self.paint("32", "kept")
                ));
            }
            EventKind::Image {
                id,
                tags,
                layers,
                bytes,
                ..
            } => self.image(self.steps.image(event.at_us, tags, id, *layers, *bytes)),
            EventKind::Resolved { .. }
            | EventKind::Transfer { .. }
            | EventKind::CacheRead { .. }
            | EventKind::CacheWritten { .. }
            | EventKind::Source { .. }
            | EventKind::Finding { .. }
            | EventKind::Begun { .. }
            | EventKind::Planned { .. }
            | EventKind::Log { .. }
            | EventKind::Committed { .. } => {}
        }
    }

    fn tick(&mut self) -> bool {
        let mut last = BTreeMap::new();
        self.steps.follow_ends(|step, line| {
            if !line.trim().is_empty() {
                last.insert(step, clip(line, WIDTH));
            }
        });
        for (step, (bar, output)) in &self.running {
            bar.tick();
            if let Some(line) = last.remove(step) {
                output.set_message(line);
                output.tick();
            }
        }
        false
    }

    fn finish(&mut self) {
        for (bar, output) in self.running.values() {
            output.finish_and_clear();
            bar.finish_and_clear();
        }
        for bar in self.transfers.values() {
            bar.finish_and_clear();
        }
        for stage in self.stages.values() {
            stage.bar.finish_and_clear();
        }
        let _ = self.screen.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file; the default is only ever shown if one is mistyped.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
