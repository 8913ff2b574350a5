//! From the Dockerfile to graphs: evaluation for each platform, asking for base images until all are known. Unaware of their
//! files, and of contexts.

use super::wanted;
use crate::failure::{BuildError, MissingImage};
use crate::host::emulation;
use crate::plan::check;
use crate::plan::platforms::Target;
use crate::request::options::{BuildOptions, ContextSource};
use crate::request::policy::apply as policy;
use crate::session::Session;
use crate::source::image;
use kiln_cache::StoredImage;
use kiln_oci::{Compression, Descriptor, Digest, Manifest, Platform};
use kiln_parser::diagnostic::Diagnostic;
use kiln_parser::graph::{Node, NodeId, Op, StageGraph};
use kiln_parser::ignore::Matcher;
use kiln_parser::inputs::{Bases, Evaluation, ImageRequest, Inputs, NamedContext};
use kiln_parser::source::Span;
use kiln_parser::{Dockerfile, lint};
use std::collections::BTreeMap;

/// One for each platform that is built.
pub(super) type Graphs = Vec<(Platform, StageGraph)>;

/// By reference and platform.
pub(super) type Images = BTreeMap<(String, Platform), StoredImage>;

/// Parses, and evaluates for each platform until every base image is known. Rules are told of for the first one, as BuildKit
/// does it: what they find is nearly always the same.
pub(super) fn evaluate(
    session: &Session,
    options: &BuildOptions,
) -> Result<(Graphs, Images), BuildError> {
    let dockerfile = check::parse_and_tell(session, options)?;
    let ignore = check::ignore(options)?;
    let (mut bases, mut images) = (Bases::default(), Images::new());
    let mut graphs = Graphs::new();
    for platform in &options.platforms {
        let inputs = Inputs {
            platform: platform.clone(),
            ignore: ignore.clone(),
            ..inputs(options)
        };
        let mut warnings = Vec::new();
        let rounds = Rounds {
            session,
            options,
            dockerfile: &dockerfile,
            inputs: &inputs,
        };
        let evaluated = rounds.evaluate(&mut bases, &mut images, &mut warnings);
        if graphs.is_empty() {
            check::judge(session, options, &dockerfile, warnings, evaluated.is_ok())?;
        } else {
            tell_platforms(session, &warnings);
        }
        let graph = evaluated?;
        let missing = graph_images(session, options, &graph, &mut images)?;
        if !missing.is_empty() {
            return Err(BuildError::MissingImages(missing));
        }
        graphs.push((platform.clone(), graph));
    }
    Ok((graphs, images))
}

/// That a base is for another platform is worth a line for each platform.
fn tell_platforms(session: &Session, warnings: &[Diagnostic]) {
    let mut found = warnings.iter();
    while let Some(found) = found.find(|found| found.code == lint::INVALID_BASE_IMAGE_PLATFORM) {
        session.events.warn(found.message.clone());
    }
}

/// The evaluation for one platform.
struct Rounds<'r> {
    session: &'r Session,
    options: &'r BuildOptions,
    dockerfile: &'r Dockerfile,
    inputs: &'r Inputs,
}

impl Rounds<'_> {
    /// What rules find goes to `warnings`, also when this fails.
    fn evaluate(
        &self,
        bases: &mut Bases,
        images: &mut Images,
        warnings: &mut Vec<Diagnostic>,
    ) -> Result<StageGraph, BuildError> {
        let &Rounds {
            session,
            options,
            dockerfile,
            inputs,
        } = self;
        loop {
            match kiln_parser::evaluate_with(dockerfile, inputs, bases, warnings)
                .map_err(BuildError::Dockerfile)?
            {
                Evaluation::Graph(mut graph) => {
                    *warnings = std::mem::take(&mut graph.warnings);
                    let wanted = wanted_of(&graph);
                    policy::graph(options, &mut graph, &wanted)?;
                    return Ok(*graph);
                }
                Evaluation::Needs(requests) => {
                    resolve(session, options, &requests, bases, images)?;
                }
            }
        }
    }
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
        from: options.from.clone(),
        all_stages: false,
        build_platform: kiln_oci::Platform::host(),
        platform_is_given: options.platform_is_given,
        runnable: emulation::runnable(),
        platform: options.platform(),
        contexts: options
            .contexts
            .iter()
            .map(|(name, source)| (name.clone(), named(source)))
            .collect(),
        env: options.env.clone(),
        labels: options.labels.clone(),
        inherit_labels: options.inherit_labels,
        unset_labels: options.unset_labels.clone(),
        unset_env: options.unset_env.clone(),
        network: options.network,
        source_date_epoch: options.source_date_epoch,
        allow: options.allow.clone(),
        ignore: Matcher::default(),
    }
}

/// Finds the requested images; all that are missing are reported at once.
fn resolve(
    session: &Session,
    options: &BuildOptions,
    requests: &[ImageRequest],
    bases: &mut Bases,
    images: &mut Images,
) -> Result<(), BuildError> {
    let mut missing = Vec::new();
    let used = policy::images(&session.store, options, requests)?;
    let found = image::find(session, &used, options.pull);
    for (request, found) in requests.iter().zip(found) {
        match found {
            Ok((image, config)) => {
                bases.insert(request, config);
                images.insert((request.reference.clone(), request.platform.clone()), image);
            }
            Err(image) => missing.push(told(image, &request.reference)),
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
    options: &BuildOptions,
    graph: &StageGraph,
    images: &mut Images,
) -> Result<Vec<MissingImage>, BuildError> {
    let mut requests: Vec<ImageRequest> = Vec::new();
    let wanted = wanted_of(graph);
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
    let used = policy::images(&session.store, options, &requests)?;
    let found = image::find(session, &used, options.pull);
    for (request, found) in requests.into_iter().zip(found) {
        match found {
            Ok((image, _)) => {
                images.insert((request.reference, request.platform), image);
            }
            Err(image) => missing.push(told(image, &request.reference)),
        }
    }
    Ok(missing)
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
