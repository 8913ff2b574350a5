//! What a node of the graph gives to its users: a tree to copy from, or layers to stack. Unaware of how it was made.

use kiln_cache::{Caches, Chain, Isolation, KeyBuilder, Record, Store, StoreError};
use kiln_oci::Digest;
use std::sync::Arc;

/// Layers, and the digest of what they hold.
///
/// The content digest of a base image covers its diff IDs (they are known before a layer is there), that of a step covers
/// the tree without times: the same files give the same keys, on any machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Diff IDs, bottom first.
    pub layers: Vec<Digest>,
    /// Digest of the content, for keys.
    pub content: Digest,
    /// What the files rest on.
    pub basis: Basis,
}

/// What files rest on besides what they are made of; no part of any key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Basis {
    /// The shared caches that have said something of them.
    pub caches: Caches,
    /// The weakest isolation of the commands that have made them.
    pub isolation: Isolation,
}

impl Basis {
    /// This and the other.
    #[must_use]
    pub fn with(self, other: &Self) -> Self {
        Basis {
            caches: self.caches.with(&other.caches),
            isolation: self.isolation.min(other.isolation),
        }
    }
}

impl From<&Record> for Basis {
    fn from(record: &Record) -> Self {
        Basis {
            caches: record.caches.clone(),
            isolation: record.isolation,
        }
    }
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
            basis: Basis::default(),
        }
    }

    /// The same with a step's layer on top, or with the same files for a step that made none. `basis` is what its result rests on.
    #[must_use]
    pub fn with(&self, diff_id: Option<Digest>, tree: Digest, basis: &Basis) -> Self {
        let basis = self.basis.clone().with(basis);
        let Some(diff_id) = diff_id else {
            return Stack {
                basis,
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
            basis,
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

/// What a node gives to its users.
#[derive(Debug, Clone)]
pub enum Output {
    /// Files to copy from: a build context, and the digest of its content.
    Tree(Arc<Chain>, Digest),
    /// A file system.
    Layers(Arc<Done>),
}

impl Output {
    /// Layers that are there already.
    #[must_use]
    pub fn of(stack: Stack) -> Self {
        Output::Layers(Arc::new(Done { stack, step: None }))
    }

    /// Digest of the content, for keys.
    #[must_use]
    pub fn content(&self) -> Digest {
        match self {
            Output::Tree(_, digest) => *digest,
            Output::Layers(done) => done.stack.content,
        }
    }

    /// The file system; none of a build context.
    #[must_use]
    pub fn layers(&self) -> Option<&Arc<Done>> {
        match self {
            Output::Tree(..) => None,
            Output::Layers(done) => Some(done),
        }
    }

    /// The files.
    ///
    /// # Errors
    /// When the store fails.
    pub fn files(&self, store: &Store) -> Result<Chain, StoreError> {
        match self {
            Output::Tree(chain, _) => Ok(Chain::clone(chain)),
            Output::Layers(done) => store.layers().chain(&done.stack.layers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_follows_trees_of_steps_and_diff_ids_of_images() {
        let (a, b, tree) = (Digest::of(b"a"), Digest::of(b"b"), Digest::of(b"tree"));
        let (base, own) = (Stack::of_image(&[a]), Basis::default());
        let content = |diff_id, tree| base.with(diff_id, tree, &own).content;
        assert_ne!(base.content, Stack::of_image(&[b]).content);
        assert_eq!(content(Some(a), tree), content(Some(b), tree));
        assert_ne!(content(Some(a), tree), content(Some(a), a));
        assert_eq!(base.with(None, tree, &own), base);
    }

    #[test]
    fn what_stands_on_a_claim_rests_on_its_cache_and_on_the_weakest_isolation() {
        let (a, tree) = (Digest::of(b"a"), Digest::of(b"tree"));
        let claim = Basis {
            caches: Caches::one("cache"),
            isolation: Isolation::Unknown,
        };
        let claimed = Stack::of_image(&[a]).with(None, tree, &claim);
        assert_eq!(claimed.content, Stack::of_image(&[a]).content);
        let above = claimed.with(Some(a), tree, &Basis::default());
        assert_eq!(above.basis, claim);
    }
}
