//! From the Dockerfile to graphs: evaluation for each platform, asking for base images until all are known. Unaware of their
//! files, and of contexts.

use super::{epoch, near, wanted};
use crate::failure::{BuildError, MissingImage};
use crate::host::emulation;
use crate::plan::check;
use crate::plan::platforms::Target;
use crate::request::ContextSource;
use crate::session::Session;
use crate::source::image;
use crate::source::open::Build;
use crate::source::policy;
use kiln_cache::StoredImage;
use kiln_oci::{Compression, Descriptor, Digest, Manifest, Platform};
use kiln_parser::diagnostic::Diagnostic;
use kiln_parser::graph::{Node, NodeId, Op, StageGraph};
use kiln_parser::inputs::{Bases, Evaluation, ImageRequest, Inputs, NamedContext};
use kiln_parser::source::Span;
use kiln_parser::{Dockerfile, lint};
use std::collections::BTreeMap;

/// One for each platform that is built.
pub(super) type Graphs = Vec<(Platform, StageGraph)>;

/// By reference and platform.
pub(super) type Images = BTreeMap<(String, Platform), StoredImage>;

/// Parses, and evaluates for each platform until every base image is known. What rules find is told for the first one, as BuildKit
/// does it: it is nearly always the same.
pub(super) fn evaluate(session: &Session, build: &Build) -> Result<(Graphs, Images), BuildError> {
    let dockerfile = &check::parse_and_tell(session, build)?;
    let mut inputs = Inputs {
        ignore: check::ignore(build)?,
        ..inputs(build)
    };
    epoch::resolve(session, build, dockerfile, &mut inputs)?;
    let mut evaluator = Evaluator {
        session,
        build,
        dockerfile,
        bases: Bases::default(),
        images: Images::new(),
    };
    let mut graphs = Graphs::new();
    for platform in build.form.platforms() {
        inputs.platform = platform.clone();
        let graph = evaluator.judged(&inputs, graphs.is_empty())?;
        evaluator.find(&evaluator.lenders(&graph))?;
        graphs.push((platform, graph));
    }
    Ok((graphs, evaluator.images))
}

/// That a base is for another platform is worth a line for each platform.
fn tell_platforms(session: &Session, warnings: &[Diagnostic]) {
    let mut found = warnings.iter();
    while let Some(found) = found.find(|found| found.code == lint::INVALID_BASE_IMAGE_PLATFORM) {
        session.events.warn(found.message.clone());
    }
}

/// What is known of images while the platforms are evaluated.
struct Evaluator<'a> {
    session: &'a Session,
    build: &'a Build,
    dockerfile: &'a Dockerfile,
    bases: Bases,
    images: Images,
}

