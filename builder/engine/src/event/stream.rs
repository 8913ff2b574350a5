//! The stream of events: senders that never wait, and the reader that they arrive at. Unaware of what the events say.

use super::{Event, EventKind};
use jiff::{SignedDuration, Timestamp};
use kiln_cache::{Progress, Work};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// While this many events wait for the reader, transfers and work that have not ended are not reported.
const BEHIND: usize = 1000;

/// A cloneable sender of events for one build. Sending never blocks and never fails, even when nobody listens.
#[derive(Debug, Clone)]
pub struct Events {
    build: String,
    begun: Instant,
    began: Timestamp,
    sender: Option<Sender<Event>>,
    noted: Arc<Mutex<BTreeSet<String>>>,
    waiting: Arc<AtomicUsize>,
}

/// The events of a build, in order.
#[derive(Debug)]
pub struct Stream {
    receiver: Receiver<Event>,
    waiting: Arc<AtomicUsize>,
}

impl Events {
    /// Events of the build `build`, and where they arrive.
    #[must_use]
    pub fn new(build: String) -> (Self, Stream) {
        let (sender, receiver) = channel();
        let waiting = Arc::<AtomicUsize>::default();
        let events = Events {
            build,
            begun: Instant::now(),
            began: Timestamp::now(),
            sender: Some(sender),
            noted: Arc::default(),
            waiting: waiting.clone(),
        };
        (events, Stream { receiver, waiting })
    }

    /// Nobody listens.
    #[must_use]
    pub fn ignored() -> Self {
        Events {
            build: String::new(),
            begun: Instant::now(),
            began: Timestamp::now(),
            sender: None,
            noted: Arc::default(),
            waiting: Arc::default(),
        }
    }

    /// What names the build; nothing where nobody listens.
    #[must_use]
    pub fn build(&self) -> &str {
        &self.build
    }

    /// Whether anybody may listen.
    #[must_use]
    pub fn are_heard(&self) -> bool {
        self.sender.is_some()
    }

    /// Sends one event.
    pub fn send(&self, kind: EventKind) {
        let Some(sender) = &self.sender else {
            return;
        };
        let goes_on = matches!(
            kind,
            EventKind::Transfer { ended: false, .. } | EventKind::Work { ended: false, .. }
        );
        if goes_on && self.waiting.load(Ordering::Relaxed) >= BEHIND {
            return;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let elapsed = self.begun.elapsed();
        let passed = SignedDuration::try_from(elapsed).unwrap_or_default();
        // The renderer is gone only when the process is ending.
        let _ = sender.send(Event {
            build: self.build.clone(),
            time: self.began.checked_add(passed).unwrap_or(self.began),
            at_us: micros(elapsed),
            kind,
        });
    }

    /// Sends how far a store's work is.
    pub fn works(&self, work: Work, what: &str, progress: Progress) {
        self.send(EventKind::Work {
            work,
            what: what.to_owned(),
            done: progress.done,
            total: progress.total,
            ended: progress.ended,
            took_us: micros(progress.took),
        });
    }

    /// Sends a note, unless it was sent before.
    pub fn note(&self, message: impl Into<String>) {
        let message = message.into();
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.insert(message.clone()) {
            self.send(EventKind::Note { message });
        }
    }

    /// Sends a warning.
    pub fn warn(&self, message: impl Into<String>) {
        self.send(EventKind::Warning {
            message: message.into(),
        });
    }
}

/// In microseconds.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Stream {
    /// The next event, if it comes within `patience`.
    ///
    /// # Errors
    /// None came in time, or none will come because all senders are gone.
    pub fn next(&self, patience: Duration) -> Result<Event, RecvTimeoutError> {
        let event = self.receiver.recv_timeout(patience)?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Direction;

    fn transfer(done: u64, ended: bool) -> EventKind {
        EventKind::Transfer {
            direction: Direction::Download,
            repository: "example.org/app".to_owned(),
            blob: "sha256:00".to_owned(),
            done,
            total: 1 << 40,
            ended,
            took_us: done,
        }
    }

    #[test]
    fn a_reader_that_has_stopped_costs_little_and_misses_no_end() {
        let (events, stream) = Events::new("b".to_owned());
        for done in 0..1_000_000 {
            events.send(transfer(done, false));
        }
        events.send(transfer(1 << 40, true));
        events.warn("last");
        drop(events);
        let told: Vec<Event> = std::iter::from_fn(|| stream.next(Duration::ZERO).ok()).collect();
        assert_eq!(told.len(), BEHIND + 2);
        let is_end = |event: &Event| matches!(event.kind, EventKind::Transfer { ended: true, .. });
        assert!(is_end(&told[BEHIND]));
        // a reader that catches up gets transfers again
        let (events, stream) = Events::new("b".to_owned());
        for done in 0..3 * BEHIND as u64 {
            events.send(transfer(done, false));
            assert!(stream.next(Duration::ZERO).is_ok());
        }
    }
}
