//! Carries out a plan: every wanted step is looked up, else executed, in parallel. It resolves what a step reads, and hands it to the
//! step's operation. Unaware of what operations do.

pub(crate) mod attend;
pub(crate) mod copy;
mod failed;
pub(crate) mod forecast;
mod kept_log;
mod key;
pub(crate) mod live;
mod mask;
pub(crate) mod memo;
pub(crate) mod operation;
pub(crate) mod overlap;
pub(crate) mod past;
pub(crate) mod prefetch;
pub(crate) mod process;
pub(crate) mod remains;
pub(crate) mod results;
pub(crate) mod room;
pub(crate) mod runner;
pub(crate) mod schedule;
pub(crate) mod step;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod users;

use crate::exchange::mounts::Mounts;
use crate::failure::{BuildError, StepError, StepFailure};
use crate::host::isolation::IsolationChoice;
use crate::plan::output::{Done, Output, Stack};
use crate::plan::{Plan, stage_is_called};
use crate::session::Session;
use crate::source::fetch::RemoteSource;
use crate::source::open::Build;
use key::{Key, Seen};
use kiln_cache::{CommitOptions, Layer, StoreError};
use kiln_oci::Digest;
use kiln_parser::graph::{
    CopyOp, CopySource, Node, NodeId, Op, RunMount, RunOp, Stage, StageBase, StageGraph,
};
use kiln_sandbox::{Cgroup, EnterError, is_in_container};
use operation::copy::missing::Missing;
use operation::run::Run;
use operation::{Source, copy::Copy, make_directory};
use overlap::Overlap;
use past::Past;
use prefetch::Readers;
use remains::Remains;
use room::with_room;
use runner::Runner;
use runner::local::Local;
use runner::supervised::Supervised;
use schedule::{Lane, Limits, Schedule, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use step::Step;

/// One execution, shared by the threads of all steps.
#[derive(Debug)]
struct Execution<'a> {
    session: &'a Session,
    build: &'a Build,
    plan: &'a Plan,
    /// Where every node is.
    schedule: Schedule,
    /// The first failure that has a reason of its own; a changed file is one only while there is no other.
    failure: Mutex<Option<Box<StepFailure>>>,
    /// Whether a changed file stops nothing that runs, because folders are read again then.
    reads_again: bool,
    /// The images whose layers are prefetched.
    readers: Readers,
    /// What runs commands.
    runner: Box<dyn Runner + 'a>,
    /// How a RUN's upper becomes a layer.
    commit: CommitOptions,
    /// What travels of cache mounts.
    mounts: &'a Mounts,
    /// Steps of the stages that `--no-cache-filter` names; a step that several stages share belongs to each of them.
    filtered: BTreeSet<NodeId>,
    /// The builds of the project before this one.
    past: Past<'a>,
    /// What a RUN that fails leaves.
    remains: &'a Remains,
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

/// What the caller does about failures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failures<'a> {
    /// It reads folders again in which a file has changed: that is no failure that is told, and what runs goes on, since its result counts in
    /// the next attempt.
    pub reads_again: bool,
    /// It looks at what a RUN has left.
    pub remains: &'a Remains,
}

impl<'a> Failures<'a> {
    /// That are kept here.
    pub fn new(remains: &'a Remains, reads_again: bool) -> Self {
        Failures {
            reads_again,
            remains,
        }
    }
}

/// Executes the plan.
///
/// # Errors
/// The first step that failed.
pub(crate) fn execute(
    session: &Session,
    (build, plan): (&Build, &Plan),
    cgroup: Option<Cgroup>,
    mounts: &Mounts,
    failures: Failures<'_>,
) -> Result<Executed, BuildError> {
    let of = (build, plan);
    let execution = Execution::new(session, of, cgroup, mounts, failures)?;
    let carry_out = |node: usize| execution.carry_out(&plan.graph.nodes[node]);
    let results = execution.schedule.run(carry_out);
    let failure = execution.failure.into_inner();
    if let Some(failure) = failure.unwrap_or_else(PoisonError::into_inner) {
        return Err(BuildError::Step(failure));
    }
    let results = results.filter(|_| !session.cancel.requested());
    let results = results.ok_or(BuildError::Cancelled)?;
    let key = |step: NodeId| Some(results.get(&step.0)?.step.as_ref()?.key);
    Ok(Executed {
        records: plan.steps_by_origin().into_iter().filter_map(key).collect(),
        results,
        now: None,
    })
}

