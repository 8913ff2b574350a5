//! What a RUN stands on while the layers below it are still being written: finished layers, and the uppers of the RUNs before it on
//! top. Unaware of who writes those layers, and of mounts.

use crate::plan::output::Stack;
use kiln_cache::Upper;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A RUN's upper that serves as the next RUN's lower while its layer is being written.
#[derive(Debug)]
pub struct LiveUpper {
    upper: Upper,
    place: Mutex<PathBuf>,
}

impl LiveUpper {
    /// An upper that nothing writes to any more.
    pub fn new(upper: Upper) -> Self {
        let place = Mutex::new(upper.upper.clone());
        LiveUpper { upper, place }
    }

    /// Where the directory is; it stays there while the guard lives.
    pub fn place(&self) -> MutexGuard<'_, PathBuf> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the directory: `adopt` renames it and returns its new place.
    ///
    /// # Errors
    /// Those of `adopt`; the place is as before then.
    pub fn relocate<E>(&self, adopt: impl FnOnce(&Upper) -> Result<PathBuf, E>) -> Result<(), E> {
        let mut place = self.place();
        *place = adopt(&self.upper)?;
        Ok(())
    }
}

/// Uppers on top of finished layers.
#[derive(Debug, Clone)]
pub struct Live {
    /// What is finished.
    pub base: Stack,
    /// Uppers whose layers are not finished, bottom first.
    pub uppers: Vec<Arc<LiveUpper>>,
}

impl Live {
    /// Finished layers alone.
    pub fn finished(base: Stack) -> Self {
        let uppers = Vec::new();
        Live { base, uppers }
    }

    /// The same with one more upper on top.
    pub fn with(&self, upper: Arc<LiveUpper>) -> Self {
        let mut live = self.clone();
        live.uppers.push(upper);
        live
    }
}
