//! Waits for other processes and for other threads of this one: a wait ends when its caller is stopped, and is told once when it becomes
//! long. Unaware of what is waited for.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::{Progress, StoreError, Work};

/// A wait that lasts longer is told.
const NOTICE: Duration = Duration::from_secs(2);
/// The first pause between two looks; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// What the caller of a store does about waits, and about work that takes a while.
pub trait Waiter: Debug + Send + Sync {
    /// Whether what waits is to give up.
    fn is_stopped(&self) -> bool;

    /// A wait has become long; `what` says what another process has or does.
    fn tell(&self, what: &str);

    /// The store works on many bytes of `what`, a layer or an archive, and is so far.
    fn works(&self, _work: Work, _what: &str, _progress: Progress) {}

    /// The work is done, although the store stays open: who listened is no longer needed.
    fn release(&self) {}
}

/// Waits as long as it takes, in silence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Waiter for Silent {
    fn is_stopped(&self) -> bool {
        false
    }

    fn tell(&self, _what: &str) {}
}

/// A wait that has begun.
#[derive(Debug)]
pub(crate) struct Wait {
    begun: Instant,
    pause: Duration,
    is_told: bool,
}

impl Wait {
    pub(crate) fn begin() -> Self {
        Self {
            begun: Instant::now(),
            pause: FIRST_PAUSE,
            is_told: false,
        }
    }

    pub(crate) fn lasted(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Sleeps until it is time to look again.
    pub(crate) fn pause(&mut self, waiter: &dyn Waiter, what: &str) {
        if !self.is_told && self.lasted() > NOTICE {
            self.is_told = true;
            waiter.tell(what);
        }
        std::thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// The same, unless the caller is stopped.
    pub(crate) fn pause_or_stop(
        &mut self,
        waiter: &dyn Waiter,
        what: &str,
    ) -> Result<(), StoreError> {
        if waiter.is_stopped() {
            return Err(StoreError::Cancelled);
        }
        self.pause(waiter, what);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Debug, Default)]
    struct Counts(AtomicUsize);

    impl Waiter for Counts {
        fn is_stopped(&self) -> bool {
            self.0.load(Ordering::SeqCst) > 0
        }

        fn tell(&self, what: &str) {
            assert_eq!(what, "a step");
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_long_wait_is_told_once_and_a_stopped_one_ends() {
        let (waiter, mut wait) = (Counts::default(), Wait::begin());
        wait.pause_or_stop(&waiter, "a step").unwrap();
        assert!(!waiter.is_stopped());
        wait.begun -= NOTICE;
        wait.pause(&waiter, "a step");
        wait.pause(&waiter, "a step");
        assert_eq!(waiter.0.load(Ordering::SeqCst), 1);
        let stopped = wait.pause_or_stop(&waiter, "a step");
        assert!(matches!(stopped, Err(StoreError::Cancelled)));
    }
}
