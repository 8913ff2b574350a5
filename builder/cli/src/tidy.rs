//! Keeping the store to its budget after commands that are no build, and after builds that failed: once all is said. Unaware of what they did.

use crate::environment::Globals;
use crate::{session, signals, upkeep};

/// Cuts the store back, if there is one and it holds too much; images without names are not needed. What cannot be done is done by the next command; somebody who stops
/// kiln waits for nothing.
pub fn tidy(globals: &Globals) {
    let is_there = globals
        .store()
        .is_ok_and(|root| root.join("version").exists());
    if !is_there || signals::received().is_some() {
        return;
    }
    if let (Ok(budget), Ok(store)) = (upkeep::budget(), session::store(globals)) {
        upkeep::after(&store, &budget, None);
    }
}
