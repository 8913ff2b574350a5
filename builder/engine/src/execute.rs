//! Carries out a plan: every wanted step is looked up, else executed, in parallel. Unaware of what the operations do; what
//! they share (outputs, keys, failures) is here, their results in `results`.

mod age;
pub mod ahead;
pub mod copy;
pub(crate) mod memo;
pub mod operation;
pub mod results;
pub mod rootfs;
pub mod schedule;
pub mod users;

use crate::event::EventKind;
use crate::event::cancel::Cancel;
use crate::failure::{BuildError, StepError, StepFailure};
use crate::host::emulation;
use crate::plan::output::{Done, Live, Output};
use crate::plan::pending::{Pending, Promise, pending};
use crate::plan::{Plan, stage_is_called};
use crate::session::Session;
use crate::source::fetch::Remote;
use crate::source::open::Build;
use ahead::Readers;
use kiln_cache::{Chain, Fetched, KeyBuilder};
use kiln_oci::{Digest, ImageConfig};
use kiln_parser::graph::{Node, NodeId, Op, Stage, StageBase, StageGraph};
use kiln_sandbox::Cgroup;
use operation::run::Emptied;
use schedule::{Lane, Limits, Ready, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The state of one execution, shared by all steps.
#[derive(Debug)]
pub struct Execution<'a> {
    /// Store, events, cancellation.
    pub session: &'a Session,
    /// What was asked for.
    pub build: &'a Build,
    /// What has to be done.
    pub plan: &'a Plan,
    /// What every RUN is put into.
    pub cgroup: Option<Cgroup>,
    outputs: Vec<OnceLock<Output>>,
    promises: Vec<Mutex<Option<Promise<Arc<Done>>>>>,
    pendings: Vec<Pending<Arc<Done>>>,
    failure: Mutex<Option<Box<StepFailure>>>,
    /// The images whose layers are brought ahead.
    readers: Readers,
    /// Cache mounts that begin empty.
    pub emptied: Emptied,
    /// Steps of the stages that `--no-cache-filter` names; those that stages share are the filtered one's too.
    filtered: BTreeSet<NodeId>,
}

/// A step that did not end well; the reason is kept in the [`Execution`].
#[derive(Debug)]
struct Stopped;

/// A key with what went into it.
#[derive(Debug, Clone)]
pub struct Key {
    /// The digest.
    pub digest: Digest,
    /// Names and digests of the inputs.
    pub inputs: Vec<(String, Digest)>,
}

/// The results of all steps, by node.
pub type Results = BTreeMap<usize, Arc<Done>>;

/// What came of a plan.
#[derive(Debug)]
pub struct Executed {
    /// The results of all steps, by node; of one that was recalled, of those at least that the images are made of.
    pub results: Results,
    /// The keys of all steps, in the order of [`Plan::steps_by_origin`].
    pub records: Vec<Digest>,
    /// When it was made, if that was before.
    pub now: Option<i64>,
}

/// Executes the plan.
///
/// # Errors
/// The first step that failed.
pub fn execute(
    session: &Session,
    build: &Build,
    plan: &Plan,
    cgroup: Option<Cgroup>,
) -> Result<Executed, BuildError> {
    let mut execution = Execution::new(session, build, plan);
    execution.cgroup = cgroup;
    execution.readers = ahead::readers(&execution)?;
    let tasks: Vec<Task> = plan
        .graph
        .nodes
        .iter()
        .map(|node| execution.task(node))
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let limits = Limits {
        work: cores,
        // what one command has read no other one reads
        process: match build.run.stdin {
            Some(_) => 1,
            None => build.run.jobs.unwrap_or(usize::MAX),
        },
    };
    let cancel: &Cancel = &session.cancel;
    let result = schedule::run(
        &tasks,
        limits,
        |node, ready| execution.step(node, ready),
        |_| cancel.stop(),
    );
    match result {
        Ok(()) if cancel.requested() => Err(BuildError::Cancelled),
        Ok(()) => {
            let results = execution.results();
            let key = |step: NodeId| Some(results.get(&step.0)?.step.as_ref()?.key);
            Ok(Executed {
                records: plan.steps_by_origin().into_iter().filter_map(key).collect(),
                results,
                now: None,
            })
        }
        Err(Stopped) => {
            let failure = execution.failure.into_inner();
            let failure = failure.unwrap_or_else(PoisonError::into_inner);
            Err(failure.map_or(BuildError::Cancelled, BuildError::Step))
        }
    }
}

