//! The whole build as one look-up: its key, and its outcome from this store or from a shared cache. Of what a cache says only the
//! results of the steps are taken: the image is assembled from them and from the Dockerfile, as if the steps had been looked up one by
//! one. Unaware of how a build is executed.

use crate::event::{EventKind, Outcome};
use crate::exchange;
use crate::execute::Executed;
use crate::failure::BuildError;
use crate::image::squash::Squash;
use crate::plan::output::{Done, Output, StepResult};
use crate::plan::{self, Plan};
use crate::request::options::BuildOptions;
use crate::session::Session;
use kiln_cache::{Caches, KeyBuilder, MemoBundle, StoreError};
use kiln_oci::Digest;
use kiln_parser::graph::{NodeId, Op};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is known of an equal build.
#[derive(Debug)]
pub(crate) enum Recalled {
    /// Its image, which this store has assembled.
    Image(MemoBundle),
    /// What shared caches say of it, the first that was named first; nothing, perhaps.
    Claims(Vec<exchange::Outcome>),
}

/// The outcome of an equal build, if everything may come from the cache. Caches of others are read only when this store does not
/// know it, and once; what else they hold is known to this build from then on.
///
/// # Errors
/// The store fails.
pub(crate) fn recall(
    session: &Session,
    options: &BuildOptions,
    plan: &Plan,
) -> Result<Recalled, BuildError> {
    let is_wanted =
        !options.no_cache && options.no_cache_filter.is_empty() && options.cache_ttl.is_none();
    // a memo says nothing of stages
    let key = key(options, plan).filter(|_| is_wanted && !options.save_stages);
    if let Some(key) = &key
        && let Some(bundle) = session.store.records().memo(key)?
    {
        cached_steps(session, plan);
        return Ok(Recalled::Image(bundle));
    }
    // an attempt before has read them
    let is_first = session.store.exchange().forgotten().is_empty();
    if !is_first || options.no_cache || options.cache_from.is_empty() {
        return Ok(Recalled::Claims(Vec::new()));
    }
    let mut outcomes = exchange::import(session, &options.cache_from, key.as_ref())?;
    outcomes.retain(|_| options.squash == Squash::Nothing);
    Ok(Recalled::Claims(outcomes))
}

/// What the steps gave, as far as the images are made of it; `None` if that is not all there.
///
/// # Errors
/// The store fails.
pub(crate) fn results(
    session: &Session,
    plan: &Plan,
    outcome: exchange::Outcome,
) -> Result<Option<Executed>, StoreError> {
    let steps = plan.steps_by_origin();
    let records = outcome.bundle.records;
    if steps.len() != records.len() {
        return Ok(None);
    }
    let keys = steps.iter().map(|step| step.0).zip(records.iter().copied());
    let keys: BTreeMap<usize, Digest> = keys.collect();
    let mut results: BTreeMap<usize, Arc<Done>> = BTreeMap::new();
    for node in &plan.graph.nodes {
        let number = node.id.0;
        let below = below(&node.op).and_then(|below| results.get(&below.0));
        let done = match (plan.sources.get(&number), below, keys.get(&number)) {
            (Some(Output::Layers { done, .. }), _, _) => done.now(),
            (None, Some(below), Some(key)) => {
                claimed(session, plan, number, below, key, &outcome.caches)?
            }
            _ => None,
        };
        results.extend(done.map(|done| (number, done)));
    }
    let outputs = plan.targets.iter().map(|target| target.stage);
    let mut outputs = outputs.map(|stage| plan.graph.stages[stage].output);
    let is_whole = outputs.all(|output| results.contains_key(&output.0));
    Ok(is_whole.then_some(Executed {
        results,
        records,
        now: Some(outcome.bundle.created),
    }))
}

/// What a cache says of one step: looked up as for any build that names the cache, and a result of the very instruction. That it is the
/// result of this step, and not of another one with the same instruction, is said by the cache too.
fn claimed(
    session: &Session,
    plan: &Plan,
    node: usize,
    below: &Done,
    key: &Digest,
    caches: &Caches,
) -> Result<Option<Arc<Done>>, StoreError> {
    let record = session.store.records().lookup(key)?;
    let record = record.filter(|record| record.definition == plan.definitions[node]);
    Ok(record.map(|record| {
        let caches = record.caches.with(caches);
        Arc::new(Done {
            stack: below.stack.with(record.diff_id, record.tree, &caches),
            step: Some(StepResult {
                key: *key,
                diff_id: record.diff_id,
                created: record.created,
                outcome: Outcome::Cached,
            }),
        })
    }))
}

/// What a step's layer goes onto.
fn below(op: &Op) -> Option<NodeId> {
    match op {
        Op::Run(run) => Some(run.base),
        Op::Copy(copy) => Some(copy.base),
        Op::MakeDirectory { base, .. } => Some(*base),
        Op::Scratch | Op::Image { .. } | Op::Context { .. } => None,
    }
}

/// Everything that decides about the image; none while something has to be fetched first, where labels tell of stages, and for an
/// index that has other images too.
pub(crate) fn key(options: &BuildOptions, plan: &Plan) -> Option<Digest> {
    if options.stage_labels || options.manifest.is_some() {
        return None;
    }
    // Plain data of our own: serialising it cannot fail.
    let text = |value: Result<Vec<u8>, serde_json::Error>| value.unwrap_or_default();
    let mut key = KeyBuilder::new("memo")
        .bytes("index", &[u8::from(options.makes_index())])
        .bytes("squash", &[options.squash as u8])
        .bytes("omit-history", &[u8::from(options.omit_history)])
        .bytes(
            "annotations",
            format!("{:?}", options.annotations).as_bytes(),
        );
    for (flag, value) in options.surroundings() {
        key = key.bytes(flag, value.as_bytes());
    }
    for target in &plan.targets {
        let stage = &plan.graph.stages[target.stage];
        // Epoch and ids are part of every definition, and so of the files.
        key = key
            .input("files", plan.made_from(stage.output)?)
            .bytes("config", &text(serde_json::to_vec(&stage.config)))
            .bytes("base", &text(serde_json::to_vec(&stage.base_image)))
            .bytes(
                "author",
                format!(
                    "{:?} {} {}",
                    stage.author, stage.platform, stage.image_platform
                )
                .as_bytes(),
            )
            .bytes("history", &text(serde_json::to_vec(&stage.history)));
    }
    Some(key.finish().0)
}

/// The memo answers for every step.
pub(crate) fn cached_steps(session: &Session, plan: &Plan) {
    for step in plan::steps(plan) {
        session.events.send(EventKind::Finished {
            step: step.step,
            outcome: Outcome::Cached,
            took_us: 0,
            bytes: None,
        });
    }
}
