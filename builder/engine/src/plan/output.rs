//! What a node of the graph gives to its users: a tree to copy from, or layers to stack, perhaps still being written.
//! Unaware of how it was made.

use crate::plan::pending::Pending;
use kiln_cache::{Caches, Chain, KeyBuilder, Upper};
use kiln_oci::Digest;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Layers, and the digest of what they hold.
///
/// The content digest of a base image covers its diff IDs (they are known before a layer is there), that of a step covers
/// the tree without times: whoever makes the same files gets the same keys, on any machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Diff IDs, bottom first.
    pub layers: Vec<Digest>,
    /// Digest of the content, for keys.
    pub content: Digest,
    /// The shared caches that the files rest on; no part of any key.
    pub caches: Caches,
}

impl Stack {
    /// No layers.
    #[must_use]
    pub fn empty() -> Self {
        Stack::of_image(&[])
    }

    /// An image's layers.
    #[must_use]
    pub fn of_image(diff_ids: &[Digest]) -> Self {
        let key = diff_ids
            .iter()
            .fold(KeyBuilder::new("image"), |key, id| key.input("layer", *id));
        Stack {
            layers: diff_ids.to_vec(),
            content: key.finish().0,
            caches: Caches::default(),
        }
    }

    /// The same with a step's layer on top, or with the same files for a step that made none. `caches` are those that its result rests on.
    #[must_use]
    pub fn with(&self, diff_id: Option<Digest>, tree: Digest, caches: &Caches) -> Self {
        let caches = self.caches.clone().with(caches);
        let Some(diff_id) = diff_id else {
            return Stack {
                caches,
                ..self.clone()
            };
        };
        let mut layers = self.layers.clone();
        layers.push(diff_id);
        let (content, _) = KeyBuilder::new("stack")
            .input("below", self.content)
            .input("tree", tree)
            .finish();
        Stack {
            layers,
            content,
            caches,
        }
    }
}

/// The result of an executed or cached step.
#[derive(Debug, Clone)]
pub struct StepResult {
    /// Its record's key.
    pub key: Digest,
    /// Its layer; `None` when it changed nothing.
    pub diff_id: Option<Digest>,
    /// Time of its first execution.
    pub created: i64,
}

/// A node's finished file system.
#[derive(Debug, Clone)]
pub struct Done {
    /// The layers.
    pub stack: Stack,
    /// The step itself; `None` for base images and scratch.
    pub step: Option<StepResult>,
}

/// A RUN's upper that serves as the next RUN's lower while its layer is being written.
#[derive(Debug)]
pub struct LiveUpper {
    upper: Upper,
    place: Mutex<PathBuf>,
}

impl LiveUpper {
    /// An upper that nothing writes to any more.
    #[must_use]
    pub fn new(upper: Upper) -> Self {
        let place = Mutex::new(upper.upper.clone());
        LiveUpper { upper, place }
    }

    /// Where the directory is; it stays there while the guard lives.
    pub fn place(&self) -> MutexGuard<'_, PathBuf> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory moves: `adopt` renames it and says where it is.
    ///
    /// # Errors
    /// Those of `adopt`; the place is as before then.
    pub fn relocate<E>(&self, adopt: impl FnOnce(&Upper) -> Result<PathBuf, E>) -> Result<(), E> {
        let mut place = self.place();
        *place = adopt(&self.upper)?;
        Ok(())
    }
}

/// Uppers on top of committed layers.
#[derive(Debug, Clone)]
pub struct Live {
    /// What is committed.
    pub base: Stack,
    /// Not yet committed uppers, bottom first.
    pub uppers: Vec<Arc<LiveUpper>>,
}

/// What a node gives.
#[derive(Debug, Clone)]
pub enum Output {
    /// Files to copy from: a build context.
    Tree(Arc<Chain>, Digest),
    /// A file system. `live` can be mounted at once; `done` comes when all layers are written.
    Layers {
        /// What can be mounted before `done`.
        live: Option<Arc<Live>>,
        /// The finished layers.
        done: Pending<Arc<Done>>,
    },
}

impl Output {
    /// Layers that are there already.
    #[must_use]
    pub fn of(stack: Stack) -> Self {
        Output::Layers {
            live: None,
            done: Pending::ready(Arc::new(Done { stack, step: None })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_follows_trees_of_steps_and_diff_ids_of_images() {
        let (a, b, tree) = (Digest::of(b"a"), Digest::of(b"b"), Digest::of(b"tree"));
        let (base, own) = (Stack::of_image(&[a]), Caches::default());
        let content = |diff_id, tree| base.with(diff_id, tree, &own).content;
        assert_ne!(base.content, Stack::of_image(&[b]).content);
        assert_eq!(content(Some(a), tree), content(Some(b), tree));
        assert_ne!(content(Some(a), tree), content(Some(a), a));
        assert_eq!(base.with(None, tree, &own), base);
    }

    #[test]
    fn what_stands_on_a_claim_rests_on_its_cache() {
        let (a, tree, cache) = (Digest::of(b"a"), Digest::of(b"tree"), Caches::one("cache"));
        let claimed = Stack::of_image(&[a]).with(None, tree, &cache);
        assert_eq!(claimed.content, Stack::of_image(&[a]).content);
        assert_eq!(
            claimed.with(Some(a), tree, &Caches::default()).caches,
            cache
        );
    }
}