impl Evaluator<'_> {
    /// The graph of one platform, and a word on what rules find.
    fn judged(&mut self, inputs: &Inputs, is_first: bool) -> Result<StageGraph, BuildError> {
        let mut warnings = Vec::new();
        let graph = self.graph(inputs, &mut warnings);
        if is_first {
            let (session, build) = (self.session, self.build);
            check::judge(session, build, self.dockerfile, warnings, graph.is_ok())?;
        } else {
            tell_platforms(self.session, &warnings);
        }
        graph
    }

    /// Evaluates for one platform. What rules find goes to `warnings`, also when this fails.
    fn graph(
        &mut self,
        inputs: &Inputs,
        warnings: &mut Vec<Diagnostic>,
    ) -> Result<StageGraph, BuildError> {
        loop {
            let (dockerfile, bases) = (self.dockerfile, &self.bases);
            let evaluated = kiln_parser::evaluate_with(dockerfile, inputs, bases, warnings);
            match evaluated.map_err(BuildError::Dockerfile)? {
                Evaluation::Graph(mut graph) => {
                    *warnings = std::mem::take(&mut graph.warnings);
                    let wanted = wanted_of(&graph);
                    policy::graph(&self.build.policies, &mut graph, &wanted)?;
                    return Ok(*graph);
                }
                Evaluation::Needs(requests) => self.find(&requests)?,
            }
        }
    }

    /// Finds the requested images; all that are missing are reported at once.
    fn find(&mut self, requests: &[ImageRequest]) -> Result<(), BuildError> {
        let (session, build) = (self.session, self.build);
        let mut missing = Vec::new();
        let used = policy::images(&session.store, &build.policies, &build.contexts, requests)?;
        let found = image::find(session, &used, build.reuse.pull)?;
        for (request, found) in requests.iter().zip(found) {
            match found {
                Ok((image, config)) => {
                    let key = (request.reference.clone(), request.platform.clone());
                    self.bases.insert(request, config);
                    self.images.insert(key, image);
                }
                Err(image) => {
                    let image = near::hinted(session, self.dockerfile, image, request);
                    missing.push(told(image, &request.reference));
                }
            }
        }
        match missing.is_empty() {
            true => Ok(()),
            false if session.cancel.requested() => Err(BuildError::Cancelled),
            false => Err(BuildError::MissingImages(missing)),
        }
    }

    /// Images that only lend files have no configuration to be asked for: those that the target needs and that are not known yet.
    fn lenders(&self, graph: &StageGraph) -> Vec<ImageRequest> {
        let wanted = wanted_of(graph);
        let nodes = graph.nodes.iter().filter(|node| wanted[node.id.0]);
        let request = |node: &Node| match &node.op {
            Op::Image {
                reference,
                platform,
            } => Some(ImageRequest {
                reference: reference.clone(),
                platform: platform.clone(),
                span: asking_span(graph, node.id),
                needs_config: false,
            }),
            _ => None,
        };
        let is_unknown = |request: &ImageRequest| {
            let key = (request.reference.clone(), request.platform.clone());
            !self.images.contains_key(&key)
        };
        nodes.filter_map(request).filter(is_unknown).collect()
    }
}

/// What the parser needs of the build, for the first platform.
pub(crate) fn inputs(build: &Build) -> Inputs {
    let contexts = build.contexts.iter();
    let contexts = contexts.map(|(name, source)| (name.clone(), named(source)));
    Inputs {
        language: build.language.clone(),
        platform_is_given: !build.form.platforms.is_empty(),
        build_platform: Platform::host(),
        can_run: emulation::can_run,
        contexts: contexts.collect(),
        ..Inputs::new(build.form.platforms().swap_remove(0))
    }
}

fn named(source: &ContextSource) -> NamedContext {
    match source {
        ContextSource::Image(reference) => NamedContext::Image(reference.clone()),
        ContextSource::Stage(stage) => NamedContext::Stage(stage.clone()),
        _ => NamedContext::Directory,
    }
}

/// What the target of one platform needs.
fn wanted_of(graph: &StageGraph) -> Vec<bool> {
    let target = Target {
        platform: graph.target_stage().platform.clone(),
        stage: graph.target,
    };
    wanted(graph, &[target])
}

/// A policy may have put another image in the place of the one that the Dockerfile names.
fn told(missing: MissingImage, asked: &str) -> MissingImage {
    let is_other = missing.reference != asked;
    let policy = is_other.then(|| format!("a source policy puts it in the place of {asked}"));
    MissingImage {
        hint: missing.hint.or(policy),
        ..missing
    }
}

/// Layers as manifests describe them, with OCI's media types.
pub(super) fn described(images: &Images) -> BTreeMap<Digest, Descriptor> {
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

/// The ID of the image behind each node that is one.
pub(super) fn ids(graph: &StageGraph, images: &Images) -> BTreeMap<usize, Digest> {
    let id = |node: &Node| match &node.op {
        Op::Image {
            reference,
            platform,
        } => images.get(&(reference.clone(), platform.clone())),
        _ => None,
    };
    let nodes = graph.nodes.iter();
    nodes
        .filter_map(|node| Some((node.id.0, id(node)?.config_digest)))
        .collect()
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
