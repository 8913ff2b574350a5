//! What a build knows of the builds of its project before it: for each step that is executed the reasons, and for each result what it was made of,
//! so that later builds can tell. Unaware of how steps are executed.
//!
//! It costs nothing while all steps are found: earlier builds are looked at when the first step is executed.

mod align;
mod comparison;
mod exported;
pub mod files;
mod last;
mod operation;
mod secret;
mod words;

use crate::execute::key::{Key, Known, Seen, input_names};
use crate::failure::chain_of_causes;
use crate::plan::{self, Plan};
use crate::source::open::Build;
use comparison::{Comparison, Inputs};
pub use exported::exported;
use kiln_cache::{
    ExportedBuild, PastStep, ReadInput, ReadOrigin, Reason, StepEnding, StepInputs, Store,
    StoreError,
};
use kiln_oci::{Digest, locked};
use kiln_parser::graph::{Node, Op};
use secret::Secrets;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

/// How many earlier builds are looked at.
const BUILDS: usize = 8;

/// A build and those before it.
#[derive(Debug)]
pub struct Past<'a> {
    store: &'a Store,
    build: &'a Build,
    plan: &'a Plan,
    /// What its steps are made of, as far as they were looked up.
    now: Mutex<Inputs>,
    /// Their keys, as far as they are known.
    keys: Mutex<BTreeMap<usize, Digest>>,
    /// Steps that started before all of their inputs were known, with what was demanded of them.
    incomplete: Mutex<BTreeMap<usize, Option<Reason>>>,
    /// None for the first build of a project.
    comparison: OnceLock<Option<Comparison>>,
    /// The build elsewhere that it is compared with, where the store knows none of the project.
    elsewhere: OnceLock<Arc<ExportedBuild>>,
    secrets: OnceLock<Secrets>,
}

impl<'a> Past<'a> {
    /// Of a build that begins to look up its steps.
    pub fn new(store: &'a Store, build: &'a Build, plan: &'a Plan) -> Self {
        Past {
            store,
            build,
            plan,
            now: Mutex::default(),
            keys: Mutex::default(),
            incomplete: Mutex::default(),
            comparison: OnceLock::new(),
            elsewhere: OnceLock::new(),
            secrets: OnceLock::new(),
        }
    }

    /// Under which key a step's result is, or would have been.
    pub fn key(&self, node: usize) -> Option<Digest> {
        locked(&self.keys).get(&node).copied()
    }

    /// Keeps what a step is made of. No build fails because that is not kept.
    pub fn keep(&self, node: &Node, key: &Key, seen: &dyn Fn() -> Seen) {
        if locked(&self.keys).insert(node.id.0, key.digest) == Some(key.digest) {
            return;
        }
        let known = locked(&self.now).get(&node.id.0).cloned();
        let known = known.filter(|known| known.inputs == key.inputs);
        if known.is_none() {
            self.resolved(node, &key.inputs);
        }
        if let Err(error) = self.keep_in_store(node, key, known, seen) {
            tracing::debug!(
                "what a step was made of is not kept: {}",
                chain_of_causes(&error)
            );
        }
    }

    fn keep_in_store(
        &self,
        node: &Node,
        key: &Key,
        known: Option<Arc<StepInputs>>,
        seen: &dyn Fn() -> Seen,
    ) -> Result<(), StoreError> {
        let kept = self.store.inputs();
        if kept.has(&key.digest)? {
            return Ok(());
        }
        let told = || Arc::new(self.inputs(node, &key.inputs, seen()));
        kept.put(&key.digest, &known.unwrap_or_else(told))
    }

    /// All that is known of what a step is made of.
    fn inputs(&self, node: &Node, inputs: &[(String, Digest)], seen: Seen) -> StepInputs {
        let secrets = || Secrets::of(self.plan, &self.build.run);
        let secrets = self.secrets.get_or_init(secrets);
        StepInputs {
            inputs: inputs.to_vec(),
            operation: operation::document(self.plan, node, secrets),
            reads: self.reads(node),
            files: seen.files,
            values: seen.values,
        }
    }

    fn reads(&self, node: &Node) -> Vec<ReadInput> {
        let inputs = node.op.inputs().into_iter().zip(input_names(&node.op));
        let read = |(read, input)| {
            let origin = match &self.plan.graph.node(read).op {
                Op::Scratch => ReadOrigin::Scratch,
                Op::Image { reference, .. } => {
                    let id = self.plan.images.get(&read.0);
                    ReadOrigin::Image(reference.clone(), id.copied())
                }
                Op::Context { name } => ReadOrigin::Context(name.clone()),
                _ => ReadOrigin::Step,
            };
            ReadInput { input, origin }
        };
        inputs.map(read).collect()
    }

    /// What went into a step's key is known.
    pub fn resolved(&self, node: &Node, inputs: &[(String, Digest)]) {
        let mut now = locked(&self.now);
        let known = now.get(&node.id.0).map(|known| StepInputs::clone(known));
        let known = known.unwrap_or_else(|| StepInputs {
            reads: self.reads(node),
            ..StepInputs::default()
        });
        let inputs = inputs.to_vec();
        now.insert(node.id.0, Arc::new(StepInputs { inputs, ..known }));
    }

