//! What a build would do, without doing it: which steps have a result, which are executed and why, which depend on what others give, and what would be
//! fetched. Nothing is executed, nothing is written, and of images only manifests are asked for. Unaware of how it is shown.

mod fetch;
mod keys;

use crate::event::StepInfo;
use crate::exchange::{self, Import};
use crate::execute::key::{INSTRUCTION, Known};
use crate::execute::memo::{self, Recalled};
use crate::execute::past::{self, Past};
use crate::execute::step::Step;
use crate::execute::{Results, failed, filtered, is_supervised, step_of};
use crate::failure::BuildError;
use crate::plan::output::{Basis, Output, Stack};
use crate::plan::{self, Plan};
use crate::session::Session;
use crate::source::open::Build;
pub use fetch::ForecastImage;
use fetch::Reads;
use keys::{Asked, Awaited, Part, Unknown};
use kiln_cache::{Caches, PastStep, Reason, Record, StoreError};
use kiln_oci::Digest;
use kiln_parser::graph::{Node, NodeId, Stage, StageBase};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Its result is known.
    Hit,
    /// It is executed.
    Runs,
    /// What others give decides.
    Depends,
}

/// A step of a build that is not carried out.
#[derive(Debug, Clone, Serialize)]
pub struct ForecastStep {
    /// The step.
    #[serde(flatten)]
    pub info: StepInfo,
    /// What becomes of it.
    pub verdict: Verdict,
    /// The shared caches that say what its result is; none where that is this store's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// What has to be there before it is known what becomes of it: results of steps, layers of images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub awaits: Vec<String>,
    /// Why it is executed; empty in the first build of a project.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// The step that it was in the last build of the project; of one that hits, nobody asks.
    #[serde(skip)]
    pub before: Option<PastStep>,
}

/// A stage that the build needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForecastStage {
    /// As progress calls it.
    pub name: String,
    /// What it begins with: an image, a context, another stage, `scratch`.
    pub from: String,
}

/// A build that is not carried out.
#[derive(Debug, Clone, Serialize)]
pub struct Forecast {
    /// In the order of the Dockerfile.
    pub stages: Vec<ForecastStage>,
    /// In the order of the Dockerfile.
    pub steps: Vec<ForecastStep>,
    /// The images that it begins with.
    pub images: Vec<ForecastImage>,
    /// Bytes of layers that would come from registries and shared caches, as they travel, if all steps run that may.
    pub fetch: u64,
}

/// Looks the steps of a build up.
///
/// # Errors
/// As a build before its first step; and what is missing for a step that is to be executed.
pub fn forecast(session: &Session, build: &Build) -> Result<Forecast, BuildError> {
    let (from, to) = (&build.reuse.cache_from, &build.goal.cache_to);
    let caches = exchange::open(from, to, &session.remote).map_err(BuildError::CacheOptions)?;
    let session = &Session {
        store: exchange::view(&session.store, &session.remote, &caches.imports),
        ..session.clone()
    };
    let plan = plan::plan(session, build)?;
    let mut walk = Walk::new(session, build, &plan, &caches.imports);
    let steps = match recalled(session, build, &plan, &caches.imports)? {
        Some((results, caches)) => walk.recalled(&results, &caches),
        None => walk.steps()?,
    };
    let added = &walk.added;
    let (images, fetch) = Reads::new(&session.store, &plan, added).fetched(&steps)?;
    Ok(Forecast {
        stages: stages(&plan),
        steps,
        images,
        fetch,
    })
}

/// The results of an equal build, as far as somebody has to ask for their layers, and the caches that know of it.
fn recalled(
    session: &Session,
    build: &Build,
    plan: &Plan,
    imports: &[Import],
) -> Result<Option<(Results, Caches)>, BuildError> {
    let outcomes = match memo::recall(session, build, plan, imports)? {
        Recalled::Image(bundle) => return Ok(Some((Results::new(), bundle.caches))),
        Recalled::Claims(outcomes) => outcomes,
    };
    for outcome in outcomes {
        let caches = outcome.caches.clone();
        if let Some(executed) = memo::results(session, plan, outcome)? {
            return Ok(Some((executed.results, caches)));
        }
    }
    Ok(None)
}

