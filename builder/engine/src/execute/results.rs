//! Results of steps: looked up by their key, else made by one build at a time and recorded, with early cutoff. Unaware of what steps
//! do.

use super::{Execution, Key};
use crate::event::{EventKind, Outcome};
use crate::failure::StepError;
use crate::plan::output::{Done, Output, Stack, StepResult};
use kiln_cache::{Caches, KeyLock, Layer, Record, Tree};
use kiln_oci::Digest;
use kiln_parser::graph::Node;
use std::time::Instant;

/// Inputs of a key that begin so are times that the result shows: one with another time is another result, although the
/// files are the same.
pub const TIME_OF: &str = "time of ";

fn times(inputs: &[(String, Digest)]) -> Vec<Digest> {
    let times = inputs.iter().filter(|(name, _)| name.starts_with(TIME_OF));
    times.map(|(_, time)| *time).collect()
}

impl Execution<'_> {
    /// The cached result of a key, unless everything is to be executed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn cached(&self, node: &Node, base: &Stack, key: &Key) -> Result<Option<Done>, StepError> {
        if self.ignores_cache(node) {
            return Ok(None);
        }
        let record = self.session.store.records().lookup(&key.digest)?;
        let Some(record) = record.filter(|record| !self.is_too_old(record)) else {
            return Ok(None);
        };
        let bytes = self.layer_bytes(record.diff_id.as_ref());
        self.session.events.send(EventKind::Finished {
            step: node.id.0,
            outcome: Outcome::Cached,
            took_us: record.cost_ms.saturating_mul(1000),
            bytes: Some(bytes),
        });
        let stack = base.with(record.diff_id, record.tree, &record.caches);
        Ok(Some(Done {
            stack,
            step: Some(StepResult {
                key: key.digest,
                diff_id: record.diff_id,
                created: record.created,
            }),
        }))
    }

    /// Waits until no other build makes the same step. Two builds agree on the lock before anything has run.
    ///
    /// # Errors
    /// When the store fails.
    pub fn lock(&self, node: &Node) -> Result<Option<KeyLock>, StepError> {
        if self.ignores_cache(node) {
            return Ok(None);
        }
        Ok(Some(
            self.session
                .store
                .leases()
                .lock(&self.plan.derived[node.id.0])?,
        ))
    }

    /// A step whose layer kiln writes itself: looked up, else made while no other build makes it, and recorded.
    ///
    /// # Errors
    /// Those of `make`, or when the store fails.
    pub fn look_up_or_make(
        &self,
        node: &Node,
        base: &Stack,
        key: &Key,
        make: impl FnOnce(i64) -> Result<Option<Layer>, StepError>,
    ) -> Result<Done, StepError> {
        if let Some(done) = self.cached(node, base, key)? {
            return Ok(done);
        }
        let _lock = self.lock(node)?;
        if let Some(done) = self.cached(node, base, key)? {
            return Ok(done);
        }
        self.started(node, Some(key));
        let begun = (Instant::now(), self.now());
        let layer = make(begun.1)?;
        self.ran(node, begun.0);
        self.settle(node, base, key, layer.as_ref(), begun)
    }

    /// Says that a step is being executed, and why if it was executed before.
    pub fn started(&self, node: &Node, key: Option<&Key>) {
        let because = key
            .filter(|_| !self.ignores_cache(node))
            .and_then(|key| self.first_difference(node, key).or_else(|| self.age(key)));
        self.session.events.send(EventKind::Started {
            step: node.id.0,
            because,
        });
    }

    /// Says that a step's own work has ended, while its layer may still be written.
    pub fn ran(&self, node: &Node, begun: Instant) {
        let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.session.events.send(EventKind::Finished {
            step: node.id.0,
            outcome: Outcome::Ran,
            took_us,
            bytes: None,
        });
    }

    /// The first input of `key` that the latest record of the same operation does not have.
    fn first_difference(&self, node: &Node, key: &Key) -> Option<String> {
        let records = self
            .session
            .store
            .records()
            .of_definition(&self.plan.definitions[node.id.0])
            .ok()?;
        let before = records.first()?;
        let (name, _) = key
            .inputs
            .iter()
            .find(|input| !before.inputs.contains(input))?;
        Some(format!("{name} changed"))
    }

    /// The time that a step's layer and history carry when it is executed now.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.plan
            .graph
            .source_date_epoch
            .unwrap_or_else(|| self.session.host.seconds())
    }

    /// Records an executed step. A result that equals an earlier one of the same operation in everything but times adopts
    /// that layer (early cutoff), so that what follows stays cached; an earlier one that rests on other shared caches is not looked at,
    /// so that a step which was executed here without any is this store's own.
    ///
    /// # Errors
    /// When the store fails.
    pub fn settle(
        &self,
        node: &Node,
        base: &Stack,
        key: &Key,
        layer: Option<&Layer>,
        begun: (Instant, i64),
    ) -> Result<Done, StepError> {
        let store = &self.session.store;
        let definition = self.plan.definitions[node.id.0];
        let tree = layer.map_or_else(|| Tree::new(Vec::new()).digest(), Layer::tree);
        let caches = self.rests_on(node)?;
        let is_equal = |record: &Record| {
            record.tree == tree
                && times(&record.inputs) == times(&key.inputs)
                && record.caches.is_subset(&caches)
        };
        let earlier = store.records().of_definition(&definition)?;
        let earlier = earlier.into_iter().filter(is_equal);
        let earlier = earlier.min_by_key(|record| (record.created, record.key));
        let (outcome, diff_id, created) = match earlier {
            Some(record) if self.still_there(&record) => {
                (Outcome::Unchanged, record.diff_id, record.created)
            }
            _ => (Outcome::Ran, layer.map(Layer::diff_id), begun.1),
        };
        let cost_ms = u64::try_from(begun.0.elapsed().as_millis()).unwrap_or(u64::MAX);
        store.records().put(&Record {
            key: key.digest,
            definition,
            inputs: key.inputs.clone(),
            diff_id,
            tree,
            created,
            made: self.session.host.seconds(),
            cost_ms,
            dockerfile_line: node.line,
            title: node.title.clone(),
            caches: caches.clone(),
        })?;
        let bytes = self.layer_bytes(diff_id.as_ref());
        self.session.events.send(EventKind::Committed {
            step: node.id.0,
            bytes,
            outcome,
        });
        Ok(Done {
            stack: base.with(diff_id, tree, &caches),
            step: Some(StepResult {
                key: key.digest,
                diff_id,
                created,
            }),
        })
    }

    /// The shared caches that the inputs of a step rest on, and so what is made of them.
    fn rests_on(&self, node: &Node) -> Result<Caches, StepError> {
        let mut caches = Caches::default();
        for input in node.op.inputs() {
            if let Output::Layers { .. } = self.output(input)? {
                caches = caches.with(&self.done(input)?.stack.caches);
            }
        }
        Ok(caches)
    }

    /// Whether the layer of an earlier result can be had, and is what the record says.
    fn still_there(&self, record: &Record) -> bool {
        record.diff_id.is_none_or(|diff_id| {
            let layer = self.session.store.layers().get(&diff_id);
            layer.is_ok_and(|layer| layer.tree() == record.tree)
        })
    }

    fn layer_bytes(&self, diff_id: Option<&Digest>) -> u64 {
        let size = diff_id.map(|id| self.session.store.exchange().layer_size(id));
        size.and_then(Result::ok).flatten().unwrap_or(0)
    }
}
