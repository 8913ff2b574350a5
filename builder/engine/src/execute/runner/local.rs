//! The runner of this machine: namespaces, and an overlay on views of the layers below. Its changes go into the store, else into
//! memory, else into a copy of the tree. The first process that needs it finds out what works here, and says it once; a process that
//! fills the memory runs again, on a copy. Unaware of what a command does.

mod attended;
mod caches;
mod command;
mod memory;
pub mod rootfs;

use crate::exchange::mounts::Mounts;
use crate::execute::process::Process;
use crate::execute::room;
use crate::execute::runner::attended::{Attendant, Attended, Keeps};
use crate::execute::runner::console::Console;
use crate::execute::runner::{Below, Changed, Runner};
use crate::failure::{StepError, chain_of_causes};
use crate::session::Session;
use caches::Caches;
use kiln_cache::{CommitOptions, CopiedTree, Disk, Isolation, Layer};
use kiln_oci::Digest;
use kiln_sandbox::{
    Ahead, Cgroup, ChangesIn, MountError, is_on_overlay, memory_for_changes, plain_folder,
};
use memory::Watch;
use rootfs::{Changes, Space};
use std::sync::Arc;

/// A disk with less than this is full for a command that says so.
const FULL: u64 = 16 << 20;
const ADVICE: &str = "A volume for the store is faster and larger";

/// Processes of one build on this machine.
#[derive(Debug)]
pub struct Local<'a> {
    session: &'a Session,
    /// How changes become a layer.
    commit: CommitOptions,
    /// What every process is put into.
    cgroup: Option<Cgroup>,
    /// The limit of its memory, for messages.
    memory: Option<u64>,
    /// Where its cache directories are from.
    caches: Caches<'a>,
    /// What is started before it is needed.
    ahead: Arc<Ahead>,
}

impl<'a> Local<'a> {
    /// For processes that are all put into `cgroup`, whose limit of memory is `memory`.
    pub fn new(
        session: &'a Session,
        commit: CommitOptions,
        (cgroup, memory): (Option<Cgroup>, Option<u64>),
        mounts: &'a Mounts,
    ) -> Self {
        Local {
            session,
            commit,
            cgroup,
            memory,
            caches: Caches::new(mounts),
            ahead: session.ahead.clone().unwrap_or_default(),
        }
    }

    /// Runs the process with its changes in one place; none if they filled the memory.
    fn attempt(
        &self,
        below: &Below<'_>,
        process: &Process,
        console: &Console<'_>,
        place: ChangesIn,
    ) -> Result<Option<Changed>, StepError> {
        let space = Space::open(self.session, place)?;
        let (root, changes) = space.root(self.session, below, None)?;
        self.tell(place);
        let watch = space.gauge().map(Watch::start).transpose()?;
        let ended = self.execute(process, root, &space, console);
        let was_full = watch.is_some_and(|watch| watch.was_full() || memory::ran_out(&ended));
        if was_full && !self.session.cancel.requested() {
            return Ok(None);
        }
        ended.map_err(|error| match &changes {
            Changes::Upper(upper) if place == ChangesIn::Store && console.keep(upper) => error,
            _ => self.without(&changes, error),
        })?;
        match changes {
            Changes::Upper(upper) if place == ChangesIn::Store => Ok(Some(Changed::Upper(upper))),
            changes => Ok(Some(Changed::Layer(self.commit(changes, below)?))),
        }
    }

    /// What a command that failed has written goes at once where it has filled the disk.
    fn without(&self, changes: &Changes, error: StepError) -> StepError {
        if is_for_want_of_room(self.session, &error) {
            // what stays is scratch, which goes with the build
            let _ = changes.discard(self.session);
        }
        error
    }

    /// Makes a layer of what cannot be the lower of another overlay: changes in memory, whose room is given back, and copies.
    fn commit(&self, changes: Changes, below: &Below<'_>) -> Result<Option<Layer>, StepError> {
        let store = &self.session.store;
        let below = store.layers().chain(&(below.written)()?)?;
        match changes {
            Changes::Upper(upper) => Ok(store
                .layers()
                .commit_upper(&upper.upper, &below, &self.commit)?
                .layer),
            Changes::Copy(mut copy) => {
                let layer = store
                    .layers()
                    .commit_copy(&mut copy, &below, &self.commit)?;
                store.scratch().discard(&copy.path)?;
                Ok(layer)
            }
        }
    }