    /// Why a step has to be executed, in a build that is not the first of its project; `demanded` is a reason that has nothing to do with inputs.
    /// While not all is known, only that counts until [`Past::completed`].
    pub fn reasons(
        &self,
        node: &Node,
        known: Known<'_>,
        seen: &dyn Fn() -> Seen,
        demanded: Option<Reason>,
    ) -> Vec<Reason> {
        let step = node.id.0;
        let comparison = self.comparison.get_or_init(|| self.compared());
        let Some(comparison) = comparison else {
            return Vec::new();
        };
        let inputs = match known {
            Known::All(key) => key.inputs.clone(),
            Known::Part(inputs) => comparison.with_old(step, inputs),
        };
        let inputs = self.inputs(node, &inputs, seen());
        locked(&self.now).insert(step, Arc::new(inputs));
        if let Known::Part(_) = known {
            locked(&self.incomplete).insert(step, demanded.clone());
        }
        self.told(comparison, step, demanded)
    }

    /// All reasons of a step, where not all were known when it started.
    pub fn completed(&self, node: &Node, inputs: &[(String, Digest)]) -> Vec<Reason> {
        let demanded = locked(&self.incomplete).remove(&node.id.0);
        match (demanded, self.comparison.get()) {
            (Some(demanded), Some(Some(comparison))) => {
                self.resolved(node, inputs);
                self.told(comparison, node.id.0, demanded)
            }
            _ => Vec::new(),
        }
    }

    fn told(&self, comparison: &Comparison, step: usize, demanded: Option<Reason>) -> Vec<Reason> {
        let reasons = comparison.reasons(step, &locked(&self.now));
        match (demanded, comparison.counterpart(step)) {
            (Some(Reason::Expired), _) => vec![Reason::Expired],
            (Some(demanded), _) => std::iter::once(demanded).chain(reasons).collect(),
            (None, Some(old)) if reasons.is_empty() => {
                self.without_difference(old).into_iter().collect()
            }
            _ => reasons,
        }
    }

    /// Why a step is executed that is what it was.
    fn without_difference(&self, old: &PastStep) -> Option<Reason> {
        if old.outcome == Some(StepEnding::Failed) {
            return Some(Reason::Failed);
        }
        let is_there = self.store.records().has(old.key.as_ref()?).ok()?;
        Some(match self.elsewhere.get() {
            _ if is_there => Reason::Refused,
            Some(_) => Reason::NotShared,
            None => Reason::Evicted,
        })
    }

    /// The flag because of which steps are executed whatever is known of them.
    pub fn forcing_flag(&self) -> &'static str {
        match self.build.reuse.no_cache {
            true => "--no-cache",
            false => "--no-cache-filter",
        }
    }

    /// The step that a step was before, in a build that is not the first of its project.
    pub fn counterpart(&self, step: usize) -> Option<PastStep> {
        let comparison = self.comparison.get_or_init(|| self.compared()).as_ref()?;
        comparison.counterpart(step).cloned()
    }

    /// What the shared caches say of the last build, if it was of the same Dockerfile.
    fn compared_elsewhere(&self, file: &str) -> Option<Comparison> {
        let heard = self.store.exchange().heard();
        let heard = heard.filter(|build| build.file == file)?;
        let build = self.elsewhere.get_or_init(|| heard).clone();
        let old = build.steps.clone();
        let known = move |key: &Digest| build.inputs.get(key).cloned();
        Some(Comparison::new(old, steps(self.plan), Box::new(known)))
    }

    fn compared(&self) -> Option<Comparison> {
        let project = self.build.project.as_ref()?;
        let builds = self.store.history().last_of(project, BUILDS).ok()?;
        if builds.is_empty() {
            return self.compared_elsewhere(&project.file);
        }
        let old = last::joined(builds.into_iter().map(|(_, steps)| steps).collect());
        let store = self.store.clone();
        let known = move |key: &Digest| store.inputs().get(key).ok()?;
        Some(Comparison::new(old, steps(self.plan), Box::new(known)))
    }
}

/// Why the steps of one build are not those of another one, by their numbers; steps that are what they were are absent.
#[must_use]
pub fn compare(
    store: &Store,
    old: Vec<PastStep>,
    new: Vec<PastStep>,
) -> BTreeMap<usize, Vec<Reason>> {
    let known = |key: &Digest| store.inputs().get(key).ok()?;
    let inputs = new.iter().filter_map(|step| {
        let inputs = known(step.key.as_ref()?)?;
        Some((step.step, Arc::new(inputs)))
    });
    let now: Inputs = inputs.collect();
    let steps: Vec<usize> = new.iter().map(|step| step.step).collect();
    let store = store.clone();
    let known = move |key: &Digest| store.inputs().get(key).ok()?;
    let comparison = Comparison::new(old, new, Box::new(known));
    let reasons = |step: usize| (step, comparison.reasons(step, &now));
    let reasons = steps.into_iter().map(reasons);
    reasons.filter(|(_, reasons)| !reasons.is_empty()).collect()
}

/// What the steps of a plan are called in reasons, by their numbers.
pub fn labels(plan: &Plan) -> BTreeMap<usize, String> {
    let label = |step: &PastStep| (step.step, comparison::label(step));
    steps(plan).iter().map(label).collect()
}

/// The steps of a plan, as they will be remembered.
fn steps(plan: &Plan) -> Vec<PastStep> {
    let step = |info: crate::event::StepInfo| PastStep {
        step: info.step,
        stage: info.stage,
        number: info.number,
        of: info.of,
        line: info.line,
        title: info.title,
        needs: info.needs,
        ..PastStep::default()
    };
    plan::steps(plan).into_iter().map(step).collect()
}
