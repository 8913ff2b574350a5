//! One cancellation token for a whole build. Unaware of signals: the command line turns SIGINT and SIGTERM into calls.
//!
//! The first request stops steps and lets commits finish; the second one kills. Code that runs a process registers how to kill
//! it, so that a request reaches children that are blocked in the kernel. Who asks whether to stop is in work that takes a while: what is
//! needed to hear the answer need not be there before ([`Cancel::put_off`]).

use super::lasting::Lasting;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How urgently the build should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// No request was made.
    Continue,
    /// Stop steps, finish what is being written.
    Stop,
    /// Leave everything as it is; the store repairs itself.
    Kill,
}

type Killer = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Inner {
    level: AtomicU8,
    /// A step has failed.
    failed: AtomicBool,
    next: AtomicU64,
    killers: Mutex<Vec<(u64, Killer)>>,
    lasting: Lasting,
}

/// A cloneable handle; all clones share one state.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Inner>);

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cancel").field(&self.urgency()).finish()
    }
}

impl Cancel {
    /// The most urgent request so far.
    #[must_use]
    pub fn urgency(&self) -> Urgency {
        match self.0.level.load(Ordering::SeqCst) {
            0 if !self.0.failed.load(Ordering::SeqCst) => Urgency::Continue,
            0 | 1 => Urgency::Stop,
            _ => Urgency::Kill,
        }
    }

    /// True once a signal asked to stop, whatever failed.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.0.level.load(Ordering::SeqCst) > 0
    }

    /// True once anything was requested. Asked where work takes a while.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.lasts();
        self.urgency() > Urgency::Continue
    }

    /// `begin` is called once, when work begins that takes a while: where somebody asks whether to stop it, and where [`Cancel::lasts`] is
    /// called. It must not ask itself.
    pub fn put_off(&self, begin: impl FnOnce() + Send + 'static) {
        self.0.lasting.put_off(begin);
    }

    /// What begins now takes a while.
    pub fn lasts(&self) {
        self.0.lasting.lasts();
    }

    /// Asks once more: stop, then kill. Running processes are killed at once either way.
    pub fn request(&self) {
        let raised = self.0.level.load(Ordering::SeqCst).saturating_add(1).min(2);
        self.0.level.store(raised, Ordering::SeqCst);
        self.kill_registered();
    }

    /// Stops the other steps after one has failed; never lowers what a signal asked for.
    pub fn stop(&self) {
        self.0.failed.store(true, Ordering::SeqCst);
        self.kill_registered();
    }

    /// Another attempt begins: [`Cancel::stop`] is forgotten, a request of the user is not.
    pub fn begin_again(&self) {
        self.0.failed.store(false, Ordering::SeqCst);
    }

    /// Registers how to kill a running process for as long as the guard lives. If a request was made already, `kill` is
    /// called at once, so that no child slips between the check and its start.
    pub fn on_request(&self, kill: impl Fn() + Send + Sync + 'static) -> Registered {
        let id = self.0.next.fetch_add(1, Ordering::SeqCst);
        self.killers().push((id, Box::new(kill)));
        if self.requested() {
            self.kill_registered();
        }
        Registered {
            cancel: self.clone(),
            id,
        }
    }

    fn kill_registered(&self) {
        for (_, kill) in self.killers().iter() {
            kill();
        }
    }

    fn killers(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Killer)>> {
        self.0
            .killers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Unregisters its process when dropped.
#[derive(Debug)]
pub struct Registered {
    cancel: Cancel,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.cancel.killers().retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn second_request_is_more_urgent_than_the_first() {
        let cancel = Cancel::default();
        assert!(!cancel.requested());
        cancel.request();
        assert_eq!(cancel.urgency(), Urgency::Stop);
        cancel.stop();
        assert_eq!(cancel.urgency(), Urgency::Stop);
        cancel.request();
        cancel.stop();
        assert_eq!(cancel.urgency(), Urgency::Kill);
    }

    #[test]
    fn another_attempt_forgets_failures_and_no_signal() {
        let cancel = Cancel::default();
        cancel.stop();
        assert!(cancel.requested() && !cancel.is_interrupted());
        cancel.begin_again();
        assert!(!cancel.requested());
        cancel.request();
        cancel.begin_again();
        assert!(cancel.requested() && cancel.is_interrupted());
    }

    #[test]
    fn a_process_registered_late_is_killed_at_once_and_only_while_registered() {
        let cancel = Cancel::default();
        let kills = Arc::new(AtomicUsize::new(0));
        let seen = kills.clone();
        cancel.stop();
        let guard = cancel.on_request(move || {
            seen.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(kills.load(Ordering::SeqCst), 1);
        drop(guard);
        cancel.request();
        assert_eq!(kills.load(Ordering::SeqCst), 1);
    }
}
