//! From text to what has to be done: parse, resolve base images, evaluate, drop what the target does not need, read the
//! contexts. Unaware of how steps are executed and of the cache's records.

use crate::check;
use crate::event::EventKind;
use crate::failure::{BuildError, MissingImage};
use crate::options::{BuildOptions, ContextSource};
use crate::output::{Output, Stack};
use crate::platforms::{self, Target};
use crate::session::Session;
use crate::source::fetch::{Access, Fetches, Remote};
use crate::source::reach::Reach;
use crate::source::{context, image, open};
use kiln_cache::{KeyBuilder, StoredImage};
use kiln_oci::{Compression, Descriptor, Digest, Manifest, Platform};
use kiln_parser::Dockerfile;
use kiln_parser::diagnostic::Diagnostic;
use kiln_parser::graph::{Node, NodeId, Op, Stage, StageGraph};
use kiln_parser::inputs::{Bases, Evaluation, ImageRequest, Inputs, NamedContext};
use kiln_parser::source::Span;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

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
    /// Per node: digest of the operation without its inputs.
    pub definitions: Vec<Digest>,
    /// Per node: digest of everything that it is made from, known before anything runs.
    pub derived: Vec<Digest>,
    /// Findings of parser and evaluation that do not stop the build.
    pub warnings: Vec<Diagnostic>,
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

    /// Digest of everything that a node is made from, as far as it is known by now; none while something has to be fetched.
    #[must_use]
    pub fn made_from(&self, node: NodeId) -> Option<Digest> {
        let wanted = self.graph.nodes.iter().filter(|n| self.wanted[n.id.0]);
        let is_known = wanted
            .flat_map(remotes)
            .all(|remote| self.fetches.content(&remote).is_some());
        let derived = || {
            derived(
                &self.graph,
                &self.definitions,
                &self.contents,
                &self.fetches,
            )
        };
        is_known.then(|| derived()[node.0])
    }

    /// The folder behind a build context; none for anything else.
    #[must_use]
    pub fn context_folder<'a>(&self, options: &'a BuildOptions, node: NodeId) -> Option<&'a Path> {
        let Op::Context { name } = &self.graph.node(node).op else {
            return None;
        };
        match name
            .as_ref()
            .and_then(|name| options.contexts.get(&name.to_lowercase()))
        {
            Some(ContextSource::Directory(folder)) => Some(folder),
            Some(_) => None,
            None => options.context.folder(),
        }
    }
}

/// Plans a build.
///
/// # Errors
/// When the Dockerfile is wrong, a base image is missing or a context cannot be read.
pub fn plan(session: &Session, options: &BuildOptions) -> Result<Plan, BuildError> {
    let (dockerfile, graphs, images) = evaluate(session, options)?;
    let (graph, targets) = platforms::merge(graphs);
    let warnings = check::warnings(options, &dockerfile, &graph)?;
    for name in &graph.unused_build_args {
        session
            .events
            .warn(format!("--build-arg {name} was not consumed by any ARG"));
    }
    warn_of_unknown_filters(session, options, &graph);
    let wanted = wanted(&graph, &targets);
    let (sources, digests) = sources(session, options, &graph, &wanted, &images)?;
    let definitions: Vec<Digest> = graph
        .nodes
        .iter()
        .map(|node| definition(&node.op, session.ids.is_single(), graph.source_date_epoch))
        .collect();
    let fetches = Fetches::default();
    let access = Access::of(session, options);
    fetches.look(access, wanted_remotes(&graph, &wanted));
    let derived = derived(&graph, &definitions, &digests, &fetches);
    Ok(Plan {
        graph,
        targets,
        wanted,
        sources,
        described: described(&images),
        definitions,
        derived,
        warnings,
        fetches,
        contents: digests,
    })
}

/// What a node needs from outside the machine.
fn remotes(node: &Node) -> Vec<Remote> {
    match &node.op {
        Op::Copy(copy) => Remote::all_of(copy).collect(),
        _ => Vec::new(),
    }
}

