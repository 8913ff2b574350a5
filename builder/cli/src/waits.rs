//! Waits for other processes, and work that takes a while: told among the events of the work, or on standard error where these are not
//! shown, and ended by what stops the work. Unaware of what is waited for.

use kiln_cache::{Progress, Waiter, Work};
use kiln_engine::event::{Cancel, EventKind, Events};
use kiln_engine::remote::Remote;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// The store's waits on behalf of one command.
#[derive(Debug)]
pub struct Waits {
    /// While the work goes on; a renderer shows all until the last one who could tell something is gone.
    events: Mutex<Option<Events>>,
    cancel: Cancel,
}

impl Waits {
    /// Of work that uses this way to registries, and is told and stopped with it.
    pub fn of(remote: &Remote) -> Self {
        Waits {
            events: Mutex::new(Some(remote.events.clone()).filter(Events::are_heard)),
            cancel: remote.cancel.clone(),
        }
    }

    /// Of the same work before anybody shows its events: [`Waits::heard`] tells when that begins.
    pub fn unheard(remote: &Remote) -> Self {
        Waits {
            events: Mutex::default(),
            cancel: remote.cancel.clone(),
        }
    }

    /// From now on the events of the work are shown.
    pub fn heard(&self, events: &Events) {
        let mut heard = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        *heard = Some(events.clone()).filter(Events::are_heard);
    }

    /// Of a command that a signal ends at once.
    pub fn unwatched() -> Self {
        Waits {
            events: Mutex::default(),
            cancel: Cancel::default(),
        }
    }
}

impl Waiter for Waits {
    fn is_stopped(&self) -> bool {
        self.cancel.requested()
    }

    fn tell(&self, what: &str) {
        let (host, what) = ("another step or process".to_owned(), what.to_owned());
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        match &*events {
            Some(events) => events.send(EventKind::Waiting { host, what }),
            None => {
                // The command goes on when nobody can read it.
                let _ = writeln!(std::io::stderr(), "waiting for {host}: {what}");
            }
        }
    }

    fn works(&self, work: Work, what: &str, progress: Progress) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(events) = &*events {
            events.works(work, what, progress);
        }
    }

    fn release(&self) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        *events = None;
    }
}