impl<'a> Execution<'a> {
    fn new(session: &'a Session, build: &'a Build, plan: &'a Plan) -> Self {
        let (promises, pendings): (Vec<_>, Vec<_>) =
            plan.graph.nodes.iter().map(|_| pending()).unzip();
        let outputs: Vec<OnceLock<Output>> =
            plan.graph.nodes.iter().map(|_| OnceLock::new()).collect();
        for (node, output) in &plan.sources {
            // Each slot is set once: this vector was made a line ago.
            let _ = outputs[*node].set(output.clone());
        }
        let promises = promises
            .into_iter()
            .map(|promise| Mutex::new(Some(promise)))
            .collect();
        Execution {
            session,
            build,
            plan,
            cgroup: None,
            outputs,
            promises,
            pendings,
            failure: Mutex::new(None),
            readers: Readers::new(),
            emptied: Emptied::default(),
            filtered: filtered(&plan.graph, &build.reuse.no_cache_filter),
        }
    }

    fn task(&self, node: &Node) -> Task {
        let inputs = node.op.inputs().into_iter().map(|id| id.0).collect();
        let lane = match node.op {
            Op::Run(_) => Lane::Process,
            Op::Image { .. } => Lane::Wait,
            _ => Lane::Work,
        };
        Task {
            inputs,
            lane,
            wanted: self.plan.wanted[node.id.0],
        }
    }

    fn step(&self, node: usize, ready: &Ready<'_, Stopped>) -> Result<(), Stopped> {
        let node = &self.plan.graph.nodes[node];
        let early = |live: Live| {
            let output = Output::Layers {
                live: Some(Arc::new(live)),
                done: self.pendings[node.id.0].clone(),
            };
            let _ = self.outputs[node.id.0].set(output);
            ready.early();
        };
        let result = match &node.op {
            Op::Image { .. } => return self.bring_ahead(node.id),
            Op::Scratch | Op::Context { .. } => return Ok(()),
            _ if self.session.cancel.requested() => Err(StepError::Stopped),
            Op::Copy(copy) => operation::copy::execute(self, node, copy),
            Op::MakeDirectory { base, path, user } => {
                operation::make_directory::execute(self, node, *base, path, user)
            }
            Op::Run(run) => operation::run::execute(self, node, run, &early),
        };
        match result {
            Ok(done) => {
                self.deliver(node.id, done);
                Ok(())
            }
            Err(error) => Err(self.fail(node, error)),
        }
    }

    /// Brings the layers of an image that is read for sure: they come side by side, and no step that waits for them keeps
    /// another one from its lane. What goes wrong is the failure of the step that reads them.
    fn bring_ahead(&self, image: NodeId) -> Result<(), Stopped> {
        let Some(reader) = self.readers.get(&image.0) else {
            return Ok(());
        };
        let brought = self.done(image).and_then(|done| {
            let layers = &done.stack.layers;
            Ok(self.session.store.fetch().layers(layers)?)
        });
        brought.map_err(|error| self.fail(self.plan.graph.node(*reader), error))
    }

