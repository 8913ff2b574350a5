//! The operations of a graph, each once.

use std::collections::HashMap;

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

/// Operations by value. The map is only looked up, so its order does not matter.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    nodes: Vec<Node>,
    known: HashMap<Op, NodeId>,
}

impl Nodes {
    /// The node of an operation: an equal one that is there already, or a new one.
    pub(super) fn add(&mut self, op: Op, origin: impl FnOnce() -> Origin) -> NodeId {
        if let Some(&id) = self.known.get(&op) {
            return id;
        }
        let id = NodeId(self.nodes.len());
        self.known.insert(op.clone(), id);
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

    pub(super) fn finish(self) -> Vec<Node> {
        self.nodes
    }
}
