//! Opens what a build starts from: contexts, images and scratch. Unaware of steps.

use super::images::Images;
use crate::failure::BuildError;
use crate::plan::output::{Output, Stack};
use crate::request::options::{BuildOptions, ContextSource};
use crate::session::Session;
use crate::source::fetch::Access;
use crate::source::reach::Reach;
use crate::source::{context, open};
use kiln_oci::Digest;
use kiln_parser::graph::{NodeId, Op, StageGraph};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Outputs and the digests of their contents, by node.
pub(super) type Sources = (BTreeMap<usize, Output>, BTreeMap<usize, Digest>);

/// Opens contexts and images. The digests are those of their content.
pub(super) fn open_all(
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
            let ignore = options.ignore().filter(|_| named.is_none());
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
