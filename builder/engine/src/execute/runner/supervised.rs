//! The runner for containers that forbid namespaces: a copy of the tree, in which the sandbox answers the calls that need more than files. What
//! needs namespaces is refused before anything runs. Unaware of what a command does.

use crate::execute::process::{Mounted, Process, ProcessNetwork};
use crate::execute::runner::attended::{Attendant, Attended, Keeps};
use crate::execute::runner::console::Console;
use crate::execute::runner::local::Local;
use crate::execute::runner::{Below, Changed, Runner};
use crate::failure::StepError;
use crate::session::Session;
use kiln_cache::{CopiedTree, Isolation, Layer};
use kiln_oci::Digest;
use kiln_sandbox::{SpawnError, try_supervised};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};

const NOTE: &str = "RUN uses a chroot whose calls kiln answers (supervised): sudo and other setuid programs fail; processes, network and \
                    memory are those of this container";

/// Processes of one build, each in a tree of its own.
#[derive(Debug)]
pub struct Supervised<'a> {
    session: &'a Session,
    local: Local<'a>,
    /// Whether it works here; found out once.
    tried: OnceLock<Result<(), Arc<SpawnError>>>,
    told: Once,
    /// Trees that are as these layers are, since a process has just left them: the next one needs no copy.
    left: Mutex<Vec<(Vec<Digest>, CopiedTree)>>,
}

impl<'a> Supervised<'a> {
    /// For processes that `local` could run in namespaces.
    pub fn new(session: &'a Session, local: Local<'a>) -> Self {
        Supervised {
            session,
            local,
            tried: OnceLock::new(),
            told: Once::new(),
            left: Mutex::default(),
        }
    }

    /// A tree of these layers that belongs to one process.
    fn tree(&self, layers: &[Digest]) -> Result<CopiedTree, StepError> {
        if let Some(tree) = self.take(|left| left == layers) {
            return Ok(tree);
        }
        let views = self.session.store.views();
        // the result of the step that left it was an earlier one with other times
        match (self.take(|left| self.is_equal(left, layers)), layers.last()) {
            (Some(mut tree), Some(top)) => {
                views.retime(&mut tree, top)?;
                Ok(tree)
            }
            _ => Ok(views.copy_tree(layers)?),
        }
    }

    fn take(&self, is_it: impl Fn(&[Digest]) -> bool) -> Option<CopiedTree> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let at = left.iter().position(|(layers, _)| is_it(layers))?;
        Some(left.swap_remove(at).1)
    }

    /// Whether these differ in the times of the top layer at most.
    fn is_equal(&self, left: &[Digest], layers: &[Digest]) -> bool {
        let store = &self.session.store;
        let tree = |diff_id| Some(store.layers().index(diff_id).ok()?.tree.digest());
        let (Some((top, below)), Some((wanted, under))) = (left.split_last(), layers.split_last())
        else {
            return false;
        };
        below == under && tree(top).is_some_and(|top| tree(wanted) == Some(top))
    }

    fn leave(&self, layers: Vec<Digest>, tree: CopiedTree) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.push((layers, tree));
    }

    fn tell(&self) {
        let events = &self.session.events;
        match &self.session.refused {
            Some(_) => events.warn(format!("namespaces are refused here; {NOTE}")),
            None => events.note(NOTE),
        }
    }
}

impl Runner for Supervised<'_> {
    fn check(&self) -> Result<(), StepError> {
        let try_it = || try_supervised(self.session.store.root()).map_err(Arc::new);
        let tried = self.tried.get_or_init(try_it).clone();
        tried.map_err(|refused| StepError::NotSupervised {
            namespaces: self.session.refused.clone(),
            refused,
        })
    }

    fn isolation(&self) -> Isolation {
        Isolation::Supervised
    }

    /// A copy belongs to one process, so it is made when that one begins.
    fn prepare(&self, layers: &[Digest]) -> Result<(), StepError> {
        Ok(self.session.store.fetch().layers(layers)?)
    }

    fn run(
        &self,
        below: &Below<'_>,
        process: &Process,
        console: &Console<'_>,
    ) -> Result<Changed, StepError> {
        self.check()?;
        refuse(process)?;
        self.told.call_once(|| self.tell());
        let mut layers = (below.written)()?;
        let mut tree = self.tree(&layers)?;
        let layer = self
            .local
            .run_in_tree(process, console, (&mut tree, &layers))?;
        layers.extend(layer.as_ref().map(Layer::diff_id));
        match tree.is_current {
            true => self.leave(layers, tree),
            false => self.session.store.scratch().discard(&tree.path)?,
        }
        Ok(Changed::Layer(layer))
    }
    fn attend(
        &self,
        below: &Below<'_>,
        process: &Process,
        (attendant, keeps): (&dyn Attendant, Keeps<'_>),
    ) -> Result<Attended, StepError> {
        self.check()?;
        refuse(process)?;
        self.told.call_once(|| self.tell());
        let (store, layers) = (&self.session.store, (below.written)()?);
        let mut tree = self.tree(&layers)?;
        let (exit, lent) = self.local.attend_in_tree(process, attendant, &tree)?;
        let layer = match keeps {
            Keeps::Layer | Keeps::In(_) => self.local.commit_tree(&mut tree, &layers)?,
            Keeps::Nothing | Keeps::Until(_) => None,
        };
        store.scratch().discard(&tree.path)?;
        Ok(Attended { exit, lent, layer })
    }
}

impl Drop for Supervised<'_> {
    fn drop(&mut self) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, tree) in left.drain(..) {
            // what stays is scratch, which goes with the build
            let _ = self.session.store.scratch().discard(&tree.path);
        }
    }
}

/// What would need a mount or a namespace.
fn refuse(process: &Process) -> Result<(), StepError> {
    let lack = |what: &str| {
        let text = format!("{what} needs namespaces, which supervised RUN does without");
        Err(StepError::Unsupported(text))
    };
    let network = &process.network;
    let is_private = matches!(network, ProcessNetwork::Private(_));
    let asked = [
        (is_private, "--network private"),
        (*network == ProcessNetwork::None, "RUN --network=none"),
        (process.is_privileged, "RUN --security=insecure"),
        (process.has_init, "--init"),
        (process.is_read_only, "--read-only"),
    ];
    if let Some((_, what)) = asked.iter().find(|(is_asked, _)| *is_asked) {
        return lack(what);
    }
    let folder =
        |mount: &&crate::execute::process::Mount| matches!(mount.what, Mounted::Folder { .. });
    match process.mounts.iter().find(folder) {
        Some(mount) => lack(&format!("--volume at {}", mount.target)),
        None => Ok(()),
    }
}
