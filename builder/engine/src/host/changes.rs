//! Where the changes of RUN go on this machine: the best place that has not failed yet. Unaware of why one fails.

use kiln_sandbox::ChangesIn;
use std::sync::{Arc, Mutex, PoisonError};

/// The place, shared by all steps of a process.
#[derive(Debug, Clone)]
pub struct ChangesPlace(Arc<Mutex<ChangesIn>>);

impl ChangesPlace {
    /// Begins with the one that looks best.
    pub fn new(best: ChangesIn) -> Self {
        Self(Arc::new(Mutex::new(best)))
    }

    /// The best by now.
    pub fn now(&self) -> ChangesIn {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place does not work: from now on it is the next one, unless another step has found that already.
    pub fn give_up(&self, place: ChangesIn) {
        let next = match place {
            ChangesIn::Store => ChangesIn::Memory,
            ChangesIn::Memory | ChangesIn::Copy => ChangesIn::Copy,
        };
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = next.max(*now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_was_given_up_never_comes_back() {
        let place = ChangesPlace::new(ChangesIn::Store);
        place.give_up(ChangesIn::Memory);
        place.give_up(ChangesIn::Store);
        assert_eq!(place.now(), ChangesIn::Copy);
    }
}
