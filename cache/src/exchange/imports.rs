//! What one build imports, and what it finds out about that. Two builds in one process know nothing of each other's losses. Unaware
//! of the database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use kiln_oci::{Digest, locked};

use crate::ExportedBuild;

/// Why an imported layer does not count any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// It cannot be fetched.
    Absent,
    /// It holds other files than its record says.
    Disproved,
}

/// The caches that a build imports.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    /// Their names, in the order in which the build names them.
    pub(crate) named: Vec<String>,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// Layers that were lost since somebody last asked.
    lost: BTreeMap<Digest, Loss>,
    /// Lost layers that caches had promised.
    forgotten: BTreeSet<Digest>,
    /// By layer that was not here, the trees that the build counts on.
    claimed: BTreeMap<Digest, Vec<Digest>>,
    /// The build that the first of the caches is of which says so.
    build: Option<Arc<ExportedBuild>>,
}

impl Imports {
    pub(crate) fn of(named: impl IntoIterator<Item = String>) -> Self {
        Self {
            named: named.into_iter().collect(),
            ..Self::default()
        }
    }

    pub(crate) fn lose(&self, layer: &Digest, loss: Loss) {
        let mut found = self.found();
        let known = found.lost.entry(*layer).or_insert(loss);
        *known = loss.max(*known);
    }

    /// What was lost since the last call.
    pub(crate) fn take_lost(&self) -> BTreeMap<Digest, Loss> {
        std::mem::take(&mut self.found().lost)
    }

    /// These layers are not asked for again, and no claim about them counts.
    pub(crate) fn forget<'a>(&self, layers: impl IntoIterator<Item = &'a Digest>) {
        let mut found = self.found();
        for layer in layers {
            found.forgotten.insert(*layer);
            found.claimed.remove(layer);
        }
    }

    pub(crate) fn forgotten(&self) -> BTreeSet<Digest> {
        self.found().forgotten.clone()
    }

    /// The build counts on it that the layer has this tree.
    pub(crate) fn claim(&self, layer: Digest, tree: Digest) {
        self.found().claimed.entry(layer).or_default().push(tree);
    }

    pub(crate) fn claimed(&self, layer: &Digest) -> Option<Vec<Digest>> {
        self.found().claimed.get(layer).cloned()
    }

    /// The claims about a layer are true.
    pub(crate) fn confirm(&self, layer: &Digest) {
        self.found().claimed.remove(layer);
    }

    pub(crate) fn hear(&self, build: ExportedBuild) {
        self.found().build.get_or_insert_with(|| Arc::new(build));
    }

    pub(crate) fn heard(&self) -> Option<Arc<ExportedBuild>> {
        self.found().build.clone()
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        locked(&self.found)
    }
}
