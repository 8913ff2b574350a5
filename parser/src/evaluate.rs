//! Meaning: a Dockerfile and its inputs become a [`StageGraph`], in rounds. Unaware of how images are found.
//!
//! Evaluation needs the configurations of base images (environment, `ONBUILD` triggers), which it cannot fetch. It asks for everything that
//! it knows it needs with [`Evaluation::Needs`] and is called again; triggers may bring more. Only stages that the target can reach count.

mod base;
pub mod epoch;
mod globals;
pub mod outline;
mod plan;
mod stage;
mod world;

use std::collections::BTreeMap;

use kiln_oci::{Platform, RuntimeConfig};

use crate::ast::Dockerfile;
use crate::diagnostic::Diagnostic;
use crate::graph::StageGraph;
use crate::inputs::{Bases, Evaluation, ImageRequest, Inputs};
use crate::lint::{self, evaluated};
use crate::stage::nodes::Nodes;

use plan::{Base, Plan};
use world::World;

/// Evaluates a Dockerfile that was parsed without errors.
///
/// # Errors
/// What is wrong with variables, stages, sources and values; several at once unless they follow from each other.
pub fn evaluate(
    dockerfile: &Dockerfile,
    inputs: &Inputs,
    bases: &Bases,
) -> Result<Evaluation, Vec<Diagnostic>> {
    evaluate_with(dockerfile, inputs, bases, &mut Vec::new())
}

/// The same; if there are errors, `warnings` is what rules found before the first of them.
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

/// Fills in the lines of diagnostics that know only their span.
fn place<'d>(dockerfile: &Dockerfile, found: impl Iterator<Item = &'d mut Diagnostic>) {
    let lines = &dockerfile.lines;
    for found in found.filter(|found| found.span.end() > 0) {
        let after = lines.partition_point(|line| line.span.start() <= found.span.start());
        let line = after.checked_sub(1).and_then(|before| lines.get(before));
        found.line = line.map_or(0, |line| line.first);
    }
}

fn evaluate_rounds(
    dockerfile: &Dockerfile,
    inputs: &Inputs,
    bases: &Bases,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Evaluation, Vec<Diagnostic>> {
    let lint = lint::Config::of(&dockerfile.directives, &inputs.language.build_args);
    let lint = lint.map_err(|error| vec![error])?;
    *warnings = lint::check(dockerfile, &lint, None);
    if lint.asks(&evaluated::INVALID_DEFAULT_ARG_IN_FROM, &[])
        && let Ok(defaults) = globals::evaluate(dockerfile, inputs, &BTreeMap::new())
    {
        warnings.extend(globals::invalid_bases(dockerfile, &defaults));
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
        // Triggers may refer to stages and images that nothing else refers to. As in BuildKit, those of stages that only a check
        // evaluates are left alone.
        if !plan.add_triggers(&world, &plan.needed(target))? {
            warnings.extend(base::warnings(&world, &plan, &reachable));
            let built = build(&world, &plan, &reachable, target, warnings);
            return built.map(|graph| Evaluation::Graph(Box::new(graph)));
        }
    }
}

/// The images of reachable stages whose configuration is unknown, and those that are only copied from; each once.
fn requests(world: &World<'_>, plan: &Plan, reachable: &[usize]) -> Vec<ImageRequest> {
    let mut requests: Vec<ImageRequest> = Vec::new();
    let mut places: BTreeMap<(String, Platform), usize> = BTreeMap::new();
    let mut add = |reference: &str, platform: &Platform, span, needs_config| {
        if world.bases.get(reference, platform).is_some() {
            return;
        }
        let key = (reference.to_owned(), platform.clone());
        let place = *places.entry(key).or_insert(requests.len());
        match requests.get_mut(place) {
            Some(request) => request.needs_config |= needs_config,
            None => requests.push(ImageRequest {
                reference: reference.to_owned(),
                platform: platform.clone(),
                span,
                needs_config,
            }),
        }
    };
    for &index in reachable {
        let stage = &plan.stages[index];
        if let Base::Image(reference) = &stage.base {
            add(reference, &stage.platform, stage.span, true);
        }
        for (reference, span) in &stage.images {
            add(reference, &world.inputs.platform, *span, false);
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
        // What needs a broken stage is not evaluated: its errors would follow from the first.
        let mut needs = plan.stages[index].needs();
        if needs.any(|needed| needed < index && done[needed].is_none()) {
            continue;
        }
        let mut found = Vec::new();
        let at = (position, index);
        let built = stage::evaluate(world, plan, &mut nodes, &done, at, &mut found);
        // After the first error, only more errors are looked for.
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
    let stages = done.into_iter().flatten();
    let mut stages: Vec<_> = stages.map(|stage| stage.into_stage(world, plan)).collect();
    let target = reachable.iter().position(|&index| index == target);
    let target = target.unwrap_or(0);
    edit(&mut stages[target].config, world.inputs);
    Ok(StageGraph {
        nodes: nodes.finish(),
        stages,
        target,
        warnings: Vec::new(),
        unused_build_args: world.unused_build_args(plan, reachable),
        source_date_epoch: world.epoch().map_err(|error| vec![error])?,
    })
}

/// What the command line says about the image after the Dockerfile.
fn edit(config: &mut RuntimeConfig, inputs: &Inputs) {
    let labels = &mut config.labels;
    labels.extend(inputs.language.labels.clone());
    labels.retain(|name, _| !inputs.language.unset_labels.contains(name));
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let env = &mut config.env;
    env.retain(|entry| !inputs.language.unset_env.contains(&name(entry)));
}
