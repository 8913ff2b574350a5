//! The figures of a step as people read them; `-` for what is not known. Unaware of tables and pages.

use super::StepStats;
use crate::units::{bytes, seconds};
use kiln_cache::path::display;
use kiln_cache::{PastStep, StepEnding};

/// What stands for what is not known.
pub const UNKNOWN: &str = "-";

/// A step, in words.
#[derive(Debug, Clone, Default)]
pub struct Cells {
    /// `build 2/5`.
    pub step: String,
    /// How it ended.
    pub result: String,
    /// How long it took.
    pub time: String,
    /// What it took in earlier builds, and by how much this differs.
    pub usual: String,
    /// Time of processors.
    pub cpu: String,
    /// Memory at the peak.
    pub memory: String,
    /// What was written to disks.
    pub written: String,
    /// The size of the layer.
    pub layer: String,
}

impl Cells {
    /// Those of a step.
    #[must_use]
    pub fn of(step: &StepStats) -> Self {
        let (past, used) = (&step.past, &step.past.used);
        Cells {
            step: format!("{} {}/{}", past.stage, past.number, past.of),
            result: result(past).to_owned(),
            time: time(past.took_us),
            usual: usual(step),
            cpu: time(used.cpu_us),
            memory: amount(used.memory),
            written: amount(used.written),
            layer: amount(past.bytes),
        }
    }
}

/// How a step ended.
#[must_use]
pub fn result(step: &PastStep) -> &'static str {
    match step.outcome {
        Some(StepEnding::Cached) => "cached",
        Some(StepEnding::Ran) => "ran",
        Some(StepEnding::Unchanged) => "unchanged",
        Some(StepEnding::Failed) => "failed",
        None if step.began_us.is_some() => "stopped",
        None => UNKNOWN,
    }
}

/// Microseconds.
#[must_use]
pub fn time(micros: Option<u64>) -> String {
    #[allow(clippy::cast_precision_loss)] // for people
    let shown = |micros| seconds(micros as f64 / 1e6);
    micros.map_or_else(|| UNKNOWN.to_owned(), shown)
}

/// Bytes.
#[must_use]
pub fn amount(count: Option<u64>) -> String {
    count.map_or_else(|| UNKNOWN.to_owned(), bytes)
}

fn usual(step: &StepStats) -> String {
    let usual = time(step.usual_us());
    match step.trend() {
        None => usual,
        Some(trend) => format!("{usual} ({trend:+.0}%)"),
    }
}

/// On one line, without control bytes.
pub(super) fn plain(text: &str) -> String {
    let words: Vec<&str> = text.split(['\n', '\r', '\t']).collect();
    display(words.join(" ").as_bytes())
}
