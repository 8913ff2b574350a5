//! From text to what has to be done: parse, resolve base images, evaluate, drop what the target does not need, read the
//! contexts. Unaware of how steps are executed and of the cache's records.

pub mod check;
mod epoch;
mod images;
mod keys;
mod near;
pub(crate) mod origin;
pub mod output;
pub mod platforms;
mod sources;

use crate::event::{EventKind, StepInfo};
use crate::failure::{BuildError, MissingSource};
use crate::plan::output::Output;
use crate::request::ContextSource;
use crate::session::Session;
use crate::source::fetch::{Access, Fetches};
use crate::source::open::Build;
pub(crate) use images::inputs;
pub(crate) use keys::Manner;
#[cfg(test)]
pub(crate) use keys::definition;
use kiln_cache::Times;
use kiln_oci::{Descriptor, Digest};
use kiln_parser::graph::{Node, NodeId, Op, Stage, StageBase, StageGraph};
use platforms::Target;
use std::collections::BTreeMap;
use std::path::Path;

/// A build, ready to be executed.
#[derive(Debug)]
pub struct Plan {
    /// All operations of the Dockerfile, for all platforms.
    pub graph: StageGraph,
    /// The images that are built, in the order of the platforms.
    pub targets: Vec<Target>,
    /// Which operations the targets need.
    pub wanted: Vec<bool>,
    /// Contexts, base images and scratch, by node.
    pub sources: BTreeMap<usize, Output>,
    /// What the images' manifests say of their layers, by diff ID: layers of a base keep their blobs.
    pub described: BTreeMap<Digest, Descriptor>,
    /// The IDs of the images that it begins with, by node.
    pub images: BTreeMap<usize, Digest>,
    /// Per node: digest of the operation without its inputs.
    pub definitions: Vec<Digest>,
    /// What becomes of the times of files that commands leave.
    pub times: Times,
    /// Per node: digest of everything that it is made from, known before anything runs.
    pub derived: Vec<Digest>,
    /// What comes from outside the machine.
    pub fetches: Fetches,
    /// Per node: digest of the content of contexts and images.
    contents: BTreeMap<usize, Digest>,
}

impl Plan {
    /// A stage's name, else `stage-N`, as BuildKit calls it; with its platform when several are built.
    #[must_use]
    pub fn stage_name(&self, stage: Option<usize>) -> String {
        let Some(stage) = stage.and_then(|stage| self.graph.stages.get(stage)) else {
            return "kiln".to_owned();
        };
        let number = || format!("stage-{}", stage.index);
        let name = stage.name.clone().unwrap_or_else(number);
        if self.targets.len() > 1 {
            format!("{} {name}", stage.platform)
        } else {
            name
        }
    }

    /// Where the stage is that a stage continues. Those of a platform stand together, so it is the nearest before.
    #[must_use]
    pub fn parent(&self, position: usize) -> Option<usize> {
        let stages = &self.graph.stages;
        match stages[position].from {
            StageBase::Stage(index) => stages[..position]
                .iter()
                .rposition(|stage| stage.index == index),
            _ => None,
        }
    }

    /// The definition that a node has where there is one id.
    #[must_use]
    pub fn definition_with_one_id(&self, node: &Node) -> Digest {
        let manner = Manner {
            single_id: true,
            times: self.times,
        };
        keys::definition(&node.op, keys::platform(&self.graph, node), manner)
    }

    /// Digest of everything that a node is made from, as far as it is known by now; none while something has to be fetched.
    #[must_use]
    pub fn made_from(&self, node: NodeId) -> Option<Digest> {
        let wanted = self.graph.nodes.iter().filter(|n| self.wanted[n.id.0]);
        let is_known = wanted
            .flat_map(keys::remotes)
            .all(|remote| self.fetches.content(&remote).is_some());
        is_known.then(|| self.derived_by_now()[node.0])
    }

    /// Whether a node reads a folder of the machine, which may change at any time.
    #[must_use]
    pub fn reads_folder(&self, node: &Node) -> bool {
        let is_folder =
            |input: NodeId| matches!(self.sources.get(&input.0), Some(Output::Tree(..)));
        node.op.inputs().into_iter().any(is_folder)
    }

