//! What a build would fetch: layers that are not here and that something reads, and what of the image no later command could reach. Unaware of why steps
//! are executed.

use super::{ForecastStep, Verdict};
use crate::plan::Plan;
use crate::plan::output::Output;
use kiln_cache::exchange::ImportedLayer;
use kiln_cache::{Store, StoreError};
use kiln_oci::Digest;
use kiln_parser::graph::{Node, NodeId, Op};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// An image that a build begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForecastImage {
    /// As the Dockerfile names it.
    pub reference: String,
    /// The platform that is asked for.
    pub platform: String,
    /// Its ID.
    pub id: Option<Digest>,
    /// Bytes of its layers, as they travel.
    pub bytes: u64,
    /// Bytes of those that would be fetched.
    pub fetch: u64,
}

/// Who reads what.
pub(super) struct Reads<'a> {
    store: &'a Store,
    plan: &'a Plan,
    /// The layers that nodes add to what they stand on, as far as they are known.
    added: &'a BTreeMap<usize, Vec<Digest>>,
}

impl<'a> Reads<'a> {
    pub(super) fn new(
        store: &'a Store,
        plan: &'a Plan,
        added: &'a BTreeMap<usize, Vec<Digest>>,
    ) -> Self {
        Self { store, plan, added }
    }

    /// The images, and the bytes that would be fetched in all.
    pub(super) fn fetched(
        &self,
        steps: &[ForecastStep],
    ) -> Result<(Vec<ForecastImage>, u64), StoreError> {
        let executed = steps.iter().filter(|step| step.verdict != Verdict::Hit);
        let read = executed.flat_map(|step| read(&self.plan.graph.nodes[step.info.step]));
        let mut layers = self.layers(read.collect());
        let outputs = self.plan.targets.iter();
        let outputs = outputs.map(|target| self.plan.graph.stages[target.stage].output);
        let of_images: Vec<Digest> = self.layers(outputs.collect()).into_iter().collect();
        let passing = self.store.exchange().only_remote(&of_images)?.into_iter();
        let passing = passing.filter(|(_, imported)| !imported.iter().all(is_lasting));
        layers.extend(passing.map(|(layer, _)| layer));
        let mut sizes = BTreeMap::new();
        for layer in layers {
            sizes.insert(layer, self.to_fetch(&layer)?);
        }
        Ok((self.images(&sizes), sizes.values().sum()))
    }

    /// The layers of these nodes and of all that they stand on.
    fn layers(&self, mut todo: Vec<NodeId>) -> BTreeSet<Digest> {
        let (mut seen, mut layers) = (BTreeSet::new(), BTreeSet::new());
        while let Some(node) = todo.pop() {
            if seen.insert(node) {
                layers.extend(self.added.get(&node.0).into_iter().flatten());
                todo.extend(self.plan.graph.node(node).op.base());
            }
        }
        layers
    }

    /// Bytes of a layer that is not here, as they travel.
    fn to_fetch(&self, layer: &Digest) -> Result<u64, StoreError> {
        let blobs = self.store.blobs();
        if blobs.has(layer)? {
            return Ok(0);
        }
        if let Some(blob) = self.plan.described.get(layer) {
            return Ok(if blobs.has(&blob.digest)? {
                0
            } else {
                blob.size
            });
        }
        let imported = self.store.exchange().only_remote(&[*layer])?;
        let sizes = imported.iter().flat_map(|(_, imported)| imported);
        Ok(sizes.map(|imported| imported.layer.size).min().unwrap_or(0))
    }

    fn images(&self, sizes: &BTreeMap<Digest, u64>) -> Vec<ForecastImage> {
        let image = |(node, output): (&usize, &Output)| {
            let Op::Image {
                reference,
                platform,
            } = &self.plan.graph.nodes[*node].op
            else {
                return None;
            };
            let layers: BTreeSet<&Digest> = output.layers()?.stack.layers.iter().collect();
            let described = layers
                .iter()
                .filter_map(|layer| self.plan.described.get(layer));
            let fetched = layers.iter().filter_map(|layer| sizes.get(layer));
            Some(ForecastImage {
                reference: reference.clone(),
                platform: platform.to_string(),
                id: self.plan.images.get(node).copied(),
                bytes: described.map(|layer| layer.size).sum(),
                fetch: fetched.sum(),
            })
        };
        self.plan.sources.iter().filter_map(image).collect()
    }
}

fn is_lasting(imported: &ImportedLayer) -> bool {
    imported.origin.as_registry().is_some()
}

/// What is read to carry out a step: with `--link` not what is below.
fn read(step: &Node) -> Vec<NodeId> {
    let inputs = step.op.inputs().into_iter();
    match &step.op {
        Op::Copy(copy) if copy.link => inputs.skip(1).collect(),
        _ => inputs.collect(),
    }
}
