//! Which base images a build reads for sure, so that their layers come at once, side by side, before the steps that need them, and those that a
//! command stands on are made ready for it while the next ones come. Unaware of where layers come from.
//!
//! What `COPY --from` and mounts read is part of their key, so it is needed whatever the cache holds. What is below a step is needed
//! only where the step is executed: for sure when there is no record of its operation. With one it may be cached; then its base
//! comes when it turns out to be needed. Metadata and `COPY --link` with numeric ids read nothing of their base; `--link` with a name
//! reads it for its key, and `WORKDIR` reads it: whether it makes a layer depends on which folders are there.

use crate::execute::users::Accounts;
use crate::plan::Plan;
use kiln_cache::StoreError;
use kiln_parser::graph::{CopyOp, CopySource, Node, NodeId, Op, RunMount, StageGraph};
use std::collections::BTreeMap;

/// Who reads an image for sure.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// The first step that does.
    pub step: NodeId,
    /// Whether a command that is executed stands on it, so that it is mounted.
    pub has_command: bool,
}

/// By the node of an image.
pub type Readers = BTreeMap<usize, Reader>;

/// The images that are read for sure; `is_executed` says it of steps.
pub fn readers(
    plan: &Plan,
    is_executed: impl Fn(&Node) -> Result<bool, StoreError>,
) -> Result<Readers, StoreError> {
    let images = images(&plan.graph);
    let mut readers = Readers::new();
    let nodes = plan.graph.nodes.iter();
    for node in nodes.filter(|node| plan.wanted[node.id.0]) {
        let below = below(&node.op).filter(|below| images[below.0].is_some());
        let below = match below {
            Some(below) if is_executed(node)? => Some(below),
            _ => None,
        };
        for read in read_for_key(&node.op).into_iter().chain(below) {
            if let Some(image) = images[read.0] {
                let reader = readers.entry(image.0).or_insert(Reader {
                    step: node.id,
                    has_command: false,
                });
                reader.has_command |= below == Some(read) && matches!(node.op, Op::Run(_));
            }
        }
    }
    Ok(readers)
}

/// What has to be read to know the key.
fn read_for_key(op: &Op) -> Vec<NodeId> {
    match op {
        Op::Copy(copy) => {
            let from = |source: &CopySource| match source {
                CopySource::Files { from, .. } => Some(*from),
                _ => None,
            };
            let names = (copy.link && asks_for_names(copy)).then_some(copy.base);
            copy.sources.iter().filter_map(from).chain(names).collect()
        }
        Op::Run(run) => {
            let files = run.mounts.iter().filter_map(RunMount::files);
            files.map(|(from, ..)| from).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether the files below are asked who a name is.
pub(super) fn asks_for_names(copy: &CopyOp) -> bool {
    let chown = copy.chown.as_deref();
    chown.is_some_and(Accounts::needed_for_owner)
}

/// The file system below a step, if the step looks into it when it is executed.
fn below(op: &Op) -> Option<NodeId> {
    let is_link = matches!(op, Op::Copy(copy) if copy.link);
    op.base().filter(|_| !is_link)
}

/// By node the image at the bottom of its file system. What a node stands on comes before it.
fn images(graph: &StageGraph) -> Vec<Option<NodeId>> {
    let mut images: Vec<Option<NodeId>> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let below = |base: NodeId| images.get(base.0).copied().flatten();
        images.push(match &node.op {
            Op::Image { .. } => Some(node.id),
            op => op.base().and_then(below),
        });
    }
    images
}
