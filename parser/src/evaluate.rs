//! Meaning: a Dockerfile and its inputs become a [`StageGraph`], in rounds.
//!
//! Evaluation needs the configurations of base images (environment, `ONBUILD` triggers), which
//! it cannot fetch. It asks for all that it knows it needs with [`Evaluation::Needs`] and is
//! called again; triggers may bring more. Only stages that the target can reach count.

mod base;
mod environment;
pub mod epoch;
mod globals;
pub(crate) mod go;
mod nodes;
pub mod outline;
mod plan;
mod stage;
mod world;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use kiln_oci::{Platform, RuntimeConfig};

use crate::ast::Dockerfile;
use crate::diagnostic::Diagnostic;
use crate::graph::StageGraph;
use crate::inputs::{Bases, Evaluation, ImageRequest, Inputs};
use crate::lint::{self, evaluated};

use nodes::Nodes;
use plan::{Base, Plan};
pub(crate) use stage::StageBuilder;
use world::World;

/// Evaluates a Dockerfile that was parsed without errors.
///
/// # Errors
/// What is wrong with variables, stages, sources and values; several at once where they do not
/// follow from each other.
pub fn evaluate(
    dockerfile: &Dockerfile,
    inputs: &Inputs,
    bases: &Bases,
) -> Result<Evaluation, Vec<Diagnostic>> {
    evaluate_with(dockerfile, inputs, bases, &mut Vec::new())
}

/// The same; when there are errors, `warnings` is what rules found before the first of them.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_with(
    dockerfile: &Dockerfile,
    inputs: &Inputs,
    bases: &Bases,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Evaluation, Vec<Diagnostic>> {
    let mut evaluated = evaluate_rounds(dockerfile, inputs, bases, warnings);
    let missing = warnings.iter_mut().filter(|warning| warning.line == 0);
    place(dockerfile, missing);
    warnings.sort_by(|a, b| (a.span, a.code, &a.message).cmp(&(b.span, b.code, &b.message)));
    match &mut evaluated {
        Ok(Evaluation::Graph(graph)) => graph.warnings = std::mem::take(warnings),
        Ok(Evaluation::Needs(_)) => {}
        Err(errors) => place(dockerfile, errors.iter_mut()),
    }
    evaluated
}

/// Fills in the lines of diagnostics that know their span only.
fn place<'d>(dockerfile: &Dockerfile, found: impl Iterator<Item = &'d mut Diagnostic>) {
    for found in found.filter(|found| found.span.end > 0) {
        let after = dockerfile
            .lines
            .partition_point(|line| line.span.start <= found.span.start);
        let line = after
            .checked_sub(1)
            .and_then(|before| dockerfile.lines.get(before));
        found.line = line.map_or(0, |line| line.first);
    }
}

fn evaluate_rounds(
    dockerfile: &Dockerfile,
    inputs: &Inputs,
    bases: &Bases,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Evaluation, Vec<Diagnostic>> {
    let lint = lint::Config::of(dockerfile, &inputs.build_args).map_err(|error| vec![error])?;
    *warnings = lint::check(dockerfile, &lint, None);
    if let Ok(defaults) = globals::evaluate(dockerfile, inputs, &BTreeMap::new()) {
        warnings.extend(evaluated::default_bases(dockerfile, &defaults, &lint));
    }
    let world = World::new(dockerfile, inputs, bases, lint)?;
    let mut plan = Plan::new(&world, warnings)?;
    let target = plan.target(&world).map_err(|error| vec![error])?;
    loop {
        let reachable = plan.reachable(&world, target);
        let needs = requests(&world, &plan, &reachable);
        if needs.iter().any(|request| request.needs_config) {
            return Ok(Evaluation::Needs(needs));
        }
        // Triggers may refer to stages and images that nothing else refers to. Those of stages that only a check looks at are
        // left alone, as BuildKit leaves them.
        if !plan.add_triggers(&world, &plan.needed(target))? {
            warnings.extend(base::warnings(&world, &plan, &reachable));
            let built = build(&world, &plan, &reachable, target, warnings);
            return built.map(|graph| Evaluation::Graph(Box::new(graph)));
        }
    }
}

/// The images of reachable stages whose configuration is unknown, and with them those that are
/// only copied from.
fn requests(world: &World<'_>, plan: &Plan, reachable: &[usize]) -> Vec<ImageRequest> {
    let mut requests: Vec<ImageRequest> = Vec::new();
    let mut places: BTreeMap<(String, Platform), usize> = BTreeMap::new();
    let mut add = |request: ImageRequest| {
        let key = (request.reference.clone(), request.platform.clone());
        match places.entry(key) {
            Entry::Occupied(place) => requests[*place.get()].needs_config |= request.needs_config,
            Entry::Vacant(place) => {
                place.insert(requests.len());
                requests.push(request);
            }
        }
    };
    for &index in reachable {
        let stage = &plan.stages[index];
        if let Base::Image(reference) = &stage.base
            && world.bases.get(reference, &stage.platform).is_none()
        {
            add(ImageRequest {
                reference: reference.clone(),
                platform: stage.platform.clone(),
                span: stage.span,
                needs_config: true,
            });
        }
        for (reference, span) in &stage.images {
            if world.bases.get(reference, &world.inputs.platform).is_none() {
                add(ImageRequest {
                    reference: reference.clone(),
                    platform: world.inputs.platform.clone(),
                    span: *span,
                    needs_config: false,
                });
            }
        }
    }
    requests
}

fn build(
    world: &World<'_>,
    plan: &Plan,
    reachable: &[usize],
    target: usize,
    warnings: &mut Vec<Diagnostic>,
) -> Result<StageGraph, Vec<Diagnostic>> {
    let mut nodes = Nodes::default();
    let mut done: Vec<Option<stage::Finished>> = vec![None; plan.stages.len()];
    let mut errors = Vec::new();
    for (position, &index) in reachable.iter().enumerate() {
        // What needs a broken stage is not looked at: its errors would follow from the first.
        if plan.stages[index]
            .needs()
            .any(|needed| needed < index && done[needed].is_none())
        {
            continue;
        }
        let stage = StageBuilder::new(world, plan, &mut nodes, &done, index, position);
        let mut found = Vec::new();
        let built = stage.build(&mut found);
        // What stands behind the first error is only looked at for more errors.
        if errors.is_empty() {
            warnings.append(&mut found);
        }
        match built {
            Ok(finished) => done[index] = Some(finished),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let stages = done.into_iter().flatten().map(|finished| finished.stage);
    let mut stages: Vec<_> = stages.collect();
    let target = reachable
        .iter()
        .position(|&index| index == target)
        .unwrap_or(0);
    let epoch = world.epoch().map_err(|error| vec![error])?;
    edit(&mut stages[target].config, world.inputs);
    Ok(StageGraph {
        nodes: nodes.finish(),
        stages,
        target,
        warnings: Vec::new(),
        unused_build_args: world.unused_build_args(plan, reachable),
        source_date_epoch: epoch,
    })
}

/// What the command line says about the image after the Dockerfile.
fn edit(config: &mut RuntimeConfig, inputs: &Inputs) {
    config.labels.extend(inputs.labels.clone());
    config
        .labels
        .retain(|name, _| !inputs.unset_labels.contains(name));
    let name = |entry: &String| entry.split('=').next().unwrap_or_default().to_owned();
    config
        .env
        .retain(|entry| !inputs.unset_env.contains(&name(entry)));
}