    fn deliver(&self, node: NodeId, done: Done) {
        let done = Arc::new(done);
        let _ = self.outputs[node.0].set(Output::Layers {
            live: None,
            done: Pending::ready(done.clone()),
        });
        if let Some(promise) = self.promises[node.0]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            promise.deliver(done);
        }
    }

    /// Keeps the first failure that has a reason of its own, then wakes whoever waits for the step: they stop because of it.
    fn fail(&self, node: &Node, error: StepError) -> Stopped {
        if !matches!(error, StepError::Stopped) && !self.session.cancel.requested() {
            self.session.events.send(EventKind::Failed {
                step: node.id.0,
                message: crate::failure::chain_of_causes(&error),
            });
            let failure = StepFailure {
                node: node.id.0,
                title: node.title.clone(),
                place: self.plan.stage_name(node.stage),
                emulation: self.emulation_problem(node),
                span: node.span,
                line: node.line,
                error,
            };
            let mut first = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(Box::new(failure));
        }
        self.promises[node.id.0]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Stopped
    }

    /// Why a RUN for another processor may have failed.
    fn emulation_problem(&self, node: &Node) -> Option<String> {
        let stage = self.plan.graph.stages.get(node.stage?)?;
        let is_run = matches!(node.op, Op::Run(_));
        let base = || stage.base_image.as_ref().map(ImageConfig::platform);
        emulation::problem(&stage.platform)
            .or_else(|| emulation::problem(&base()?))
            .filter(|_| is_run)
    }

    fn results(&self) -> BTreeMap<usize, Arc<Done>> {
        let done = |node: usize| match self.outputs[node].get() {
            Some(Output::Layers { done, .. }) => done.now(),
            _ => None,
        };
        (0..self.outputs.len())
            .filter_map(|node| Some((node, done(node)?)))
            .collect()
    }

    /// What a node gives; it has started before its users do.
    ///
    /// # Errors
    /// When it failed.
    pub fn output(&self, node: NodeId) -> Result<&Output, StepError> {
        self.outputs[node.0].get().ok_or(StepError::Stopped)
    }

    /// The finished layers of a node, waited for.
    ///
    /// # Errors
    /// When it failed, or is no file system.
    pub fn done(&self, node: NodeId) -> Result<Arc<Done>, StepError> {
        match self.output(node)? {
            Output::Layers { done, .. } => done.wait().map_err(|_| StepError::Stopped),
            Output::Tree(..) => Err(StepError::Unsupported(
                "a build context cannot be changed".to_owned(),
            )),
        }
    }

    /// The files of a node: a context, or layers once they are written.
    ///
    /// # Errors
    /// When it failed.
    pub fn files(&self, node: NodeId) -> Result<Chain, StepError> {
        match self.output(node)? {
            Output::Tree(chain, _) => Ok(Chain::clone(chain)),
            Output::Layers { .. } => Ok(self
                .session
                .store
                .layers()
                .chain(&self.done(node)?.stack.layers)?),
        }
    }

    /// A source outside the machine, fetched if need be.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn fetched(&self, remote: &Remote) -> Result<Fetched, StepError> {
        let access = self.build.access(self.session);
        Ok(self.plan.fetches.get(access, remote)?)
    }

    /// Whether a step is executed even if its result is known.
    #[must_use]
    pub fn ignores_cache(&self, node: &Node) -> bool {
        self.build.reuse.no_cache || self.filtered.contains(&node.id)
    }

    /// A key that begins as all keys of steps do.
    #[must_use]
    pub fn key(&self, domain: &str, node: &Node) -> KeyBuilder {
        KeyBuilder::new(domain).input("instruction", self.plan.definitions[node.id.0])
    }
}

/// The own steps of the stages with these names, without those of the stages that they are based on.
fn filtered(graph: &StageGraph, names: &BTreeSet<String>) -> BTreeSet<NodeId> {
    let is_named = |stage: &&Stage| names.iter().any(|name| stage_is_called(stage, name));
    let own = |stage: &Stage| {
        let is_base = |other: &&Stage| {
            stage.from == StageBase::Stage(other.index) && other.output == stage.base
        };
        let inherited = graph.stages.iter().find(is_base);
        let inherited = inherited.map_or(0, |base| base.history.len());
        let own = stage.history.get(inherited..).unwrap_or_default();
        own.iter().filter_map(|step| step.node).collect::<Vec<_>>()
    };
    let stages = graph.stages.iter().filter(is_named);
    stages.flat_map(own).collect()
}

/// Finishes a key.
#[must_use]
pub fn finish(key: KeyBuilder) -> Key {
    let (digest, inputs) = key.finish();
    Key { digest, inputs }
}
