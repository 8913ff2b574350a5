//! The logs of running steps, followed together. Unaware of how what is in them is shown.

use super::follow::Follower;
use jiff::Timestamp;
use kiln_engine::event::{Event, EventKind};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// All logs that are followed, by step.
#[derive(Debug, Default)]
pub struct Logs(BTreeMap<usize, Log>);

#[derive(Debug)]
struct Log {
    follower: Follower,
    since: Timestamp,
}

/// A piece of a step's output: a line with its end, the last line without one, or a part of a very long line.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    /// Whose it is.
    pub step: usize,
    /// As the step wrote it.
    pub bytes: &'a [u8],
    /// When the step's command began.
    since: Timestamp,
}

impl Output<'_> {
    /// The line without its end; what is not UTF-8 is replaced.
    pub fn line(&self) -> Cow<'_, str> {
        let end = self.bytes.iter().rposition(|byte| !b"\n\r".contains(byte));
        String::from_utf8_lossy(&self.bytes[..end.map_or(0, |last| last + 1)])
    }

    /// Seconds since the step's command began, as far as it was read at once.
    pub fn seconds(&self) -> f64 {
        let passed = Timestamp::now().duration_since(self.since);
        passed.as_secs_f64().max(0.0)
    }
}

impl Logs {
    /// Begins to follow the log that an event names, if it names one.
    pub fn note(&mut self, event: &Event) {
        if let EventKind::Log { step, path } = &event.kind {
            let follower = Follower::of(path.open());
            let since = event.time;
            self.0.insert(*step, Log { follower, since });
        }
    }

    /// Shows what is new. Whether there may be more at once.
    pub fn look(&mut self, mut show: impl FnMut(Output<'_>)) -> bool {
        let mut is_behind = false;
        for (&step, Log { follower, since }) in &mut self.0 {
            let since = *since;
            is_behind |= follower.look(|bytes| show(Output { step, bytes, since }));
        }
        is_behind
    }

    /// Leaves out what is far from the end of each log.
    pub fn skip(&mut self) {
        self.0.values_mut().for_each(|log| log.follower.skip());
    }

    /// Shows all that is left of the log of a step whose command has ended.
    pub fn end(&mut self, step: usize, mut show: impl FnMut(Output<'_>)) {
        if let Some(Log { follower, since }) = self.0.remove(&step) {
            follower.end(|bytes| show(Output { step, bytes, since }));
        }
    }

    /// Shows all that is left of all logs.
    pub fn end_all(&mut self, mut show: impl FnMut(Output<'_>)) {
        let steps: Vec<usize> = self.0.keys().copied().collect();
        for step in steps {
            self.end(step, &mut show);
        }
    }
}

/// The step whose command has ended with this event.
pub fn ended_step(kind: &EventKind) -> Option<usize> {
    match kind {
        EventKind::Finished { step, .. } | EventKind::Failed { step, .. } => Some(*step),
        _ => None,
    }
}