    /// Runs the process in a copy of these layers, where nothing can be mounted.
    pub(super) fn run_in_tree(
        &self,
        process: &Process,
        console: &Console<'_>,
        (tree, layers): (&mut CopiedTree, &[Digest]),
    ) -> Result<Option<Layer>, StepError> {
        let store = &self.session.store;
        let aside = store.scratch().dir("aside")?;
        let root = plain_folder(&tree.path, &aside)?;
        let ended = self.execute(process, root, &Space::Plain, console);
        store.scratch().discard(&aside)?;
        ended?;
        self.commit_tree(tree, layers)
    }

    /// Makes a layer of what differs in a copy of these layers.
    pub(super) fn commit_tree(
        &self,
        tree: &mut CopiedTree,
        layers: &[Digest],
    ) -> Result<Option<Layer>, StepError> {
        let layers_of = self.session.store.layers();
        let below = layers_of.chain(layers)?;
        Ok(layers_of.commit_copy(tree, &below, &self.commit)?)
    }

    fn tell(&self, place: ChangesIn) {
        let does = match place {
            ChangesIn::Store => return,
            ChangesIn::Memory => {
                let limit = memory_for_changes() >> 20;
                format!("writes to memory (at most {limit} MiB)")
            }
            ChangesIn::Copy => "works on a copy of its tree, which is slow".to_owned(),
        };
        let store = if is_on_overlay(self.session.store.root()) {
            "the store is on overlayfs"
        } else {
            "the store cannot hold the changes of RUN"
        };
        let note = format!("{store}; RUN {does}. {ADVICE}");
        self.session.events.note(note);
    }

    /// A place for changes does not work.
    fn give_up(&self, place: ChangesIn, error: &StepError) {
        tracing::debug!("changes in {place:?}: {}", chain_of_causes(error));
        self.session.changes.give_up(place);
    }

    fn tell_of_filled(&self, title: &str) {
        let limit = memory_for_changes() >> 20;
        self.session.events.note(format!(
            "{title} filled the memory for its changes ({limit} MiB): it runs again, on a copy of its tree. {ADVICE}"
        ));
    }
}

impl Runner for Local<'_> {
    fn check(&self) -> Result<(), StepError> {
        let refused = self.session.refused.clone();
        refused.map_or(Ok(()), |refused| Err(StepError::NoNamespaces(refused)))
    }

    fn isolation(&self) -> Isolation {
        Isolation::Namespaces
    }

    fn prepare(&self, layers: &[Digest]) -> Result<(), StepError> {
        let store = &self.session.store;
        let is_mounted = self.check().is_ok() && self.session.changes.now() != ChangesIn::Copy;
        match is_mounted {
            true => store.views().get(layers).map(|_| ())?,
            false => store.fetch().layers(layers)?,
        }
        Ok(())
    }

    fn expect(&self, commands: usize, surely: bool) {
        if self.check().is_ok() {
            self.ahead.expect(commands, surely);
        }
    }

    fn run(
        &self,
        below: &Below<'_>,
        process: &Process,
        console: &Console<'_>,
    ) -> Result<Changed, StepError> {
        let attempt = |place| self.attempt(below, process, console, place);
        let mut is_first = true;
        loop {
            let place = self.session.changes.now();
            match attempt(place) {
                Err(error) if is_first && is_for_want_of_room(self.session, &error) => {
                    is_first = false;
                    if !room::is_made(self.session) {
                        return Err(error);
                    }
                }
                Err(error) if place != ChangesIn::Copy && is_refusal(&error) => {
                    self.give_up(place, &error);
                }
                Ok(None) => {
                    self.tell_of_filled(&console.step.node.title);
                    let copied = attempt(ChangesIn::Copy)?;
                    return copied.ok_or(StepError::Cancelled);
                }
                Ok(Some(changed)) => return Ok(changed),
                Err(error) => return Err(error),
            }
        }
    }
    fn attend(
        &self,
        below: &Below<'_>,
        process: &Process,
        attended: (&dyn Attendant, Keeps<'_>),
    ) -> Result<Attended, StepError> {
        self.check()?;
        self.attend_somewhere(below, process, attended)
    }
}

/// Whether a command failed because the store's disk is full.
fn is_for_want_of_room(session: &Session, error: &StepError) -> bool {
    let disk = || Disk::of(session.store.root());
    memory::complains_of_room(error) && disk().is_some_and(|disk| disk.free < FULL)
}

/// Whether the kernel or the file system refuses such a place. Nothing has run then.
fn is_refusal(error: &StepError) -> bool {
    matches!(
        error,
        StepError::Mount(MountError::Step { .. })
            | StepError::Io {
                action: rootfs::MOUNT_MEMORY,
                ..
            }
    )
}
