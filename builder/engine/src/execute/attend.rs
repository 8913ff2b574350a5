//! A process that somebody attends, and one in the place of a RUN of a plan, once all that the RUN needs is there. Unaware of how the plan
//! came to have it, and of what becomes of its changes.

use crate::exchange::mounts::Mounts;
use crate::execute::live::Live;
use crate::execute::operation::Source;
use crate::execute::operation::run::Run;
use crate::execute::past::Past;
use crate::execute::process::{Mounted, Process};
use crate::execute::runner::Below;
use crate::execute::runner::attended::{Attendant, Attended, Keeps};
use crate::execute::runner::local::Local;
use crate::execute::{Results, runner, step_of};
use crate::failure::{ContainerError, StepError};
use crate::host::confine::confine;
use crate::plan::Plan;
use crate::plan::output::{Output, Stack};
use crate::session::Session;
use crate::source::open::Build;
use kiln_cache::{CommitOptions, Times};
use kiln_oci::Digest;
use kiln_parser::graph::{Node, NodeId, Op, RunMount, RunOp};
use kiln_sandbox::Limits;

/// Runs a process that somebody attends on top of what is there, within limits. Files that it leaves have these times.
///
/// # Errors
/// It cannot be started, or its changes cannot be kept.
pub fn attend(
    session: &Session,
    (limits, times): (&Limits, Times),
    live: &Live,
    process: &Process,
    attended: (&dyn Attendant, Keeps<'_>),
) -> Result<Attended, ContainerError> {
    let cgroup = confine(&session.events, limits, session.disabled)?;
    let commit = CommitOptions {
        times,
        single_id: session.ids.is_single(),
    };
    let mounts = Mounts::of(&[]);
    let local = Local::new(session, commit, (cgroup, limits.memory), &mounts);
    let written = || Ok(live.layers());
    let below = Below::new(live, &written);
    Ok(runner(session, local).attend(&below, process, attended)?)
}

/// A RUN whose inputs are there.
#[derive(Debug, Clone, Copy)]
pub struct Ready<'a> {
    /// What it works with.
    pub session: &'a Session,
    /// The build that it belongs to.
    pub build: &'a Build,
    /// Its plan.
    pub plan: &'a Plan,
    /// All that it needs.
    pub results: &'a Results,
    /// Itself.
    pub node: NodeId,
}

impl<'a> Ready<'a> {
    /// The files that it stands on.
    ///
    /// # Errors
    /// They are not there.
    pub fn base(&self) -> Result<Stack, StepError> {
        let base = self.node().op.base();
        self.layers(base.ok_or(StepError::Cancelled)?)
    }

    /// Fetches all layers that are mounted.
    ///
    /// # Errors
    /// They cannot be fetched.
    pub fn fetch(&self) -> Result<(), StepError> {
        for input in self.node().op.inputs() {
            if let Output::Layers(done) = self.output(input)? {
                self.session.store.fetch().layers(&done.stack.layers)?;
            }
        }
        Ok(())
    }

    /// Runs something in its place, which `change` makes of its process. The layers of what is mounted at `tools` are below all others.
    ///
    /// # Errors
    /// It cannot be started, or its changes cannot be kept.
    pub fn attend(
        &self,
        tools: &str,
        change: impl FnOnce(&mut Process),
        attended: (&dyn Attendant, Keeps<'_>),
    ) -> Result<Attended, ContainerError> {
        let mut process = self.process()?;
        change(&mut process);
        let mut stack = self.base()?;
        if let Some(below) = taken(&mut process, tools) {
            stack.layers.splice(0..0, below);
        }
        let how = (&self.build.run.limits, self.plan.times);
        let live = Live::finished(stack);
        attend(self.session, how, &live, &process, attended)
    }

    fn node(&self) -> &'a Node {
        self.plan.graph.node(self.node)
    }

    /// What its command would see.
    fn process(&self) -> Result<Process, StepError> {
        let Op::Run(op) = &self.node().op else {
            return Err(StepError::Cancelled);
        };
        let past = Past::new(&self.session.store, self.build, self.plan);
        let of = (self.session, self.build, self.plan);
        let step = step_of(of, &past, self.node(), false);
        let files = self.session.store.layers().chain(&self.base()?.layers)?;
        self.run(op)?.process_on(&step, &files)
    }

    fn run(&self, op: &'a RunOp) -> Result<Run<'a>, StepError> {
        let files = |mount: &RunMount| mount.files().map(|(from, ..)| self.source(from));
        let mounts = op.mounts.iter().map(|mount| files(mount).transpose());
        Ok(Run {
            op,
            mounts: mounts.collect::<Result<_, _>>()?,
            options: &self.build.run,
            has_epoch: false,
        })
    }

    fn source(&self, node: NodeId) -> Result<Source, StepError> {
        let output = self.output(node)?;
        Ok(Source {
            files: output.files(&self.session.store)?,
            layers: output.layers().map(|done| done.stack.clone()),
            folder: None,
        })
    }

    fn layers(&self, node: NodeId) -> Result<Stack, StepError> {
        let output = self.output(node)?;
        let done = output.layers().ok_or(StepError::Cancelled)?;
        Ok(done.stack.clone())
    }

    /// What a node gives, which was executed or is a source.
    fn output(&self, node: NodeId) -> Result<Output, StepError> {
        let done = self.results.get(&node.0).cloned().map(Output::Layers);
        let source = || self.plan.sources.get(&node.0).cloned();
        done.or_else(source).ok_or(StepError::Cancelled)
    }
}

/// Takes the layers away that are mounted at a path.
fn taken(process: &mut Process, target: &str) -> Option<Vec<Digest>> {
    let mut mounts = process.mounts.iter();
    let at = mounts.position(|mount| mount.target == target)?;
    match process.mounts.swap_remove(at).what {
        Mounted::Layers { stack, .. } => Some(stack.layers),
        _ => None,
    }
}
