//! Carries out a plan: every wanted step is looked up, else executed, in parallel. Unaware of what the operations do; what
//! they share (keys, locks, records, early cutoff, events) is here.

mod age;

use crate::ahead::{self, Readers};
use crate::cancel::Cancel;
use crate::emulation;
use crate::event::{EventKind, Outcome};
use crate::failure::{BuildError, StepError, StepFailure};
use crate::findings::Findings;
use crate::operation;
use crate::options::BuildOptions;
use crate::output::{Done, Live, Output, Stack, StepResult};
use crate::pending::{Pending, Promise, pending};
use crate::plan::{Plan, stage_is_called};
use crate::schedule::{self, Lane, Limits, Ready, Task};
use crate::session::Session;
use crate::source::fetch::{Access, Remote};
use kiln_cache::{Chain, Fetched, KeyBuilder, KeyLock, Layer, Record, Tree};
use kiln_oci::{Digest, ImageConfig};
use kiln_parser::diagnostic::Diagnostic;
use kiln_parser::graph::{Node, NodeId, Op, Stage};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// The state of one execution, shared by all steps.
#[derive(Debug)]
pub struct Execution<'a> {
    /// Store, events, cancellation.
    pub session: &'a Session,
    /// What was asked for.
    pub options: &'a BuildOptions,
    /// What has to be done.
    pub plan: &'a Plan,
    outputs: Vec<OnceLock<Output>>,
    promises: Vec<Mutex<Option<Promise<Arc<Done>>>>>,
    pendings: Vec<Pending<Arc<Done>>>,
    failure: Mutex<Option<Box<StepFailure>>>,
    /// The images whose layers are brought ahead.
    readers: Readers,
    /// What steps find in the Dockerfile.
    pub findings: Findings,
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

/// What came of a plan.
#[derive(Debug)]
pub struct Executed {
    /// The results of all steps, by node.
    pub results: BTreeMap<usize, Arc<Done>>,
    /// What steps that ran had to say about their instruction.
    pub warnings: Vec<Diagnostic>,
}

/// Executes the plan.
///
/// # Errors
/// The first step that failed.
pub fn execute(
    session: &Session,
    options: &BuildOptions,
    plan: &Plan,
) -> Result<Executed, BuildError> {
    let mut execution = Execution::new(session, options, plan);
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
        process: options.jobs.unwrap_or(usize::MAX),
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
        Ok(()) => Ok(Executed {
            results: execution.results(),
            warnings: execution.findings.take(),
        }),
        Err(Stopped) => {
            let failure = execution.failure.into_inner();
            let failure = failure.unwrap_or_else(PoisonError::into_inner);
            Err(failure.map_or(BuildError::Cancelled, BuildError::Step))
        }
    }
}