    /// Reads the folders again, after one has changed: what is made of other files has another key.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn read_again(&mut self, session: &Session, build: &Build) -> Result<(), BuildError> {
        let (outputs, contents) = sources::read_again(session, build, self)?;
        self.sources.extend(outputs);
        self.contents.extend(contents);
        self.derived = self.derived_by_now();
        Ok(())
    }

    fn derived_by_now(&self) -> Vec<Digest> {
        keys::derived(
            &self.graph,
            &self.definitions,
            &self.contents,
            &self.fetches,
        )
    }

    /// The wanted steps, sorted by what they are made from: the same for every Dockerfile that says the same in another order.
    #[must_use]
    pub fn steps_by_origin(&self) -> Vec<NodeId> {
        let derived = self.derived_by_now();
        let is_step = |node: &usize| self.wanted[*node] && !self.sources.contains_key(node);
        let mut steps: Vec<usize> = (0..self.graph.nodes.len()).filter(is_step).collect();
        steps.sort_by_key(|step| (derived[*step], *step));
        steps.into_iter().map(NodeId).collect()
    }

    /// The folder behind a build context; `None` for anything else.
    #[must_use]
    pub fn context_folder<'a>(&self, build: &'a Build, node: NodeId) -> Option<&'a Path> {
        let Op::Context { name } = &self.graph.node(node).op else {
            return None;
        };
        let named = name.as_ref();
        match named.and_then(|name| build.contexts.get(&name.to_lowercase())) {
            Some(ContextSource::Directory(folder)) => Some(folder),
            Some(_) => None,
            None => build.context.folder(),
        }
    }
}

/// Plans a build.
///
/// # Errors
/// When the Dockerfile is wrong, a base image is missing or a context cannot be read.
pub fn plan(session: &Session, build: &Build) -> Result<Plan, BuildError> {
    let (graphs, images) = images::evaluate(session, build)?;
    let (graph, targets) = platforms::merge(graphs);
    warn(session, build, &graph);
    let wanted = wanted(&graph, &targets);
    let (sources, contents) = sources::open_all(session, build, &graph, &wanted, &images)?;
    let manner = Manner {
        single_id: session.ids.is_single(),
        times: times(build, &graph),
    };
    let definitions = keys::definitions(&graph, manner);
    let fetches = Fetches::default();
    let access = build.access(session);
    fetches.look(access, keys::wanted_remotes(&graph, &wanted));
    if session.offline {
        refuse_missing(access, &graph, &wanted, &fetches)?;
    }
    Ok(Plan {
        derived: keys::derived(&graph, &definitions, &contents, &fetches),
        described: images::described(&images),
        images: images::ids(&graph, &images),
        graph,
        targets,
        wanted,
        sources,
        definitions,
        times: manner.times,
        fetches,
        contents,
    })
}

/// What becomes of the times of files that commands leave.
fn times(build: &Build, graph: &StageGraph) -> Times {
    match graph.source_date_epoch {
        None => Times::Kept,
        Some(epoch) if build.form.sets_times => Times::Set(epoch),
        Some(epoch) => Times::Clamped(epoch),
    }
}

/// What the targets' file systems are made from.
fn wanted(graph: &StageGraph, targets: &[Target]) -> Vec<bool> {
    let mut wanted = vec![false; graph.nodes.len()];
    let outputs = targets
        .iter()
        .map(|target| graph.stages[target.stage].output);
    let mut todo: Vec<NodeId> = outputs.collect();
    while let Some(NodeId(node)) = todo.pop() {
        if !std::mem::replace(&mut wanted[node], true) {
            todo.extend(graph.nodes[node].op.inputs());
        }
    }
    wanted
}

/// Tells renderers which steps there are.
pub fn announce(session: &Session, plan: &Plan) {
    session
        .events
        .send(EventKind::Planned { steps: steps(plan) });
}