impl<'a> Execution<'a> {
    fn new(
        session: &'a Session,
        (build, plan): (&'a Build, &'a Plan),
        cgroup: Option<Cgroup>,
        mounts: &'a Mounts,
        failures: Failures<'a>,
    ) -> Result<Self, StoreError> {
        let commit = CommitOptions {
            times: plan.times,
            single_id: session.ids.is_single(),
        };
        let mut execution = Execution {
            session,
            build,
            plan,
            schedule: schedule(build, plan),
            failure: Mutex::new(None),
            reads_again: failures.reads_again,
            remains: failures.remains,
            readers: Readers::new(),
            runner: runner(
                session,
                Local::new(session, commit, (cgroup, build.run.limits.memory), mounts),
            ),
            commit,
            mounts,
            filtered: filtered(&plan.graph, &build.reuse.no_cache_filter),
            past: Past::new(&session.store, build, plan),
        };
        execution.readers = prefetch::readers(plan, |node| execution.is_executed(node))?;
        execution.expect_commands()?;
        Ok(execution)
    }

    /// Whether it is for sure, whatever it reads.
    fn is_executed(&self, node: &Node) -> Result<bool, StoreError> {
        let step = self.step(node);
        let records = self.session.store.records();
        Ok(step.ignores_cache || !records.has_definition(&step.definition)?)
    }

    fn expect_commands(&self) -> Result<(), StoreError> {
        let is_wanted = |node: &&Node| self.plan.wanted[node.id.0] && matches!(node.op, Op::Run(_));
        let commands: Vec<&Node> = self.plan.graph.nodes.iter().filter(is_wanted).collect();
        let mut surely = false;
        for command in &commands {
            surely = surely || self.is_executed(command)?;
        }
        self.runner.expect(commands.len(), surely);
        Ok(())
    }

    fn step<'s>(&'s self, node: &'s Node) -> Step<'s> {
        let of = (self.session, self.build, self.plan);
        let ignores_cache = self.build.reuse.no_cache || self.filtered.contains(&node.id);
        step_of(of, &self.past, node, ignores_cache)
    }

    /// Carries out a node; its output, or none if it failed.
    fn carry_out(&self, node: &'a Node) -> Option<Output> {
        let step = self.step(node);
        let done = match &node.op {
            Op::Scratch | Op::Image { .. } | Op::Context { .. } => return self.source(node.id),
            _ if self.session.cancel.requested() => Err(StepError::Cancelled),
            Op::Copy(copy) => with_room(self.session, || self.copy(&step, copy)),
            Op::MakeDirectory { base, path, user } => with_room(self.session, || {
                self.make_directory(&step, *base, (path, user))
            }),
            Op::Run(run) => self.run(&step, run),
        };
        let done = done.map_err(|error| self.fail(node, error)).ok()?;
        Some(Output::Layers(Arc::new(done)))
    }

    /// What a build starts from. The layers of an image that is read for sure are brought: they come side by side, and no step that
    /// waits for them keeps another one from its lane. What goes wrong is the failure of the step that reads them.
    fn source(&self, node: NodeId) -> Option<Output> {
        let output = self.plan.sources.get(&node.0)?;
        if let (Some(reader), Output::Layers(done)) = (self.readers.get(&node.0), output) {
            let layers = &done.stack.layers;
            let bring = || match reader.has_command {
                true => self.runner.prepare(layers),
                false => Ok(self.session.store.fetch().layers(layers)?),
            };
            with_room(self.session, bring)
                .map_err(|error| self.fail(self.plan.graph.node(reader.step), error))
                .ok()?;
        }
        Some(output.clone())
    }

    fn copy(&self, step: &Step<'_>, copy: &CopyOp) -> Result<Done, StepError> {
        let base = self.schedule.layers(copy.base)?;
        let sources = copy.sources.iter().map(|source| self.copied(source));
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let copy = Copy::new(&self.session.store, copy, &base.stack, &sources)
            .map_err(|error| missing(self.build, step.node, &sources).explain(error))?;
        let key = copy.key(step.definition);
        let seen = || copy.seen();
        self.look_up_or_make(step, &base.stack, (key, &seen), |now| copy.make(step, now))
    }

    fn make_directory(
        &self,
        step: &Step<'_>,
        base: NodeId,
        directory: (&str, &str),
    ) -> Result<Done, StepError> {
        let base = self.schedule.layers(base)?;
        let key = make_directory::key(step.definition, base.stack.content);
        self.look_up_or_make(step, &base.stack, (key, &Seen::default), |now| {
            make_directory::make(step, &base.stack, directory, now)
        })
    }

    fn run(&self, step: &Step<'_>, run: &RunOp) -> Result<Done, StepError> {
        let files = |mount: &RunMount| mount.files().map(|(from, ..)| self.files(from));
        let mounts = run.mounts.iter().map(|mount| files(mount).transpose());
        let is_refused = self.runner.check().is_err();
        let overlap = Overlap {
            step,
            run: Run {
                op: run,
                mounts: mounts.collect::<Result<Vec<_>, _>>()?,
                options: &self.build.run,
                has_epoch: step.epoch.is_some(),
            },
            schedule: &self.schedule,
            runner: &*self.runner,
            single_id: is_refused.then(|| self.plan.definition_with_one_id(step.node)),
            commit: self.commit,
            mounts: self.mounts,
            stage: &self.plan.graph.stages[step.node.stage.unwrap_or_default()],
            remains: self.remains,
        };
        overlap.carry_out()
    }