fn wanted_remotes(graph: &StageGraph, wanted: &[bool]) -> Vec<Remote> {
    let nodes = graph.nodes.iter().filter(|node| wanted[node.id.0]);
    let mut all: Vec<Remote> = Vec::new();
    for remote in nodes.flat_map(remotes) {
        if !all.contains(&remote) {
            all.push(remote);
        }
    }
    all
}

/// One for each platform that is built.
type Graphs = Vec<(Platform, StageGraph)>;

/// By reference and platform.
type Images = BTreeMap<(String, Platform), StoredImage>;

/// Parses, and evaluates for each platform until every base image is known.
fn evaluate(
    session: &Session,
    options: &BuildOptions,
) -> Result<(Dockerfile, Graphs, Images), BuildError> {
    let parsed = kiln_parser::parse(&options.dockerfile.text);
    if parsed.has_errors() {
        return Err(BuildError::Dockerfile(parsed.errors));
    }
    let (mut bases, mut images) = (Bases::default(), Images::new());
    let mut graphs = Vec::new();
    for platform in &options.platforms {
        let inputs = Inputs {
            platform: platform.clone(),
            ..inputs(options)
        };
        let graph = loop {
            match kiln_parser::evaluate(&parsed.dockerfile, &inputs, &bases)
                .map_err(BuildError::Dockerfile)?
            {
                Evaluation::Graph(graph) => break *graph,
                Evaluation::Needs(requests) => {
                    resolve(session, &requests, options.pull, &mut bases, &mut images)?;
                }
            }
        };
        let missing = graph_images(session, &graph, &mut images, options.pull);
        if !missing.is_empty() {
            return Err(BuildError::MissingImages(missing));
        }
        graphs.push((platform.clone(), graph));
    }
    Ok((parsed.dockerfile, graphs, images))
}

/// What the parser needs of the options, for the first platform.
pub(crate) fn inputs(options: &BuildOptions) -> Inputs {
    let named = |source: &ContextSource| match source {
        ContextSource::Image(reference) => NamedContext::Image(reference.clone()),
        ContextSource::Stage(stage) => NamedContext::Stage(stage.clone()),
        _ => NamedContext::Directory,
    };
    Inputs {
        build_args: options.build_args.clone(),
        target: options.target.clone(),
        all_stages: false,
        build_platform: kiln_oci::Platform::host(),
        platform: options.platform(),
        contexts: options
            .contexts
            .iter()
            .map(|(name, source)| (name.clone(), named(source)))
            .collect(),
        labels: options.labels.clone(),
        network: options.network,
        source_date_epoch: options.source_date_epoch,
        allow: options.allow.clone(),
    }
}

