//! The operations of a graph, each once. Unaware of what they do.

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use crate::graph::{Node, NodeId, Op};
use crate::source::Span;

/// Where an operation comes from.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// Position among the reachable stages.
    pub(super) stage: usize,
    pub(super) span: Option<Span>,
    pub(super) line: u32,
    pub(super) title: String,
}

/// How many bytes of expanded text, environments and inherited configuration one evaluation may make. Few Dockerfiles need a thousandth
/// of it; without a bound a file of a few kilobytes could ask for terabytes.
pub(super) const MAX_EVALUATED: usize = 64 << 20;

/// Operations by value.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    nodes: Vec<Node>,
    /// About how many bytes were made so far.
    spent: usize,
    /// Nodes by the hash of their operation, so that operations, which may be large, are stored once. Only looked up, so neither the order
    /// nor the random hash matters.
    known: HashMap<u64, Vec<NodeId>>,
}

impl Nodes {
    /// The node of an operation: an equal one that exists, or a new one.
    pub(super) fn add(&mut self, op: Op, origin: impl FnOnce() -> Origin) -> NodeId {
        let hash = self.known.hasher().hash_one(&op);
        let same = self.known.entry(hash).or_default();
        if let Some(&id) = same.iter().find(|id| self.nodes[id.0].op == op) {
            return id;
        }
        let id = NodeId(self.nodes.len());
        same.push(id);
        self.spend(size_of::<Node>());
        let origin = origin();
        self.nodes.push(Node {
            id,
            op,
            stage: Some(origin.stage),
            span: origin.span,
            line: origin.line,
            title: origin.title,
        });
        id
    }

    /// Counts bytes. False if there are too many.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        self.spent = self.spent.saturating_add(bytes);
        self.spent <= MAX_EVALUATED
    }

    pub(crate) fn finish(self) -> Vec<Node> {
        self.nodes
    }
}