    /// A step whose layer kiln writes itself: looked up, else made while no other build makes it, and recorded.
    fn look_up_or_make(
        &self,
        step: &Step<'_>,
        base: &Stack,
        (key, seen): (Key, &(dyn Fn() -> Seen + Sync)),
        make: impl FnOnce(i64) -> Result<Option<Layer>, StepError>,
    ) -> Result<Done, StepError> {
        if let Some(done) = step.cached(base, &key, seen)? {
            return Ok(done);
        }
        let _lock = step.lock()?;
        if let Some(done) = step.cached(base, &key, seen)? {
            return Ok(done);
        }
        self.schedule.running(step.node.id)?;
        step.started(Some(&key), seen);
        let begun = step.begin();
        let layer = step.keeping_inputs(&key, seen, || make(begun.time))?;
        step.ran(begun, None);
        let basis = self.schedule.rests_on(step.node.op.inputs())?;
        step.settle(base, key, layer.as_ref(), basis, begun)
    }

    /// The files of a node: a context, or layers once they are written.
    fn files(&self, node: NodeId) -> Result<Source, StepError> {
        let output = self.schedule.output(node)?;
        let folder = self.plan.context_folder(self.build, node);
        Ok(Source {
            files: output.files(&self.session.store)?,
            layers: output.layers().map(|done| done.stack.clone()),
            folder: folder.map(Into::into),
        })
    }

    /// The files of a source of COPY; what is outside the machine is fetched if need be, and heredocs have none.
    fn copied(&self, source: &CopySource) -> Result<Source, StepError> {
        if let CopySource::Files { from, .. } = source {
            return self.files(*from);
        }
        let access = self.build.access(self.session);
        let fetched = RemoteSource::of(source).map(|remote| self.plan.fetches.get(access, &remote));
        let layer = fetched.transpose()?.and_then(|fetched| fetched.layer);
        Ok(Source {
            files: self.session.store.layers().chain(layer.as_slice())?,
            layers: None,
            folder: None,
        })
    }
}

/// Where the sources of a COPY were looked for.
fn missing<'a>(build: &'a Build, node: &'a Node, sources: &'a [Source]) -> Missing<'a> {
    Missing {
        sources,
        title: &node.title,
        main: build.context.folder(),
        ignore: build.ignore(),
    }
}

/// A node of a plan as a step.
fn step_of<'a>(
    (session, build, plan): (&'a Session, &'a Build, &'a Plan),
    past: &'a Past<'a>,
    node: &'a Node,
    ignores_cache: bool,
) -> Step<'a> {
    Step {
        session,
        node,
        definition: plan.definitions[node.id.0],
        derived: plan.derived[node.id.0],
        epoch: plan.graph.source_date_epoch,
        ignores_cache,
        max_age: build.reuse.cache_ttl,
        past: Some(past),
    }
}

/// What runs commands in the isolation that is asked for.
pub(crate) fn runner<'a>(session: &'a Session, local: Local<'a>) -> Box<dyn Runner + 'a> {
    match is_supervised(session) {
        true => Box::new(Supervised::new(session, local)),
        false => Box::new(local),
    }
}

/// Whether processes run without namespaces.
pub(crate) fn is_supervised(session: &Session) -> bool {
    match session.isolation {
        IsolationChoice::Supervised => true,
        IsolationChoice::Auto => container_forbids_namespaces(session),
        IsolationChoice::Namespaces => false,
    }
}

fn container_forbids_namespaces(session: &Session) -> bool {
    let refused = session.refused.as_deref();
    refused.is_some_and(EnterError::is_refusal) && is_in_container()
}

/// The nodes of a plan before anything has run.
fn schedule(build: &Build, plan: &Plan) -> Schedule {
    let task = |node: &Node| Task {
        inputs: node.op.inputs().into_iter().map(|id| id.0).collect(),
        lane: match node.op {
            Op::Run(_) => Lane::Process,
            Op::Image { .. } => Lane::Wait,
            _ => Lane::Work,
        },
        wanted: plan.wanted[node.id.0],
    };
    let tasks: Vec<Task> = plan.graph.nodes.iter().map(task).collect();
    let limits = Limits {
        work: std::thread::available_parallelism().map_or(1, usize::from),
        // What one command has read of kiln's input, no other one can read.
        process: match build.run.stdin {
            Some(_) => 1,
            None => build.run.jobs.unwrap_or(usize::MAX),
        },
    };
    Schedule::new(&tasks, limits)
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