/// Finds the requested images; all that are missing are reported at once.
fn resolve(
    session: &Session,
    requests: &[ImageRequest],
    refresh: bool,
    bases: &mut Bases,
    images: &mut Images,
) -> Result<(), BuildError> {
    let mut missing = Vec::new();
    let found = image::find(session, requests, refresh);
    for (request, found) in requests.iter().zip(found) {
        match found {
            Ok((image, config)) => {
                bases.insert(request, config);
                images.insert((request.reference.clone(), request.platform.clone()), image);
            }
            Err(image) => missing.push(image),
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(BuildError::MissingImages(missing))
    }
}

/// Images that only lend files have no configuration to be asked for; those that the target needs are found here.
fn graph_images(
    session: &Session,
    graph: &StageGraph,
    images: &mut Images,
    refresh: bool,
) -> Vec<MissingImage> {
    let mut requests: Vec<ImageRequest> = Vec::new();
    let target = Target {
        platform: graph.target_stage().platform.clone(),
        stage: graph.target,
    };
    let wanted = wanted(graph, &[target]);
    for node in graph.nodes.iter().filter(|node| wanted[node.id.0]) {
        if let Op::Image {
            reference,
            platform,
        } = &node.op
            && !images.contains_key(&(reference.clone(), platform.clone()))
        {
            requests.push(ImageRequest {
                reference: reference.clone(),
                platform: platform.clone(),
                span: asking_span(graph, node.id),
                needs_config: false,
            });
        }
    }
    let mut missing = Vec::new();
    let found = image::find(session, &requests, refresh);
    for (request, found) in requests.into_iter().zip(found) {
        match found {
            Ok((image, _)) => {
                images.insert((request.reference, request.platform), image);
            }
            Err(image) => missing.push(image),
        }
    }
    missing
}

/// Layers as manifests describe them, with OCI's media types.
fn described(images: &Images) -> BTreeMap<Digest, Descriptor> {
    let mut described = BTreeMap::new();
    for image in images.values() {
        // one that cannot be read was refused before it came into the store
        let Ok(manifest) = Manifest::parse(&image.manifest) else {
            continue;
        };
        for (diff_id, layer) in image.diff_ids.iter().zip(manifest.layers) {
            let compression = Compression::of_layer(&layer.media_type);
            let media_type = compression.map(|compression| compression.oci_layer().to_owned());
            let media_type = media_type.unwrap_or(layer.media_type);
            described
                .entry(*diff_id)
                .or_insert_with(|| Descriptor::new(media_type, layer.digest, layer.size));
        }
    }
    described
}

/// The instruction that names an image which has none of its own.
fn asking_span(graph: &StageGraph, image: NodeId) -> Span {
    let asks = |node: &&Node| node.span.is_some() && node.op.inputs().contains(&image);
    graph
        .nodes
        .iter()
        .find(asks)
        .and_then(|node| node.span)
        .unwrap_or_default()
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

type Sources = (BTreeMap<usize, Output>, BTreeMap<usize, Digest>);

/// Opens contexts and images. The digests are those of their content.
fn sources(
    session: &Session,
    options: &BuildOptions,
    graph: &StageGraph,
    wanted: &[bool],
    images: &Images,
) -> Result<Sources, BuildError> {
    let (mut outputs, mut digests) = Sources::default();
    for node in graph.nodes.iter().filter(|node| wanted[node.id.0]) {
        let output = match &node.op {
            Op::Scratch => Output::of(Stack::empty()),
            Op::Image {
                reference,
                platform,
            } => Output::of(
                images
                    .get(&(reference.clone(), platform.clone()))
                    .map_or_else(Stack::empty, |image| Stack::of_image(&image.diff_ids)),
            ),
            Op::Context { name } => {
                context_output(session, options, graph, wanted, node.id, name.as_deref())?
            }
            _ => continue,
        };
        let digest = match &output {
            Output::Tree(_, digest) => *digest,
            Output::Layers { done, .. } => done
                .now()
                .map_or_else(|| Stack::empty().content, |done| done.stack.content),
        };
        digests.insert(node.id.0, digest);
        outputs.insert(node.id.0, output);
    }
    Ok((outputs, digests))
}

fn context_output(
    session: &Session,
    options: &BuildOptions,
    graph: &StageGraph,
    wanted: &[bool],
    node: NodeId,
    name: Option<&str>,
) -> Result<Output, BuildError> {
    let named = name.and_then(|name| Some((name, options.contexts.get(&name.to_lowercase())?)));
    let (title, source) = match named {
        Some((name, source)) => (format!("context {name}"), source),
        None => ("context".to_owned(), &options.context),
    };
    let reach = Reach::of(graph, wanted, node);
    match source {
        ContextSource::HostTools(programs) => {
            let title = format!("programs of {}", name.unwrap_or_default());
            let (chain, tree) = context::programs(session, &title, programs)?;
            Ok(Output::Tree(Arc::new(chain), tree.digest()))
        }
        ContextSource::Directory(root) => {
            let ignore = options
                .dockerfile
                .ignore
                .as_deref()
                .filter(|_| named.is_none());
            let tree = context::directory(session, &title, root, ignore, &reach)?;
            Ok(Output::Tree(
                Arc::new(tree.chain.clone()),
                tree.tree.digest(),
            ))
        }
        other => {
            let access = Access::of(session, options);
            let layer = open::layer(access, other, &title)?;
            Ok(Output::of(Stack::of_image(layer.as_slice())))
        }
    }
}

/// Digest of an operation without its inputs, but with what makes kiln carry it out differently: results are adopted from
/// earlier ones of the same definition, and those must not have other times or owners.
#[must_use]
pub fn definition(op: &Op, single_id: bool, epoch: Option<i64>) -> Digest {
    // The parser's operations are plain data: serialising them cannot fail; if it ever did, nothing would be cached wrongly,
    // because the text of the error is no operation's text.
    let text =
        serde_json::to_vec(&op.definition()).unwrap_or_else(|error| error.to_string().into_bytes());
    let mut key = KeyBuilder::new("definition").bytes("operation", &text);
    if single_id {
        key = key.bytes("ids", b"single");
    }
    if let Some(epoch) = epoch {
        key = key.bytes("SOURCE_DATE_EPOCH", epoch.to_string().as_bytes());
    }
    key.finish().0
}

/// Per node, a digest of all that it is made from. Two builds that will make the same things agree on it before anything ran,
/// which is what their locks need.
fn derived(
    graph: &StageGraph,
    definitions: &[Digest],
    sources: &BTreeMap<usize, Digest>,
    fetches: &Fetches,
) -> Vec<Digest> {
    let mut derived: Vec<Digest> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let mut key = KeyBuilder::new("derived").input("definition", definitions[node.id.0]);
        if let Some(content) = sources.get(&node.id.0) {
            key = key.input("content", *content);
        }
        for content in remotes(node)
            .iter()
            .filter_map(|remote| fetches.content(remote))
        {
            key = key.input("fetched", content);
        }
        for input in node.op.inputs() {
            key = key.input("input", derived[input.0]);
        }
        derived.push(key.finish().0);
    }
    derived
}

/// Tells renderers which steps there are.
pub fn announce(session: &Session, plan: &Plan) {
    session
        .events
        .send(EventKind::Planned { steps: steps(plan) });
}

/// The wanted steps with their place in their stage.
#[must_use]
pub fn steps(plan: &Plan) -> Vec<crate::event::StepInfo> {
    let is_step = |node: &&Node| plan.wanted[node.id.0] && !plan.sources.contains_key(&node.id.0);
    let mut counts: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    let mut steps = Vec::new();
    for node in plan.graph.nodes.iter().filter(is_step) {
        let number = counts.entry(node.stage).or_default();
        *number += 1;
        steps.push((
            node.stage,
            crate::event::StepInfo {
                step: node.id.0,
                stage: plan.stage_name(node.stage),
                number: *number,
                of: 0,
                title: node.title.clone(),
                line: node.line,
            },
        ));
    }
    steps
        .into_iter()
        .map(|(stage, step)| crate::event::StepInfo {
            of: counts[&stage],
            ..step
        })
        .collect()
}

/// Whether a person means this stage: its name in any case, its number, or what progress calls it.
#[must_use]
pub fn stage_is_called(stage: &Stage, name: &str) -> bool {
    let is_name = |own: &String| own.eq_ignore_ascii_case(name);
    stage.name.as_ref().is_some_and(is_name)
        || name == stage.index.to_string()
        || (stage.name.is_none() && name == format!("stage-{}", stage.index))
}

fn warn_of_unknown_filters(session: &Session, options: &BuildOptions, graph: &StageGraph) {
    for name in &options.no_cache_filter {
        if !graph
            .stages
            .iter()
            .any(|stage| stage_is_called(stage, name))
        {
            session.events.warn(format!(
                "--no-cache-filter {name}: this build has no such stage"
            ));
        }
    }
}
