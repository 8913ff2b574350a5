//! A renderer that also keeps the events, for a command that reads them after the build. Unaware of what they say; those that tell of
//! a moment are not kept.

use super::{Renderer, Stop};
use kiln_engine::event::{Event, EventKind};
use std::sync::{Arc, Mutex, PoisonError};

/// Shows by another renderer, and keeps.
pub struct Recorded {
    shown: Box<dyn Renderer>,
    kept: Record,
}

/// The events that were kept.
#[derive(Debug, Clone, Default)]
pub struct Record(Arc<Mutex<Vec<Event>>>);

impl Recorded {
    /// Shows by `shown`; the events can be taken from the record.
    pub fn new(shown: Box<dyn Renderer>) -> (Self, Record) {
        let kept = Record::default();
        let recorded = Recorded {
            shown,
            kept: kept.clone(),
        };
        (recorded, kept)
    }
}

impl Record {
    /// All events so far; none stays.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Renderer for Recorded {
    fn handle(&mut self, event: &Event) {
        self.shown.handle(event);
        // a log would be an open file for as long as the record stays
        let is_passing = matches!(
            event.kind,
            EventKind::Transfer { ended: false, .. }
                | EventKind::Work { ended: false, .. }
                | EventKind::Log { .. }
        );
        if !is_passing {
            let mut kept = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(event.clone());
        }
    }

    fn note(&mut self, event: &Event) {
        self.shown.note(event);
    }

    fn tick(&mut self) -> bool {
        self.shown.tick()
    }

    fn stop(&mut self, stop: Stop) {
        self.shown.stop(stop);
    }

    fn finish(&mut self) {
        self.shown.finish();
    }
}
