//! Results of steps: looked up by their key, else made by one build at a time and recorded, with early cutoff. Unaware of what
//! operations do and of other steps.

use crate::event::{EventKind, Outcome, Used};
use crate::execute::key::{INSTRUCTION, Key, Known, Seen};
use crate::execute::past::Past;
use crate::execute::step::{Begun, Step};
use crate::failure::StepError;
use crate::plan::output::{Basis, Done, Stack, StepResult};
use kiln_cache::{KeyLock, Layer, Reason, Record, StoreError, Tree};
use kiln_oci::Digest;
use std::thread::Builder;
use std::time::Duration;

/// Inputs of a key that begin so are times that the result shows: one with another time is another result, although the
/// files are the same.
pub const TIME_OF: &str = "time of ";

fn times(inputs: &[(String, Digest)]) -> impl Iterator<Item = &Digest> {
    let times = inputs.iter().filter(|(name, _)| name.starts_with(TIME_OF));
    times.map(|(_, time)| time)
}

impl Step<'_> {
    /// The cached result of a key, unless the step is to be executed anyway. `seen` says what the key is made of.
    pub fn cached(
        &self,
        base: &Stack,
        key: &Key,
        seen: &dyn Fn() -> Seen,
    ) -> Result<Option<Done>, StepError> {
        let Some(record) = self.known(key)? else {
            return Ok(None);
        };
        self.send(|step| EventKind::Finished {
            step,
            outcome: Outcome::Cached,
            took_us: record.cost_ms.saturating_mul(1000),
            bytes: Some(self.layer_bytes(record.diff_id.as_ref())),
            key: Some(key.digest),
            used: None,
        });
        self.keep_inputs(key, seen);
        let stack = base.with(record.diff_id, record.tree, &Basis::from(&record));
        Ok(Some(done(stack, &record)))
    }

    /// The record of a key, unless the step is to be executed anyway.
    pub fn known(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        if self.ignores_cache {
            return Ok(None);
        }
        let record = self.session.store.records().lookup(&key.digest)?;
        Ok(record.filter(|record| !self.is_too_old(record)))
    }

    /// Keeps what the step is made of, so that later builds can tell what has changed.
    pub fn keep_inputs(&self, key: &Key, seen: &dyn Fn() -> Seen) {
        if let Some(past) = self.past {
            past.keep(self.node, key, seen);
        }
    }

    /// Does the step's work, and beside it keeps what it is made of: of many files that takes a while.
    pub fn keeping_inputs<T>(
        &self,
        key: &Key,
        seen: &(dyn Fn() -> Seen + Sync),
        work: impl FnOnce() -> T,
    ) -> T {
        std::thread::scope(|scope| {
            let keep = || self.keep_inputs(key, seen);
            let beside = Builder::new().spawn_scoped(scope, keep);
            let done = work();
            if beside.is_err() {
                self.keep_inputs(key, seen);
            }
            done
        })
    }

    /// Waits until no other build makes the same step. Two builds agree on the lock before anything has run.
    pub fn lock(&self) -> Result<Option<KeyLock>, StoreError> {
        let is_needed = !self.ignores_cache;
        let what = || format!("it makes {}", self.node.title);
        let lock = || self.session.store.leases().lock(&self.derived, &what());
        is_needed.then(lock).transpose()
    }

    /// Says that the step is being executed, and why if earlier builds had it. Without a key its files below are not known yet.
    pub fn started(&self, key: Option<&Key>, seen: &dyn Fn() -> Seen) {
        let instruction = [(INSTRUCTION.to_owned(), self.definition)];
        let known = key.map_or(Known::Part(&instruction), Known::All);
        let reasons = self.reasons(known, seen);
        let texts: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        let because = (!texts.is_empty()).then(|| texts.join("; "));
        self.send(|step| EventKind::Started {
            step,
            because,
            reasons,
        });
    }

    /// Why it is executed, if earlier builds had it.
    pub fn reasons(&self, known: Known<'_>, seen: &dyn Fn() -> Seen) -> Vec<Reason> {
        let key = match known {
            Known::All(key) => Some(key),
            Known::Part(_) => None,
        };
        self.past.map_or_else(Vec::new, |past| {
            past.reasons(self.node, known, seen, self.demanded(key))
        })
    }

    /// Why it is executed whatever its inputs are.
    fn demanded(&self, key: Option<&Key>) -> Option<Reason> {
        if self.ignores_cache {
            let flag = self.past?.forcing_flag().to_owned();
            return Some(Reason::NoCache { flag });
        }
        let record = self.session.store.records().lookup(&key?.digest).ok()??;
        self.is_too_old(&record).then_some(Reason::Expired)
    }

    /// Says that the step's own work has ended, while its layer may still be written.
    pub fn ran(&self, begun: Begun, used: Option<Used>) {
        let took = begun.at.elapsed().as_micros();
        self.send(|step| EventKind::Finished {
            step,
            outcome: Outcome::Ran,
            took_us: u64::try_from(took).unwrap_or(u64::MAX),
            bytes: None,
            key: None,
            used,
        });
    }

    /// Whether a result was made longer ago than `--cache-ttl` allows. Old stores do not know when; then its own time counts.
    fn is_too_old(&self, record: &Record) -> bool {
        let made = match record.made {
            0 => record.created,
            made => made,
        };
        let age = self.session.host.seconds().saturating_sub(made);
        self.max_age.is_some_and(|most| age > most)
    }

    /// Records an executed step, which rests on `basis`. A result that equals an earlier one of the same operation in everything but times
    /// adopts that layer (early cutoff), so that what follows stays cached. An earlier one that rests on other shared caches or on a weaker
    /// isolation does not count, so a step that was executed here without any is this store's own.
    pub fn settle(
        &self,
        base: &Stack,
        key: Key,
        layer: Option<&Layer>,
        basis: Basis,
        begun: Begun,
    ) -> Result<Done, StepError> {
        let cost = begun.at.elapsed();
        let mut record = self.record(key, layer, basis, begun.time, cost);
        let outcome = self.adopt_equal(&mut record)?;
        self.session.store.records().put(&record)?;
        let bytes = self.layer_bytes(record.diff_id.as_ref());
        let completed = |past: &Past<'_>| past.completed(self.node, &record.inputs);
        let reasons = self.past.map_or_else(Vec::new, completed);
        self.send(|step| EventKind::Committed {
            step,
            key: record.key,
            bytes,
            outcome,
            reasons,
        });
        let stack = base.with(record.diff_id, record.tree, &Basis::from(&record));
        Ok(done(stack, &record))
    }

    fn record(
        &self,
        key: Key,
        layer: Option<&Layer>,
        basis: Basis,
        created: i64,
        cost: Duration,
    ) -> Record {
        Record {
            key: key.digest,
            definition: self.definition,
            inputs: key.inputs,
            diff_id: layer.map(Layer::diff_id),
            tree: layer.map_or_else(|| Tree::new(Vec::new()).digest(), Layer::tree),
            created,
            made: self.session.host.seconds(),
            cost_ms: u64::try_from(cost.as_millis()).unwrap_or(u64::MAX),
            dockerfile_line: self.node.line,
            title: self.node.title.clone(),
            caches: basis.caches,
            isolation: basis.isolation,
        }
    }

    /// Takes layer and time of the oldest equal result, if there is one whose layer is still what its record says.
    fn adopt_equal(&self, record: &mut Record) -> Result<Outcome, StoreError> {
        let is_equal = |earlier: &Record| {
            times(&earlier.inputs).eq(times(&record.inputs))
                && earlier.caches.is_subset(&record.caches)
                && earlier.isolation >= record.isolation
        };
        let store = &self.session.store;
        let records = store.records();
        let earlier = records.oldest_with(&self.definition, &record.tree, is_equal)?;
        match earlier.filter(|earlier| self.still_there(earlier)) {
            None => Ok(Outcome::Ran),
            Some(earlier) => {
                (record.diff_id, record.created) = (earlier.diff_id, earlier.created);
                Ok(Outcome::Unchanged)
            }
        }
    }

    /// Whether the store can give the layer of an earlier result, and it is what the record says.
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

