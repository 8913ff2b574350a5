//! Plans of texts for unit tests: contexts have the content that the test says, and nothing is opened.

use super::{Manner, Plan, images, keys, platforms, times, wanted};
use crate::request::{DockerfileSource, DockerfileText, MainSource, Request};
use crate::source::open::Build;
use kiln_oci::Digest;
use kiln_parser::graph::Op;
use kiln_parser::inputs::{Bases, Evaluation};

/// A build of this Dockerfile, changed by `change` before it is opened.
pub(crate) fn build(text: &str, change: impl FnOnce(&mut Request)) -> Build {
    let text = DockerfileText::of_bytes("Dockerfile".to_owned(), text.as_bytes().to_vec());
    let mut request = Request::new(DockerfileSource::Text(text), MainSource::Stream);
    change(&mut request);
    Build::unfetched(request).unwrap()
}

/// Its plan, where the main context has this content.
pub(crate) fn plan(build: &Build, content: &str) -> Plan {
    let parsed = kiln_parser::parse(&build.dockerfile.text);
    let graph = |platform: &kiln_oci::Platform| {
        let mut inputs = images::inputs(build);
        inputs.platform = platform.clone();
        match kiln_parser::evaluate(&parsed.dockerfile, &inputs, &Bases::default()).unwrap() {
            Evaluation::Graph(graph) => (platform.clone(), *graph),
            needs => panic!("{needs:?}"),
        }
    };
    let graphs = build.form.platforms().iter().map(graph).collect();
    let (graph, targets) = platforms::merge(graphs);
    let wanted = wanted(&graph, &targets);
    let is_context = |op: &Op| matches!(op, Op::Context { .. });
    let contexts = graph.nodes.iter().filter(|node| is_context(&node.op));
    let contents = contexts
        .map(|node| (node.id.0, Digest::of(content.as_bytes())))
        .collect();
    let times = times(build, &graph);
    let manner = Manner {
        single_id: false,
        times,
    };
    let definitions = keys::definitions(&graph, manner);
    let fetches = Default::default();
    Plan {
        derived: keys::derived(&graph, &definitions, &contents, &fetches),
        sources: Default::default(),
        described: Default::default(),
        images: Default::default(),
        graph,
        targets,
        wanted,
        definitions,
        times,
        fetches,
        contents,
    }
}
