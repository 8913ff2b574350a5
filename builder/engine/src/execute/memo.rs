//! The whole build as one look-up: its key, and its outcome from this store or from a shared cache. Of what a cache says only the
//! results of the steps are taken: the image is assembled from them and from the Dockerfile, as if the steps had been looked up one by
//! one. Unaware of how a build is executed.

use crate::event::{EventKind, Outcome, StepInfo};
use crate::exchange;
use crate::execute::{Executed, Results};
use crate::failure::BuildError;
use crate::plan::output::{Basis, Done, StepResult};
use crate::plan::{self, Plan};
use crate::request::Squash;
use crate::session::Session;
use crate::source::open::Build;
use kiln_cache::{Caches, KeyBuilder, MemoBundle, StoreError};
use kiln_oci::Digest;
use kiln_parser::graph::{HistoryStep, NodeId, Stage};
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
    build: &Build,
    plan: &Plan,
    imports: &[exchange::Import],
) -> Result<Recalled, BuildError> {
    let is_wanted = build.reuse.takes_outcomes() && !build.form.save_stages;
    // a memo says nothing of stages
    let key = key(build, plan).filter(|_| is_wanted);
    if let Some(key) = &key
        && let Some(bundle) = session.store.records().memo(key)?
    {
        cached_steps(session, plan, &bundle.records);
        return Ok(Recalled::Image(bundle));
    }
    // an attempt before has read them
    let is_first = session.store.exchange().forgotten().is_empty();
    if !is_first || build.reuse.no_cache || imports.is_empty() {
        return Ok(Recalled::Claims(Vec::new()));
    }
    let (store, remote) = (&session.store, &session.remote);
    let mut outcomes = exchange::import(store, remote, imports, key.as_ref())?;
    outcomes.retain(|_| build.form.squash == Squash::Nothing);
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
    let records = outcome.bundle.records;
    let steps = plan.steps_by_origin();
    if steps.len() != records.len() {
        return Ok(None);
    }
    let keys: BTreeMap<NodeId, &Digest> = steps.into_iter().zip(&records).collect();
    let mut results = Results::new();
    for node in &plan.graph.nodes {
        let below = node.op.base().and_then(|below| results.get(&below.0));
        let done = match (plan.sources.get(&node.id.0), below, keys.get(&node.id)) {
            (Some(source), _, _) => source.layers().cloned(),
            (None, Some(below), Some(key)) => {
                claimed(session, plan, node.id, below, key, &outcome.caches)?
            }
            _ => None,
        };
        results.extend(done.map(|done| (node.id.0, done)));
    }
    Ok(has_targets(plan, &results).then_some(Executed {
        results,
        records,
        now: Some(outcome.bundle.created),
    }))
}

fn has_targets(plan: &Plan, results: &Results) -> bool {
    let output = |stage: usize| plan.graph.stages[stage].output.0;
    let mut targets = plan.targets.iter();
    targets.all(|target| results.contains_key(&output(target.stage)))
}

/// What a cache says of one step: looked up as for any build that names the cache, and a result of the very instruction. That it is the
/// result of this step, and not of another one with the same instruction, is said by the cache too.
fn claimed(
    session: &Session,
    plan: &Plan,
    node: NodeId,
    below: &Done,
    key: &Digest,
    caches: &Caches,
) -> Result<Option<Arc<Done>>, StoreError> {
    let record = session.store.records().lookup(key)?;
    let record = record.filter(|record| record.definition == plan.definitions[node.0]);
    Ok(record.map(|record| {
        let mut basis = Basis::from(&record);
        basis.caches = basis.caches.with(caches);
        Arc::new(Done {
            stack: below.stack.with(record.diff_id, record.tree, &basis),
            step: Some(StepResult {
                key: *key,
                diff_id: record.diff_id,
                created: record.created,
            }),
        })
    }))
}

/// Everything that decides about the image; `None` while something has to be fetched first, or where no key knows all of it.
pub(crate) fn key(build: &Build, plan: &Plan) -> Option<Digest> {
    let mut key = build.key(KeyBuilder::new("memo"))?;
    for target in &plan.targets {
        let stage = &plan.graph.stages[target.stage];
        // Epoch and ids are part of every definition, and so of the files.
        key = stage_key(key.input("files", plan.made_from(stage.output)?), stage);
    }
    Some(key.finish().0)
}

/// Adds what a stage says of its image besides the files.
fn stage_key(key: KeyBuilder, stage: &Stage) -> KeyBuilder {
    let Stage {
        config,
        base_image,
        author,
        platform,
        image_platform,
        history,
        // known by the files
        output: _,
        base: _,
        from: _,
        // not in the image
        index: _,
        name: _,
        arguments: _,
        line: _,
    } = stage;
    // Plain data of our own: serialising it cannot fail.
    let text = |value: Result<Vec<u8>, serde_json::Error>| value.unwrap_or_default();
    key.bytes("config", &text(serde_json::to_vec(config)))
        .bytes("base", &text(serde_json::to_vec(base_image)))
        .list("author", author)
        .list(
            "platform",
            [platform, image_platform].map(ToString::to_string),
        )
        .list("history", history.iter().flat_map(entry))
}

/// What an entry of the history says. Which layer it stands for follows from the files and the order of the entries, and where it
/// stands in the Dockerfile is not in the image.
fn entry(entry: &HistoryStep) -> [&str; 3] {
    let HistoryStep {
        created_by,
        node,
        comment,
        line: _,
        text: _,
    } = entry;
    [created_by, node.map_or("metadata", |_| "layer"), comment]
}

/// The memo answers for every step; `records` are the keys of their results.
pub(crate) fn cached_steps(session: &Session, plan: &Plan, records: &[Digest]) {
    if !session.events.are_heard() {
        return;
    }
    let steps = plan.steps_by_origin().into_iter();
    let keys: BTreeMap<usize, &Digest> = steps.map(|step| step.0).zip(records).collect();
    for StepInfo { step, .. } in plan::steps(plan) {
        session.events.send(EventKind::Finished {
            step,
            outcome: Outcome::Cached,
            took_us: 0,
            bytes: None,
            key: keys.get(&step).map(|key| **key),
            used: None,
        });
    }
}

#[cfg(test)]
mod tests;
