//! Where the history of a stage's image comes from: the steps that the store knows of its base, and the place of each own instruction
//! in the Dockerfile. Unaware of images that are made of it.

use crate::failure::BuildError;
use crate::plan::Plan;
use crate::source::open::Build;
use kiln_cache::{BuildRecord, BuiltStep, Store};
use kiln_oci::{Digest, ImageConfig};
use kiln_parser::graph::{NodeId, Stage};
use std::path::Path;

/// The steps behind the history of a stage's image.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// Those of the base.
    base: Vec<BuiltStep>,
    /// Those of this Dockerfile, all of which the history has; their positions count from the first of them.
    own: Vec<BuiltStep>,
}

impl Origin {
    /// The steps of the stage at this position; `key` says under which key a node's result is recorded.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) fn of(
        store: &Store,
        build: &Build,
        plan: &Plan,
        position: usize,
        key: &dyn Fn(NodeId) -> Option<Digest>,
    ) -> Result<Self, BuildError> {
        let stages = line_of(plan, position);
        let file = file_name(build);
        let steps = plan.graph.stages[position].history.iter().enumerate();
        let own = steps.map(|(at, step)| BuiltStep {
            at,
            file: file.clone(),
            stage: writer(&stages, at),
            line: step.line,
            text: step.text.clone(),
            key: step.node.and_then(key),
        });
        Ok(Origin {
            own: own.collect(),
            base: base(store, plan, &stages)?,
        })
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.base.is_empty() && self.own.is_empty()
    }

    /// The record of an image in whose history the last own step is the entry before `end`.
    pub(crate) fn before(self, end: usize) -> Option<BuildRecord> {
        let first = end.checked_sub(self.own.len())?;
        let mut steps = self.base;
        steps.retain(|step| step.at < first);
        steps.extend(self.own.into_iter().map(|step| BuiltStep {
            at: first + step.at,
            ..step
        }));
        Some(BuildRecord { steps }).filter(|record| !record.steps.is_empty())
    }
}

/// Where the entries of a stage's own instructions end in the history of its image: at its end, or before the entry of a squashed
/// layer. `None` where the history does not have them.
pub(crate) fn end(stage: &Stage, config: &ImageConfig) -> Option<usize> {
    let own = stage.history.iter().map(|step| Some(&step.created_by));
    let all = config.history.len();
    [Some(all), all.checked_sub(1)]
        .into_iter()
        .flatten()
        .find(|end| {
            let first = end.checked_sub(stage.history.len());
            let entries = first.map(|first| &config.history[first..*end]);
            entries.is_some_and(|entries| {
                let entries = entries.iter().map(|entry| entry.created_by.as_ref());
                entries.eq(own.clone())
            })
        })
}

/// A stage and those that it continues, the first one first.
fn line_of(plan: &Plan, position: usize) -> Vec<&Stage> {
    let positions = std::iter::successors(Some(position), |position| plan.parent(*position));
    let mut stages: Vec<&Stage> = positions.map(|at| &plan.graph.stages[at]).collect();
    stages.reverse();
    stages
}

/// The stage whose instruction is the step at this position.
fn writer(stages: &[&Stage], at: usize) -> String {
    let writer = stages.iter().find(|stage| stage.history.len() > at);
    let number = |stage: &Stage| stage.index.to_string();
    writer.map_or_else(String::new, |stage| {
        stage.name.clone().unwrap_or_else(|| number(stage))
    })
}

/// What the store knows of the base's history, else what that says itself.
fn base(store: &Store, plan: &Plan, stages: &[&Stage]) -> Result<Vec<BuiltStep>, BuildError> {
    let Some(first) = stages.first() else {
        return Ok(Vec::new());
    };
    let known = match plan.images.get(&first.base.0) {
        Some(id) => store.builds().get(id)?,
        None => None,
    };
    let told = || BuildRecord::of_label(first.base_image.as_ref()?);
    Ok(known.or_else(told).unwrap_or_default().steps)
}

/// The Dockerfile's path below the context, else its name: what is equal wherever the context lies.
fn file_name(build: &Build) -> String {
    let name = Path::new(&build.dockerfile.name);
    let inside = build
        .context
        .folder()
        .and_then(|folder| name.strip_prefix(folder).ok());
    let name = inside.unwrap_or(name);
    name.strip_prefix(".").unwrap_or(name).display().to_string()
}
