//! Opens what a build starts from: contexts, images and scratch. Unaware of steps.

use super::Plan;
use super::images::Images;
use crate::failure::BuildError;
use crate::plan::output::{Output, Stack};
use crate::request::ContextSource;
use crate::session::Session;
use crate::source::main_context::MainContext;
use crate::source::open::Build;
use crate::source::reach::Reach;
use crate::source::{context, fetched};
use kiln_oci::Digest;
use kiln_parser::graph::{Op, StageGraph};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Outputs and the digests of their contents, by node.
pub(super) type Sources = (BTreeMap<usize, Output>, BTreeMap<usize, Digest>);

/// Opens contexts and images. The digests are those of their content.
pub(super) fn open_all(
    session: &Session,
    build: &Build,
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
            } => {
                let image = images.get(&(reference.clone(), platform.clone()));
                let layers = image.map_or(&[][..], |image| &image.diff_ids);
                Output::of(Stack::of_image(layers))
            }
            Op::Context { name } => {
                let reach = Reach::of(graph, wanted, node.id);
                context_output(session, build, name.as_deref(), &reach)?
            }
            _ => continue,
        };
        digests.insert(node.id.0, output.content());
        outputs.insert(node.id.0, output);
    }
    Ok((outputs, digests))
}

/// Reads the folders again that the build reads.
pub(super) fn read_again(
    session: &Session,
    build: &Build,
    plan: &Plan,
) -> Result<Sources, BuildError> {
    let (mut outputs, mut digests) = Sources::default();
    for node in &plan.graph.nodes {
        if let (Op::Context { name }, Some(Output::Tree(..))) =
            (&node.op, plan.sources.get(&node.id.0))
        {
            let reach = Reach::of(&plan.graph, &plan.wanted, node.id);
            let output = context_output(session, build, name.as_deref(), &reach)?;
            digests.insert(node.id.0, output.content());
            outputs.insert(node.id.0, output);
        }
    }
    Ok((outputs, digests))
}

fn context_output(
    session: &Session,
    build: &Build,
    name: Option<&str>,
    reach: &Reach,
) -> Result<Output, BuildError> {
    let named = name.and_then(|name| Some((name, build.contexts.get(&name.to_lowercase())?)));
    let Some((name, source)) = named else {
        return main_output(session, build, reach);
    };
    let title = format!("context {name}");
    match source {
        ContextSource::HostTools(programs) => {
            let title = format!("programs of {name}");
            let (chain, tree) = context::programs(session, &title, programs)?;
            Ok(Output::Tree(Arc::new(chain), tree.digest()))
        }
        ContextSource::Directory(root) => folder(session, &title, root, None, reach),
        other => Ok(of_layer(fetched::layer(
            build.access(session),
            other,
            &title,
        )?)),
    }
}

fn of_layer(layer: Option<Digest>) -> Output {
    Output::of(Stack::of_image(layer.as_slice()))
}

fn main_output(session: &Session, build: &Build, reach: &Reach) -> Result<Output, BuildError> {
    match &build.context {
        MainContext::Folder(root) => folder(session, "context", root, build.ignore(), reach),
        MainContext::Files(files) => Ok(of_layer(files.layer)),
    }
}

fn folder(
    session: &Session,
    title: &str,
    root: &Path,
    ignore: Option<&str>,
    reach: &Reach,
) -> Result<Output, BuildError> {
    let tree = context::directory(session, title, root, ignore, reach)?;
    Ok(Output::Tree(
        Arc::new(tree.chain.clone()),
        tree.tree.digest(),
    ))
}
