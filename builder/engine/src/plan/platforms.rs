//! One graph for several platforms: the Dockerfile is evaluated once for each, and what is equal is done once. Unaware of how
//! steps are executed, and of what machines can run (that is `emulation`).
//!
//! Operations are equal when they and all their inputs are. A RUN counts its stage's platform too: the same files give another
//! result on another processor. Stages stay apart; those of the first platform come first.

use kiln_oci::Platform;
use kiln_parser::graph::{Node, NodeId, Op, Stage, StageGraph};
use std::collections::HashMap;

/// An image that is to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What it is for.
    pub platform: Platform,
    /// Position of its stage in [`StageGraph::stages`].
    pub stage: usize,
}

/// One graph of several, and its targets in the order of the platforms. The graph's own target is the first one.
#[must_use]
pub fn merge(graphs: Vec<(Platform, StageGraph)>) -> (StageGraph, Vec<Target>) {
    let mut merged = Merged::default();
    let mut targets = Vec::new();
    for (platform, graph) in graphs {
        let stage = merged.add(graph);
        targets.push(Target { platform, stage });
    }
    let target = targets.first().map_or(0, |target| target.stage);
    let graph = StageGraph {
        target,
        ..merged.graph
    };
    (graph, targets)
}

struct Merged {
    graph: StageGraph,
    /// Where an operation is; found by equality only, never walked.
    known: HashMap<(Op, Option<Platform>), NodeId>,
    is_first: bool,
}

impl Default for Merged {
    fn default() -> Self {
        let graph = StageGraph {
            nodes: Vec::new(),
            stages: Vec::new(),
            target: 0,
            warnings: Vec::new(),
            unused_build_args: Vec::new(),
            source_date_epoch: None,
        };
        Merged {
            graph,
            known: HashMap::new(),
            is_first: true,
        }
    }
}

impl Merged {
    /// Adds a graph; the new place of its target.
    fn add(&mut self, graph: StageGraph) -> usize {
        let first_stage = self.graph.stages.len();
        let mut places: Vec<NodeId> = Vec::with_capacity(graph.nodes.len());
        for node in graph.nodes {
            let platform = node.stage.map(|stage| graph.stages[stage].platform.clone());
            let place = self.node(node, platform, &places, first_stage);
            places.push(place);
        }
        let stages = graph.stages.into_iter().map(|stage| moved(stage, &places));
        self.graph.stages.extend(stages);
        if std::mem::take(&mut self.is_first) {
            self.graph.unused_build_args = graph.unused_build_args;
            self.graph.source_date_epoch = graph.source_date_epoch;
        } else {
            // what one platform uses is used
            let unused = &mut self.graph.unused_build_args;
            unused.retain(|name| graph.unused_build_args.contains(name));
        }
        first_stage + graph.target
    }

    fn node(
        &mut self,
        node: Node,
        platform: Option<Platform>,
        places: &[NodeId],
        first_stage: usize,
    ) -> NodeId {
        let is_run = matches!(node.op, Op::Run(_));
        let op = node.op.map_inputs(|NodeId(input)| places[input]);
        let key = (op, platform.filter(|_| is_run));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let id = NodeId(self.graph.nodes.len());
        self.graph.nodes.push(Node {
            id,
            op: key.0.clone(),
            stage: node.stage.map(|stage| stage + first_stage),
            ..node
        });
        self.known.insert(key, id);
        id
    }
}

fn moved(mut stage: Stage, places: &[NodeId]) -> Stage {
    stage.output = places[stage.output.0];
    stage.base = places[stage.base.0];
    for step in &mut stage.history {
        step.node = step.node.map(|NodeId(node)| places[node]);
    }
    stage
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_parser::inputs::{Bases, Evaluation, Inputs, NamedContext};

    fn graph(text: &str, platform: &str) -> (Platform, StageGraph) {
        let platform = Platform::parse(platform).unwrap();
        let mut inputs = Inputs::new(platform.clone());
        inputs.build_platform = Platform::parse("linux/amd64").unwrap();
        let tools = ("tools".to_owned(), NamedContext::Directory);
        inputs.contexts.extend([tools]);
        let parsed = kiln_parser::parse(text);
        match kiln_parser::evaluate(&parsed.dockerfile, &inputs, &Bases::default()).unwrap() {
            Evaluation::Graph(graph) => (platform, *graph),
            needs => panic!("{needs:?}"),
        }
    }

    fn steps(text: &str) -> Vec<String> {
        let graphs = ["linux/amd64", "linux/arm64"].map(|platform| graph(text, platform));
        let (graph, targets) = merge(graphs.into());
        assert_eq!(targets.len(), 2);
        assert_ne!(targets[0].stage, targets[1].stage);
        assert_eq!(
            graph.stages[targets[1].stage].platform.architecture,
            "arm64"
        );
        for node in &graph.nodes {
            assert!(node.op.inputs().iter().all(|input| *input < node.id));
        }
        let is_step = |node: &&Node| matches!(node.op, Op::Copy(_) | Op::Run(_));
        graph
            .nodes
            .iter()
            .filter(is_step)
            .map(|node| node.title.clone())
            .collect()
    }

    #[test]
    fn what_is_equal_is_done_once() {
        assert_eq!(steps("FROM scratch\nCOPY a /\n"), ["COPY a /"]);
        let host = "FROM --platform=$BUILDPLATFORM tools AS b\nCOPY a /\nRUN make\nFROM scratch\nCOPY --from=b a /\n";
        assert_eq!(
            steps(host),
            ["FROM tools", "COPY a /", "RUN make", "COPY --from=b a /"]
        );
    }

    #[test]
    fn what_differs_by_platform_stays_apart() {
        assert_eq!(
            steps("FROM scratch\nCOPY a /\nRUN make\n"),
            ["COPY a /", "RUN make", "RUN make"]
        );
        let named = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /\n";
        assert_eq!(steps(named).len(), 2);
    }
}