fn stages(plan: &Plan) -> Vec<ForecastStage> {
    let from = |at: usize, stage: &Stage| match &stage.from {
        StageBase::Scratch => "scratch".to_owned(),
        StageBase::Image(name) | StageBase::Context(name) => name.clone(),
        StageBase::Stage(_) => plan.stage_name(plan.parent(at)),
    };
    let is_built = |at: usize, stage: &Stage| {
        let is_target = plan.targets.iter().any(|target| target.stage == at);
        is_target || plan.wanted[stage.output.0]
    };
    let stages = plan.graph.stages.iter().enumerate();
    let built = stages.filter(|(at, stage)| is_built(*at, stage));
    let told = built.map(|(at, stage)| ForecastStage {
        name: plan.stage_name(Some(at)),
        from: from(at, stage),
    });
    told.collect()
}

/// The nodes of a plan, in order, and what is known of what they give.
struct Walk<'a> {
    session: &'a Session,
    build: &'a Build,
    plan: &'a Plan,
    past: Past<'a>,
    filtered: BTreeSet<NodeId>,
    /// What people call shared caches, by what the store calls them.
    caches: BTreeMap<String, String>,
    labels: BTreeMap<usize, String>,
    /// What nodes give, by node.
    known: BTreeMap<usize, Output>,
    /// What has to be there before that is known of the others.
    awaited: BTreeMap<usize, Awaited>,
    /// The layers that nodes add, as far as they are known.
    added: BTreeMap<usize, Vec<Digest>>,
    /// The keys of steps without a result, as far as they are known.
    open: BTreeMap<usize, Option<Digest>>,
}

/// What was found out about a step.
enum Found {
    Hit(Record),
    /// The key, where it is known, and why there is no result of it.
    Runs(Option<Digest>, Vec<Reason>),
    /// What has to be there first, and what differs in any case.
    Depends(Awaited, Vec<Reason>),
}

impl<'a> Walk<'a> {
    fn new(session: &'a Session, build: &'a Build, plan: &'a Plan, imports: &[Import]) -> Self {
        let layers = |output: &Output| output.layers().map(|done| done.stack.layers.clone());
        let sources = plan.sources.iter();
        let added = sources.map(|(node, output)| (*node, layers(output).unwrap_or_default()));
        let caches = imports.iter();
        let caches = caches.map(|cache| (cache.identity(), cache.name()));
        Walk {
            session,
            build,
            plan,
            past: Past::new(&session.store, build, plan),
            filtered: filtered(&plan.graph, &build.reuse.no_cache_filter),
            caches: caches.collect(),
            labels: past::labels(plan),
            known: plan.sources.clone(),
            awaited: BTreeMap::new(),
            added: added.collect(),
            open: BTreeMap::new(),
        }
    }

    /// The steps one by one.
    fn steps(&mut self) -> Result<Vec<ForecastStep>, BuildError> {
        let infos = plan::steps(self.plan).into_iter();
        let mut steps = infos
            .map(|info| self.step(info))
            .collect::<Result<Vec<_>, _>>()?;
        let executed = steps
            .iter_mut()
            .filter(|step| step.verdict == Verdict::Runs);
        for step in executed {
            let twins = self.twins(step.info.step);
            if !twins.is_empty() {
                (step.verdict, step.awaits) = (Verdict::Depends, twins);
            }
        }
        Ok(steps)
    }

    /// Steps that may give the result of a step before it is executed: the same operation, on what may be the same.
    fn twins(&self, step: usize) -> Vec<String> {
        let own = self.open.get(&step).copied().flatten();
        let may_be_same = |key: &Option<Digest>| own.is_none() || key.is_none() || *key == own;
        let definitions = &self.plan.definitions;
        let is_twin = |(other, key): &(&usize, &Option<Digest>)| {
            **other != step && definitions[**other] == definitions[step] && may_be_same(key)
        };
        match self.ignores_cache(NodeId(step)) {
            true => Vec::new(),
            false => {
                let twins = self.open.iter().filter(is_twin);
                twins.map(|(twin, _)| self.label(NodeId(*twin))).collect()
            }
        }
    }

    fn ignores_cache(&self, node: NodeId) -> bool {
        self.build.reuse.no_cache || self.filtered.contains(&node)
    }

    /// The next step.
    fn step(&mut self, info: StepInfo) -> Result<ForecastStep, BuildError> {
        let node = &self.plan.graph.nodes[info.step];
        let found = self.found(node)?;
        self.learn(node, &found);
        let before = || self.past.counterpart(node.id.0);
        Ok(match found {
            Found::Hit(record) => hit(info, self.named(&record.caches)),
            Found::Runs(_, reasons) => ForecastStep {
                before: before(),
                reasons,
                verdict: Verdict::Runs,
                ..hit(info, Vec::new())
            },
            Found::Depends(awaits, reasons) => ForecastStep {
                before: before(),
                reasons,
                awaits: awaits.into_values().collect(),
                verdict: Verdict::Depends,
                ..hit(info, Vec::new())
            },
        })
    }