/// The wanted steps with their place in their stage.
#[must_use]
pub fn steps(plan: &Plan) -> Vec<StepInfo> {
    let is_step = |node: &&Node| plan.wanted[node.id.0] && !plan.sources.contains_key(&node.id.0);
    let nodes: Vec<&Node> = plan.graph.nodes.iter().filter(is_step).collect();
    let platforms = Platforms::of_plan(plan);
    let mut of = BTreeMap::new();
    nodes
        .iter()
        .for_each(|node| *of.entry(node.stage).or_default() += 1);
    let mut before = BTreeMap::new();
    let step = |node: &&Node| {
        let number = before.entry(node.stage).or_insert(0_usize);
        *number += 1;
        StepInfo {
            step: node.id.0,
            stage: plan.stage_name(node.stage),
            number: *number,
            of: of[&node.stage],
            title: node.title.clone(),
            line: node.line,
            platforms: platforms.of(node.id),
            needs: needs(plan, node),
        }
    };
    nodes.iter().map(step).collect()
}

/// The steps that a step is made from.
fn needs(plan: &Plan, node: &Node) -> Vec<usize> {
    let inputs = node.op.inputs().into_iter().map(|input| input.0);
    inputs
        .filter(|input| !plan.sources.contains_key(input))
        .collect()
}

/// Which steps are for which platforms; empty where there is only one.
struct Platforms(Vec<(String, Vec<bool>)>);

impl Platforms {
    fn of_plan(plan: &Plan) -> Self {
        let targets = plan.targets.iter().filter(|_| plan.targets.len() > 1);
        let wanted = |target: &Target| {
            let wanted = wanted(&plan.graph, std::slice::from_ref(target));
            (target.platform.to_string(), wanted)
        };
        Platforms(targets.map(wanted).collect())
    }

    fn of(&self, node: NodeId) -> Vec<String> {
        let platforms = self.0.iter().filter(|(_, wanted)| wanted[node.0]);
        platforms.map(|(platform, _)| platform.clone()).collect()
    }
}

/// Whether a person means this stage: its name in any case, its number, or what progress calls it.
#[must_use]
pub fn stage_is_called(stage: &Stage, name: &str) -> bool {
    let is_name = |own: &String| own.eq_ignore_ascii_case(name);
    stage.name.as_ref().is_some_and(is_name)
        || name == stage.index.to_string()
        || (stage.name.is_none() && name == format!("stage-{}", stage.index))
}

/// What was asked for and has no effect on this Dockerfile.
fn warn(session: &Session, build: &Build, graph: &StageGraph) {
    let warn = |text: String| session.events.warn(text);
    for name in &graph.unused_build_args {
        let near = near::argument(graph, name);
        warn(format!(
            "--build-arg {name} was not consumed by any ARG{near}"
        ));
    }
    for name in &build.reuse.no_cache_filter {
        let mut stages = graph.stages.iter();
        if !stages.any(|stage| stage_is_called(stage, name)) {
            warn(format!(
                "--no-cache-filter {name}: this build has no such stage"
            ));
        }
    }
    let is_built = graph.stages.iter().any(|stage| stage.index == 0);
    if let Some(from) = build.language.from.as_ref().filter(|_| !is_built) {
        let why = "the target does not need the first stage";
        warn(format!("--from {from} has no effect: {why}"));
    }
}

/// Without the network a build cannot end well if a source is not in the store: all such sources are reported before anything runs.
fn refuse_missing(
    access: Access<'_>,
    graph: &StageGraph,
    wanted: &[bool],
    fetches: &Fetches,
) -> Result<(), BuildError> {
    let nodes = graph.nodes.iter().filter(|node| wanted[node.id.0]);
    let of_node = |node| {
        keys::remotes(node)
            .into_iter()
            .map(move |remote| (node, remote))
    };
    let missing = nodes.flat_map(of_node).filter_map(|(node, remote)| {
        let error = fetches.get(access, &remote).err()?;
        let span = node.span;
        Some(MissingSource { error, span })
    });
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(BuildError::MissingSources(missing))
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
