//! A live view for terminals: finished steps scroll up, running ones stay below with their time and last line of output.
//! Unaware of what steps do. Drawing is indicatif's; it is driven from one thread only.

use super::Renderer;
use super::steps::{Steps, clip, painted};
use super::transfers::Transfer;
use super::view::{View, show};
use crate::printable::printable;
use crate::units;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use kiln_engine::event::{Event, Outcome};
use std::collections::BTreeMap;
use std::os::fd::AsFd;

/// Columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;
/// Columns that the time of a running step and what is around it take.
const TIME: usize = 16;
/// Columns of a bar and what is around it.
const BAR: usize = 24;
/// Columns that are left of a very narrow terminal.
const LEAST: usize = 16;

/// Characters that fit beside `taken` others: wider text would wrap and flicker. A terminal may change its width at any time.
fn room(taken: usize) -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stderr().as_fd());
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    let columns = if columns == 0 { COLUMNS } else { columns };
    columns.saturating_sub(taken + 1).max(LEAST)
}

struct Stage {
    bar: ProgressBar,
    done: usize,
}

/// A step that is executed.
struct Running {
    bar: ProgressBar,
    output: ProgressBar,
    /// The last line that it printed.
    last: String,
}

/// The live view.
pub struct Terminal {
    steps: Steps,
    screen: MultiProgress,
    stages: BTreeMap<String, Stage>,
    running: BTreeMap<usize, Running>,
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

    fn end(&mut self, step: usize) {
        self.steps.logs().end(step, |_| {});
        if let Some(Running { bar, output, .. }) = self.running.remove(&step) {
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
}

impl View for Terminal {
    fn steps(&mut self) -> &mut Steps {
        &mut self.steps
    }

    fn say(&self, line: &str) {
        // Drawing fails only when the terminal has gone.
        let _ = self.screen.println(printable(line, true));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        painted(self.color, code, text)
    }

    fn started(&mut self, step: usize, because: Option<&str>) {
        let Some(stage) = self.stage_line(step) else {
            return;
        };
        let step_bar = self.screen.insert_after(&stage, ProgressBar::new_spinner());
        step_bar.set_style(style("  {spinner} {msg} {elapsed}"));
        step_bar.set_message(self.steps.title(step, room(TIME)));
        let output = self
            .screen
            .insert_after(&step_bar, ProgressBar::new_spinner());
        output.set_style(style("    {msg:.dim}"));
        let running = Running {
            bar: step_bar,
            output,
            last: String::new(),
        };
        self.running.insert(step, running);
        if let Some(reason) = because {
            self.say(&format!(
                "  {} {} again: {reason}",
                self.steps.prefix(step),
                self.steps.title(step, 40)
            ));
        }
    }

    fn finished(&mut self, step: usize, outcome: Outcome, took_us: u64) {
        self.end(step);
        let prefix = self.steps.prefix(step);
        let title = self.steps.title(step, room(TIME + prefix.len()));
        match outcome {
            Outcome::Cached => {
                self.say(&format!("{} {prefix} {title}", self.paint("32", "cached")))
            }
            _ => self.say(&format!(
                "{}   {prefix} {title} {}",
                self.paint("1;32", "done"),
                self.paint("2", &units::duration(took_us))
            )),
        }
    }

    fn failed(&mut self, step: usize, message: &str) {
        self.end(step);
        let prefix = self.steps.prefix(step);
        let title = self.steps.title(step, room(TIME + prefix.len()));
        let failed = self.paint("1;31", "failed");
        self.say(&format!("{failed} {prefix} {title}"));
        self.say(&format!("       {message}"));
    }

    fn transfer(&mut self, transfer: &Transfer<'_>) {
        if transfer.ended {
            if let Some(bar) = self.transfers.remove(transfer.blob) {
                bar.finish_and_clear();
                self.screen.remove(&bar);
            }
            self.say(&transfer.line());
            return;
        }
        let screen = &self.screen;
        let bar = self
            .transfers
            .entry(transfer.blob.to_owned())
            .or_insert_with(|| {
                let bar = screen.add(ProgressBar::new(transfer.total));
                bar.set_style(style("  {bar:20} {msg}"));
                bar
            });
        let state = printable(&transfer.state(), false);
        bar.set_message(clip(&state, room(BAR)));
        bar.set_position(transfer.done);
    }

    fn kept(&self, stage: &str, id: &str) {
        self.say(&format!(
            "{}   stage {stage} as {id}",
            self.paint("32", "kept")
        ));
    }

    fn image(&self, name: &str, lines: &[String]) {
        self.say(&format!("{}  {name}", self.paint("1;32", "built")));
        for line in lines {
            self.say(&format!("       {line}"));
        }
    }
}

impl Renderer for Terminal {
    fn handle(&mut self, event: &Event) {
        show(self, event);
    }

    fn tick(&mut self) -> bool {
        let mut last = BTreeMap::new();
        self.steps.follow_ends(|piece| {
            let line = piece.line();
            if !line.trim().is_empty() {
                last.insert(piece.step, line.into_owned());
            }
        });
        for (step, running) in &mut self.running {
            running.last = last
                .remove(step)
                .unwrap_or(std::mem::take(&mut running.last));
            running.bar.set_message(self.steps.title(*step, room(TIME)));
            running.output.set_message(clip(&running.last, room(4)));
            running.bar.tick();
            running.output.tick();
        }
        false
    }

    fn finish(&mut self) {
        for Running { bar, output, .. } in self.running.values() {
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
