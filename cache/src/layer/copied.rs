//! A copied tree that a RUN has changed becomes a layer: what differs from the chain that it was copied from, and what is gone. The
//! differences are written as those of uppers are ([`commit`](crate::layer::commit)). What nobody has touched since the last look at the tree
//! ([`TreeState`]) is neither read nor compared.

pub(crate) mod state;

use crate::layer::commit::Commit;
use crate::layer::gone::{Shown, whiteouts};
use crate::layer::upper::{UpperDir, UpperEntry};
use crate::path::parent;
use crate::view::copy::CopiedTree;
use crate::{Chain, CommitError, CommitOptions, Layer, Layers};
use state::TreeState;

impl Layers<'_> {
    /// Makes a layer of what changed in a copy of `below`; none where nothing did. The copy is then one of `below` with the layer on top, if it
    /// says so ([`CopiedTree::is_current`]).
    ///
    /// # Errors
    /// As [`Layers::commit_upper`].
    pub fn commit_copy(
        &self,
        copy: &mut CopiedTree,
        below: &Chain,
        options: &CommitOptions,
    ) -> Result<Option<Layer>, CommitError> {
        let mut directory = UpperDir::open_unmarked(&copy.path)?;
        let (mut entries, state) = TreeState::look(&directory)?;
        let gone = gone(&entries, copy);
        entries.extend(gone);
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let mut commit = Commit::new(below, options).since(&copy.state);
        let committed = self.commit_entries(&mut directory, &entries, &mut commit)?;
        copy.is_current = !commit.splits_names;
        copy.state = state;
        Ok(committed.layer)
    }
}

/// Whiteouts of what was in the tree and is not any more. A device that could not be made in it is gone when its directory is another one.
fn gone(entries: &[UpperEntry], copy: &CopiedTree) -> Vec<UpperEntry> {
    let shown = Shown::new(entries);
    let is_in_new_directory = |device: &&[u8]| {
        let directory = parent(device).and_then(|parent| shown.get(parent));
        directory.is_some_and(|directory| !copy.state.has_inode(directory))
    };
    let absent = copy.absent.iter().map(|path| &**path);
    let was_there = copy.state.paths().chain(absent.filter(is_in_new_directory));
    whiteouts(&shown, was_there)
}