fn done(stack: Stack, record: &Record) -> Done {
    let step = StepResult {
        key: record.key,
        diff_id: record.diff_id,
        created: record.created,
    };
    Done {
        stack,
        step: Some(step),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute::testing::{NOW, node, session, step};
    use crate::session::Session;
    use kiln_cache::{Caches, Chain, Isolation, KeyBuilder, Meta};
    use kiln_parser::graph::Node;

    /// A layer with one directory of this name and time.
    fn layer(session: &Session, name: &str, mtime: i64) -> Layer {
        let nothing = Chain::new(Vec::new());
        let mut writer = session.store.layers().writer(&nothing).unwrap();
        let meta = Meta::root(0o755, mtime);
        writer.directory(name.as_bytes(), &meta).unwrap();
        writer.finish().unwrap().unwrap()
    }

    fn key(inputs: &[(&str, &[u8])]) -> Key {
        let key = KeyBuilder::new("test");
        let add = |key: KeyBuilder, (name, bytes): &(&str, &[u8])| key.bytes(name, bytes);
        inputs.iter().fold(key, add).into()
    }

    struct Fixture {
        _folder: tempfile::TempDir,
        session: Session,
        node: Node,
    }

    impl Fixture {
        fn new() -> Self {
            let (_folder, session) = session();
            let node = node("WORKDIR /a");
            Fixture {
                _folder,
                session,
                node,
            }
        }

        fn step(&self) -> Step<'_> {
            step(&self.session, &self.node, Digest::of(b"definition"))
        }

        fn settle(&self, key: Key, layer: &Layer, caches: Caches) -> StepResult {
            let step = self.step();
            let (base, begun) = (Stack::empty(), step.begin());
            let basis = Basis {
                caches,
                isolation: Isolation::default(),
            };
            let done = step.settle(&base, key, Some(layer), basis, begun);
            done.unwrap().step.unwrap()
        }
    }

    #[test]
    fn a_result_is_found_while_it_is_young_and_may_be_used() {
        let fixture = Fixture::new();
        let made = layer(&fixture.session, "a", 1);
        let own = key(&[("input", b"a")]);
        let found = |step: Step<'_>, key: &Key| {
            let seen = Seen::default;
            step.cached(&Stack::empty(), key, &seen).unwrap()
        };
        assert!(found(fixture.step(), &own).is_none());
        let settled = fixture.settle(own.clone(), &made, Caches::default());
        assert_eq!(
            (settled.diff_id, settled.created),
            (Some(made.diff_id()), NOW)
        );
        let done = found(fixture.step(), &own).unwrap();
        assert_eq!(done.stack.layers, [made.diff_id()]);
        let mut step = fixture.step();
        step.max_age = Some(0);
        assert!(found(step, &own).is_some());
        step.max_age = Some(-1);
        assert!(found(step, &own).is_none());
        assert_eq!(step.demanded(Some(&own)), Some(Reason::Expired));
        step.ignores_cache = true;
        assert!(found(step, &own).is_none());
        let other = key(&[("input", b"b")]);
        assert!(found(fixture.step(), &other).is_none());
    }

    #[test]
    fn an_equal_result_adopts_the_layer_of_the_first_one() {
        let fixture = Fixture::new();
        let none = Caches::default;
        let (first, later) = (
            layer(&fixture.session, "a", 1),
            layer(&fixture.session, "a", 2),
        );
        assert_ne!(first.diff_id(), later.diff_id());
        fixture.settle(key(&[("input", b"a")]), &first, none());
        let adopted = fixture.settle(key(&[("input", b"b")]), &later, none());
        assert_eq!(adopted.diff_id, Some(first.diff_id()));
        let other = layer(&fixture.session, "b", 1);
        let made = fixture.settle(key(&[("input", b"c")]), &other, none());
        assert_eq!(made.diff_id, Some(other.diff_id()));
        // A time that the result shows is another result.
        let time = format!("{TIME_OF}file");
        let timed = fixture.settle(key(&[(&time, b"2")]), &later, none());
        assert_eq!(timed.diff_id, Some(later.diff_id()));
    }

    #[test]
    fn a_result_of_this_store_does_not_adopt_a_claim() {
        let fixture = Fixture::new();
        let (claimed, own) = (
            layer(&fixture.session, "a", 1),
            layer(&fixture.session, "a", 2),
        );
        fixture.settle(key(&[("input", b"a")]), &claimed, Caches::one("cache"));
        let made = fixture.settle(key(&[("input", b"b")]), &own, Caches::default());
        assert_eq!(made.diff_id, Some(own.diff_id()));
    }
}