impl<'a> Execution<'a> {
    fn new(session: &'a Session, options: &'a BuildOptions, plan: &'a Plan) -> Self {
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
            options,
            plan,
            outputs,
            promises,
            pendings,
            failure: Mutex::new(None),
            readers: Readers::new(),
            findings: Findings::default(),
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
            Ok(self.session.store.bring_layers(layers)?)
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
                message: crate::chain_of_causes(&error),
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
            Output::Layers { .. } => {
                Ok(self.session.store.chain(&self.done(node)?.stack.layers)?)
            }
        }
    }

    /// A source outside the machine, fetched if need be.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn fetched(&self, remote: &Remote) -> Result<Fetched, StepError> {
        let access = Access::of(self.session, self.options);
        Ok(self.plan.fetches.get(access, remote)?)
    }

    /// Whether a step is executed even if its result is known.
    #[must_use]
    pub fn ignores_cache(&self, node: &Node) -> bool {
        let stage = node
            .stage
            .and_then(|stage| self.plan.graph.stages.get(stage));
        let filtered = |stage: &Stage| {
            let is_it = |name: &String| stage_is_called(stage, name);
            self.options.no_cache_filter.iter().any(is_it)
        };
        self.options.no_cache || stage.is_some_and(filtered)
    }

    /// A key that begins as all keys of steps do.
    #[must_use]
    pub fn key(&self, domain: &str, node: &Node) -> KeyBuilder {
        KeyBuilder::new(domain).input("instruction", self.plan.definitions[node.id.0])
    }

    /// The cached result of a key, unless everything is to be executed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn cached(&self, node: &Node, base: &Stack, key: &Key) -> Result<Option<Done>, StepError> {
        if self.ignores_cache(node) {
            return Ok(None);
        }
        let record = self.session.store.lookup(&key.digest)?;
        let Some(record) = record.filter(|record| !self.is_too_old(record)) else {
            return Ok(None);
        };
        let bytes = self.layer_bytes(record.diff_id.as_ref());
        self.session.events.send(EventKind::Finished {
            step: node.id.0,
            outcome: Outcome::Cached,
            took_us: record.cost_ms.saturating_mul(1000),
            bytes: Some(bytes),
        });
        let stack = base.with(record.diff_id, record.tree);
        Ok(Some(Done {
            stack,
            step: Some(StepResult {
                key: key.digest,
                diff_id: record.diff_id,
                created: record.created,
                outcome: Outcome::Cached,
            }),
        }))
    }

    /// Waits until no other build makes the same step. Two builds agree on the lock before anything has run.
    ///
    /// # Errors
    /// When the store fails.
    pub fn lock(&self, node: &Node) -> Result<Option<KeyLock>, StepError> {
        if self.ignores_cache(node) {
            return Ok(None);
        }
        Ok(Some(
            self.session.store.lock_key(&self.plan.derived[node.id.0])?,
        ))
    }

    /// A step whose layer kiln writes itself: looked up, else made while no other build makes it, and recorded.
    ///
    /// # Errors
    /// Those of `make`, or when the store fails.
    pub fn look_up_or_make(
        &self,
        node: &Node,
        base: &Stack,
        key: &Key,
        make: impl FnOnce(i64) -> Result<Option<Layer>, StepError>,
    ) -> Result<Done, StepError> {
        if let Some(done) = self.cached(node, base, key)? {
            return Ok(done);
        }
        let _lock = self.lock(node)?;
        if let Some(done) = self.cached(node, base, key)? {
            return Ok(done);
        }
        self.started(node, Some(key));
        let begun = (Instant::now(), self.now());
        let layer = make(begun.1)?;
        self.ran(node, begun.0);
        self.settle(node, base, key, layer.as_ref(), begun)
    }

    /// Says that a step is being executed, and why if it was executed before.
    pub fn started(&self, node: &Node, key: Option<&Key>) {
        let because = key
            .filter(|_| !self.ignores_cache(node))
            .and_then(|key| self.first_difference(node, key).or_else(|| self.age(key)));
        self.session.events.send(EventKind::Started {
            step: node.id.0,
            because,
        });
    }

    /// Says that a step's own work has ended, while its layer may still be written.
    pub fn ran(&self, node: &Node, begun: Instant) {
        let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.session.events.send(EventKind::Finished {
            step: node.id.0,
            outcome: Outcome::Ran,
            took_us,
            bytes: None,
        });
    }

    /// The first input of `key` that the latest record of the same operation does not have.
    fn first_difference(&self, node: &Node, key: &Key) -> Option<String> {
        let records = self
            .session
            .store
            .records_of_definition(&self.plan.definitions[node.id.0])
            .ok()?;
        let before = records.first()?;
        let (name, _) = key
            .inputs
            .iter()
            .find(|input| !before.inputs.contains(input))?;
        Some(format!("{name} changed"))
    }

    /// The time that a step's layer and history carry when it is executed now.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.plan
            .graph
            .source_date_epoch
            .unwrap_or_else(|| self.session.host.seconds())
    }

    /// Records an executed step. A result that equals an earlier one of the same operation in everything but times adopts
    /// that layer (early cutoff), so that what follows stays cached.
    ///
    /// # Errors
    /// When the store fails.
    pub fn settle(
        &self,
        node: &Node,
        base: &Stack,
        key: &Key,
        layer: Option<&Layer>,
        begun: (Instant, i64),
    ) -> Result<Done, StepError> {
        let store = &self.session.store;
        let definition = self.plan.definitions[node.id.0];
        let tree = layer.map_or_else(|| Tree::new(Vec::new()).digest(), Layer::tree);
        let earlier = store
            .records_of_definition(&definition)?
            .into_iter()
            .filter(|record| record.tree == tree && times(&record.inputs) == times(&key.inputs));
        let earlier = earlier.min_by_key(|record| (record.created, record.key));
        let (outcome, diff_id, created) = match earlier {
            Some(record) if self.still_there(&record) => {
                (Outcome::Unchanged, record.diff_id, record.created)
            }
            _ => (Outcome::Ran, layer.map(Layer::diff_id), begun.1),
        };
        let cost_ms = u64::try_from(begun.0.elapsed().as_millis()).unwrap_or(u64::MAX);
        store.record(&Record {
            key: key.digest,
            definition,
            inputs: key.inputs.clone(),
            diff_id,
            tree,
            created,
            made: self.session.host.seconds(),
            cost_ms,
            dockerfile_line: node.line,
            title: node.title.clone(),
        })?;
        let bytes = self.layer_bytes(diff_id.as_ref());
        self.session.events.send(EventKind::Committed {
            step: node.id.0,
            bytes,
            outcome,
        });
        Ok(Done {
            stack: base.with(diff_id, tree),
            step: Some(StepResult {
                key: key.digest,
                diff_id,
                created,
                outcome,
            }),
        })
    }

    fn still_there(&self, record: &Record) -> bool {
        record
            .diff_id
            .is_none_or(|diff_id| self.session.store.layer(&diff_id).is_ok())
    }

    fn layer_bytes(&self, diff_id: Option<&Digest>) -> u64 {
        diff_id
            .and_then(|id| self.session.store.blob_path(id).metadata().ok())
            .map_or(0, |meta| meta.len())
    }
}

/// Inputs of a key that begin so are times that the result shows: one with another time is another result, although the
/// files are the same.
pub const TIME_OF: &str = "time of ";

fn times(inputs: &[(String, Digest)]) -> Vec<Digest> {
    let times = inputs.iter().filter(|(name, _)| name.starts_with(TIME_OF));
    times.map(|(_, time)| *time).collect()
}

/// Finishes a key.
#[must_use]
pub fn finish(key: KeyBuilder) -> Key {
    let (digest, inputs) = key.finish();
    Key { digest, inputs }
}
