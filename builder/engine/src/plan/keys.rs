//! What nodes are made from, as digests that are known before anything ran. Unaware of how contents are read or fetched, and of
//! the keys of results, which execution makes from what the inputs became.

use crate::source::fetch::{Fetches, RemoteSource};
use kiln_cache::{KeyBuilder, Times};
use kiln_oci::{Digest, Platform};
use kiln_parser::graph::{Node, Op, StageGraph};
use std::collections::BTreeMap;

/// What a node needs from outside the machine.
pub(super) fn remotes(node: &Node) -> Vec<RemoteSource> {
    match &node.op {
        Op::Copy(copy) => RemoteSource::all_of(copy).collect(),
        _ => Vec::new(),
    }
}

pub(super) fn wanted_remotes(graph: &StageGraph, wanted: &[bool]) -> Vec<RemoteSource> {
    let nodes = graph.nodes.iter().filter(|node| wanted[node.id.0]);
    let mut all: Vec<RemoteSource> = Vec::new();
    for remote in nodes.flat_map(remotes) {
        if !all.contains(&remote) {
            all.push(remote);
        }
    }
    all
}

/// What makes kiln carry out the operations of a build differently.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    /// RUN has one id.
    pub single_id: bool,
    /// What becomes of the times of files.
    pub times: Times,
}

/// Digest of an operation without its inputs, but with what makes kiln carry it out differently: results are adopted from
/// earlier ones of the same definition, and those must not have other times or owners, nor be another processor's.
pub(crate) fn definition(op: &Op, platform: Option<&Platform>, manner: Manner) -> Digest {
    // The parser's operations are plain data: serialising them cannot fail; if it ever did, nothing would be cached wrongly,
    // because the text of the error is no operation's text.
    let text =
        serde_json::to_vec(&op.definition()).unwrap_or_else(|error| error.to_string().into_bytes());
    let mut key = KeyBuilder::new("definition").bytes("operation", &text);
    if let Some(epoch) = epoch(manner.times) {
        key = key.bytes("SOURCE_DATE_EPOCH", epoch.to_string().as_bytes());
    }
    // Only a command sees which ids there are and what machine this is: all else is written from indexes.
    if matches!(op, Op::Run(_)) {
        key = key.list("platform", platform.map(ToString::to_string));
        if manner.single_id {
            key = key.bytes("ids", b"single");
        }
        if let Times::Set(_) = manner.times {
            key = key.bytes("times", b"set");
        }
    }
    key.finish().0
}

fn epoch(times: Times) -> Option<i64> {
    match times {
        Times::Kept => None,
        Times::Clamped(epoch) | Times::Set(epoch) => Some(epoch),
    }
}

/// The definitions of all nodes.
pub(super) fn definitions(graph: &StageGraph, manner: Manner) -> Vec<Digest> {
    let nodes = graph.nodes.iter();
    let definition = |node: &Node| definition(&node.op, platform(graph, node), manner);
    nodes.map(definition).collect()
}

/// What a node's stage is for.
pub(super) fn platform<'a>(graph: &'a StageGraph, node: &Node) -> Option<&'a Platform> {
    Some(&graph.stages.get(node.stage?)?.platform)
}

/// Per node, a digest of all that it is made from. Two builds that will make the same things agree on it before anything ran,
/// which is what their locks need.
pub(super) fn derived(
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
