//! The same for a process that somebody attends: what it changes is thrown away unless somebody wants to have it. Unaware of who attends.

use super::rootfs::{Changes, Space};
use super::{Local, is_refusal};
use crate::execute::process::Process;
use crate::execute::runner::Below;
use crate::execute::runner::attended::{Attendant, Attended, Keeps};
use crate::failure::StepError;
use kiln_cache::{CopiedTree, Layer};
use kiln_sandbox::{ChangesIn, Exit, Lent, RootMount, plain_folder};

impl Local<'_> {
    /// Runs it with its changes in the best place that works.
    pub(super) fn attend_somewhere(
        &self,
        below: &Below<'_>,
        process: &Process,
        (attendant, keeps): (&dyn Attendant, Keeps<'_>),
    ) -> Result<Attended, StepError> {
        loop {
            let place = self.session.changes.now();
            match self.attend_in(place, below, process, (attendant, keeps)) {
                Err(error) if place != ChangesIn::Copy && is_refusal(&error) => {
                    self.give_up(place, &error);
                }
                Err(error) => return Err(error),
                Ok(((exit, lent), changes)) => {
                    let layer = self.kept(changes, below, (keeps, place))?;
                    return Ok(Attended { exit, lent, layer });
                }
            }
        }
    }

    /// What is to become a layer of changes in a place.
    fn kept(
        &self,
        changes: Changes,
        below: &Below<'_>,
        how: (Keeps<'_>, ChangesIn),
    ) -> Result<Option<Layer>, StepError> {
        match how {
            (Keeps::In(_) | Keeps::Until(_), ChangesIn::Store) => Ok(None),
            (Keeps::In(_) | Keeps::Layer, _) => self.commit(changes, below),
            (Keeps::Nothing | Keeps::Until(_), _) => {
                // what stays is scratch, which goes with this process
                let _ = changes.discard(self.session);
                Ok(None)
            }
        }
    }

    fn attend_in(
        &self,
        place: ChangesIn,
        below: &Below<'_>,
        process: &Process,
        (attendant, keeps): (&dyn Attendant, Keeps<'_>),
    ) -> Result<((Exit, Lent), Changes), StepError> {
        let space = Space::open(self.session, place)?;
        let container = match keeps {
            Keeps::In(id) | Keeps::Until(id) if place == ChangesIn::Store => {
                Some((id, !keeps.is_nothing()))
            }
            _ => None,
        };
        let (root, changes) = space.root(self.session, below, container)?;
        self.tell(place);
        let ended = self.attend(process, root, &space, (attendant, keeps))?;
        Ok((ended, changes))
    }

    /// Runs it in a copy of layers, where nothing can be mounted.
    pub(in crate::execute::runner) fn attend_in_tree(
        &self,
        process: &Process,
        attendant: &dyn Attendant,
        tree: &CopiedTree,
    ) -> Result<(Exit, Lent), StepError> {
        let store = &self.session.store;
        let aside = store.scratch().dir("aside")?;
        let root = plain_folder(&tree.path, &aside)?;
        let attended = (attendant, Keeps::Layer);
        let ended = self.attend(process, root, &Space::Plain, attended);
        store.scratch().discard(&aside)?;
        ended
    }

    fn attend(
        &self,
        process: &Process,
        root: RootMount,
        space: &Space,
        (attendant, keeps): (&dyn Attendant, Keeps<'_>),
    ) -> Result<(Exit, Lent), StepError> {
        let failed = |source| StepError::Io {
            action: "take over",
            path: "standard input and output".into(),
            source,
        };
        let (given, mut spec, _caches) = self.ready(process, space, None)?;
        spec.is_thrown_away = keeps.is_nothing();
        let stdio = attendant.streams().map_err(failed)?;
        let streams = (stdio, attendant.terminal());
        let mut running = given.run(&self.ahead, (&root, &spec), streams)?;
        // before it is left alone, and before anything of its own is shown
        running.notes().iter().for_each(|note| attendant.note(note));
        let terminal = running.take_terminal();
        let started = attendant.started(running.kill_handle(), terminal);
        started.map_err(failed)?;
        let ended = self.wait(running, given.sockets);
        ended.inspect(|_| attendant.ended())
    }
}