    /// The steps of a build that is known as a whole.
    fn recalled(&mut self, results: &Results, caches: &Caches) -> Vec<ForecastStep> {
        for (node, done) in results {
            let layer = done.step.as_ref().and_then(|step| step.diff_id);
            self.added.entry(*node).or_default().extend(layer);
        }
        let from = self.named(caches);
        let infos = plan::steps(self.plan).into_iter();
        infos.map(|info| hit(info, from.clone())).collect()
    }

    fn named(&self, caches: &Caches) -> Vec<String> {
        let name = |cache: &str| self.caches.get(cache).cloned();
        caches.names().filter_map(name).collect()
    }

    fn found(&self, node: &Node) -> Result<Found, BuildError> {
        let of = (self.session, self.build, self.plan);
        let step = step_of(of, &self.past, node, self.ignores_cache(node.id));
        match self.asked(&step) {
            Ok(asked) => Ok(self.look_up(&step, asked)?),
            Err(Unknown::Awaits(awaits, part)) => Ok(self.wait(&step, awaits, part)?),
            Err(Unknown::Failed(error)) => {
                let failure = failed::failure(self.plan, node, error);
                Err(BuildError::Step(Box::new(failure)))
            }
        }
    }

    /// A step whose key is known.
    fn look_up(&self, step: &Step<'_>, asked: Asked) -> Result<Found, StoreError> {
        let Asked { key, other, seen } = asked;
        for key in std::iter::once(&key).chain(&other) {
            if let Some(record) = step.known(key)? {
                self.past.resolved(step.node, &key.inputs);
                return Ok(Found::Hit(record));
            }
        }
        let reasons = step.reasons(Known::All(&key), &|| seen.take());
        Ok(Found::Runs(Some(key.digest), reasons))
    }

    /// One whose key is not: without any result of its operation it is executed whatever the others give.
    fn wait(&self, step: &Step<'_>, awaits: Awaited, part: Part) -> Result<Found, StoreError> {
        let mut is_known = self.has_result(&step.definition)?;
        if self.runs_nothing() {
            is_known |= self.has_result(&self.plan.definition_with_one_id(step.node))?;
        }
        let mut inputs = part.inputs;
        if inputs.is_empty() {
            inputs.push((INSTRUCTION.to_owned(), step.definition));
        }
        let mut reasons = step.reasons(Known::Part(&inputs), &|| part.seen.take());
        if step.ignores_cache || !is_known {
            return Ok(Found::Runs(None, reasons));
        }
        // what became of the result of before says nothing of this one
        let is_of_before = |reason: &Reason| {
            matches!(
                reason,
                Reason::Failed | Reason::Refused | Reason::Evicted | Reason::NotShared
            )
        };
        reasons.retain(|reason| !is_of_before(reason));
        Ok(Found::Depends(awaits, reasons))
    }

    fn has_result(&self, definition: &Digest) -> Result<bool, StoreError> {
        self.session.store.records().has_definition(definition)
    }

    /// Where nothing can be run, a result counts whatever ids there were when it was made.
    fn runs_nothing(&self) -> bool {
        !is_supervised(self.session) && self.session.refused.is_some()
    }

    /// Keeps what is known by now of what a node gives.
    fn learn(&mut self, node: &Node, found: &Found) {
        let number = node.id.0;
        match found {
            Found::Hit(record) => self.gives(node, record),
            Found::Runs(key, _) => {
                self.open.insert(number, *key);
                self.awaited.insert(number, self.itself(node.id));
            }
            Found::Depends(awaits, _) => {
                self.open.insert(number, None);
                self.awaited.insert(number, awaits.clone());
            }
        }
    }

    /// Keeps a result. With `--link` it may be known before what it stands on.
    fn gives(&mut self, node: &Node, record: &Record) {
        let layer = record.diff_id.into_iter();
        self.added.insert(node.id.0, layer.collect());
        let below = node.op.base().map(|base| self.stack(base)).transpose();
        match below.map(|below| below.unwrap_or_else(Stack::empty)) {
            Ok(below) => {
                let stack = below.with(record.diff_id, record.tree, &Basis::from(record));
                self.known.insert(node.id.0, Output::of(stack));
            }
            Err(awaits) => drop(self.awaited.insert(node.id.0, awaits)),
        }
    }
}

/// A step that has a result.
fn hit(info: StepInfo, from: Vec<String>) -> ForecastStep {
    ForecastStep {
        info,
        verdict: Verdict::Hit,
        from,
        awaits: Vec::new(),
        reasons: Vec::new(),
        before: None,
    }
}
