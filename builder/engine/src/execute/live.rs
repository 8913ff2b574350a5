//! What a RUN stands on while the layers below it are still being written: finished layers, and the uppers of the RUNs before it on
//! top. Unaware of who writes those layers, and of mounts.

use crate::plan::output::Stack;
use kiln_cache::Upper;
use kiln_oci::Digest;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Where an upper is.
#[derive(Debug)]
pub struct Place {
    /// The directory.
    pub path: PathBuf,
    /// Whether some step has it mounted, or had.
    is_lower: bool,
}

/// A RUN's upper that serves as the next RUN's lower while its layer is being written.
#[derive(Debug)]
pub struct LiveUpper {
    upper: Upper,
    place: Mutex<Place>,
    /// The layer that was made of it, once it is written; none where nothing had changed.
    layer: OnceLock<Option<Digest>>,
}

impl LiveUpper {
    /// An upper that nothing writes to any more.
    pub fn new(upper: Upper) -> Self {
        LiveUpper {
            place: Mutex::new(Place {
                path: upper.upper.clone(),
                is_lower: false,
            }),
            upper,
            layer: OnceLock::new(),
        }
    }

    /// Its layer is written: the one that was made of it, also where an earlier one with other times is the step's result.
    pub fn written(&self, layer: Option<Digest>) {
        // it is written once
        let _ = self.layer.set(layer);
    }

    /// Where the directory is; it stays there while the guard lives.
    pub fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, for a mount of which it becomes a part.
    pub fn lower(&self) -> MutexGuard<'_, Place> {
        let mut place = self.place();
        place.is_lower = true;
        place
    }

    /// Moves the directory: `adopt` renames it and returns its new place. Nothing happens where it changes what is in the directory
    /// and another step has it mounted.
    ///
    /// # Errors
    /// Those of `adopt`; the place is as before then.
    pub fn relocate<E>(
        &self,
        only_moves: bool,
        adopt: impl FnOnce(&Upper) -> Result<PathBuf, E>,
    ) -> Result<(), E> {
        let mut place = self.place();
        if only_moves || !place.is_lower {
            place.path = adopt(&self.upper)?;
        }
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

    /// Its layers, bottom first: what a process on top of it has seen below. All must be written.
    pub fn layers(&self) -> Vec<Digest> {
        let written = self.uppers.iter().filter_map(|upper| *upper.layer.get()?);
        self.base.layers.iter().copied().chain(written).collect()
    }

    /// The same with one more upper on top.
    pub fn with(&self, upper: Arc<LiveUpper>) -> Self {
        let mut live = self.clone();
        live.uppers.push(upper);
        live
    }
}
