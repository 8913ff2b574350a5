//! Why steps of a build are not those of an earlier one: what differs in their own inputs, and with which steps before them it began. Unaware of
//! where the inputs come from.

use super::align::align;
use super::files;
use super::operation;
use super::words::cut;
use crate::execute::key::INSTRUCTION;
use kiln_cache::{PastStep, ReadOrigin, Reason, StepInputs};
use kiln_oci::{Digest, locked};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

/// Characters of an instruction that a reason names.
const TITLE: usize = 60;

/// The inputs of steps, by their numbers.
pub type Inputs = BTreeMap<usize, Arc<StepInputs>>;

/// What is known of a key.
type Known = Box<dyn Fn(&Digest) -> Option<StepInputs> + Send + Sync>;

/// Two builds.
pub struct Comparison {
    old: BTreeMap<usize, PastStep>,
    new: BTreeMap<usize, PastStep>,
    /// New steps and their counterparts.
    pairs: BTreeMap<usize, usize>,
    known: Known,
    /// The old inputs, as far as they were looked at.
    before: Mutex<BTreeMap<usize, Option<Arc<StepInputs>>>>,
}

/// In what a step differs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Difference {
    /// In an input of its own.
    Own(String),
    /// In what it reads of other steps: these began it.
    Steps(BTreeSet<usize>),
    /// It was made on, or made from, an old step that is there no more.
    Removed(usize),
    /// It is made on, or from, another step than before.
    Moved,
}

impl Comparison {
    /// Of the steps of an old build with those of a new one; `known` gives the inputs behind the keys of the old one.
    pub fn new(old: Vec<PastStep>, new: Vec<PastStep>, known: Known) -> Self {
        let pairs = align(&old, &new);
        let by_number = |steps: Vec<PastStep>| steps.into_iter().map(|step| (step.step, step));
        Comparison {
            pairs,
            old: by_number(old).collect(),
            new: by_number(new).collect(),
            known,
            before: Mutex::default(),
        }
    }

    /// The old step that a step was.
    pub fn counterpart(&self, step: usize) -> Option<&PastStep> {
        self.old.get(self.pairs.get(&step)?)
    }

    /// The inputs of a step of which only some are known yet: the old ones stand in the place of the others.
    pub fn with_old(&self, step: usize, own: &[(String, Digest)]) -> Vec<(String, Digest)> {
        let before = self.before(step);
        let before = before.iter().flat_map(|before| &before.inputs);
        let is_own = |name: &String| own.iter().any(|(own, _)| own == name);
        let old = before.filter(|(name, _)| !is_own(name));
        own.iter().chain(old).cloned().collect()
    }

    /// In what a step differs from what it was; `now` are the inputs of it and of the steps before it.
    pub fn reasons(&self, step: usize, now: &Inputs) -> Vec<Reason> {
        if self.counterpart(step).is_none() {
            return vec![Reason::New];
        }
        let (mut reasons, mut steps, mut removed) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for difference in self.differences(step, now, &mut BTreeMap::new()) {
            match difference {
                Difference::Own(name) => reasons.extend(self.own(step, &name, now)),
                Difference::Steps(began) => steps.extend(began),
                Difference::Removed(old) => drop(removed.insert(old)),
                Difference::Moved => reasons.push(self.moved(step)),
            }
        }
        let titles = removed.iter().filter_map(|step| self.old.get(step));
        let titles: Vec<String> = titles.map(|step| cut(&step.title, TITLE)).collect();
        let labels = steps.iter().filter_map(|step| self.new.get(step));
        let labels: Vec<String> = labels.map(label).collect();
        reasons.extend((!titles.is_empty()).then_some(Reason::Removed { steps: titles }));
        reasons.extend((!labels.is_empty()).then_some(Reason::Steps { steps: labels }));
        reasons.dedup();
        reasons
    }

    /// With which steps it began that a step is not what it was: perhaps with itself.
    fn began(
        &self,
        step: usize,
        now: &Inputs,
        done: &mut BTreeMap<usize, BTreeSet<usize>>,
    ) -> BTreeSet<usize> {
        if let Some(known) = done.get(&step) {
            return known.clone();
        }
        let mut began = BTreeSet::new();
        if self.counterpart(step).is_none() {
            began.insert(step);
            let needs = self.new.get(&step).into_iter().flat_map(|step| &step.needs);
            needs.for_each(|need| began.extend(self.began(*need, now, done)));
        }
        for difference in self.differences(step, now, done) {
            match difference {
                Difference::Steps(steps) => began.extend(steps),
                _ => drop(began.insert(step)),
            }
        }
        done.insert(step, began.clone());
        began
    }

    fn differences(
        &self,
        step: usize,
        now: &Inputs,
        done: &mut BTreeMap<usize, BTreeSet<usize>>,
    ) -> Vec<Difference> {
        let Some((before, after)) = self.before(step).zip(now.get(&step)) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for name in changed(&before, after) {
            let was = self.pairs.get(&step);
            let was = was.and_then(|old| self.read(&self.old, *old, &before, name));
            match self.read(&self.new, step, after, name) {
                None => found.push(Difference::Own(name.to_owned())),
                Some(read) => {
                    let began = self.began(read, now, done);
                    found.extend(self.in_step(name, (was, read), began));
                }
            }
        }
        found
    }

    /// What it means that something else is read of a step than before, of which the differences began with these steps.
    fn in_step(
        &self,
        name: &str,
        (was, read): (Option<usize>, usize),
        began: BTreeSet<usize>,
    ) -> Vec<Difference> {
        let is_gone = |was: &usize| !self.pairs.values().any(|old| old == was);
        let removed = was.filter(is_gone).map(Difference::Removed);
        let other = match self.pairs.get(&read) {
            _ if !began.is_empty() => Some(Difference::Steps(began)),
            same if same == was.as_ref() => Some(Difference::Steps([read].into())),
            _ if was.is_none() => Some(Difference::Own(name.to_owned())),
            _ if removed.is_none() => Some(Difference::Moved),
            _ => None,
        };
        removed.into_iter().chain(other).collect()
    }

    /// The step that an input of a step is, if it is one.
    fn read(
        &self,
        steps: &BTreeMap<usize, PastStep>,
        step: usize,
        inputs: &StepInputs,
        name: &str,
    ) -> Option<usize> {
        let reads = inputs.reads.iter();
        let is_it = |read: &kiln_cache::ReadInput| read.input.as_deref() == Some(name);
        let at = reads.clone().position(is_it)?;
        let is_step = |read: &&kiln_cache::ReadInput| read.origin == ReadOrigin::Step;
        if !inputs.reads.get(at).is_some_and(|read| is_step(&read)) {
            return None;
        }
        let before = reads.take(at).filter(is_step).count();
        steps.get(&step)?.needs.get(before).copied()
    }

    /// The inputs of the counterpart of a step.
    fn before(&self, step: usize) -> Option<Arc<StepInputs>> {
        let old = self.counterpart(step)?;
        let key = old.key.as_ref()?;
        let known = || (self.known)(key).map(Arc::new);
        locked(&self.before)
            .entry(old.step)
            .or_insert_with(known)
            .clone()
    }

    fn titles(&self, step: usize) -> (&str, &str) {
        let old = self.counterpart(step).map_or("", |old| &old.title);
        (old, self.new.get(&step).map_or("", |new| &new.title))
    }

    /// Why it reads another step than before.
    fn moved(&self, step: usize) -> Reason {
        operation::text(&self.titles(step)).unwrap_or(Reason::Moved)
    }

    /// The words for an input of a step's own that differs.
    fn own(&self, step: usize, name: &str, now: &Inputs) -> Vec<Reason> {
        let Some((before, after)) = self.before(step).zip(now.get(&step)) else {
            return Vec::new();
        };
        if name == INSTRUCTION {
            let (old, new) = (&before.operation, &after.operation);
            return operation::differences(old, new, self.titles(step));
        }
        // it is there because the instruction is another one
        let has = |inputs: &StepInputs| inputs.inputs.iter().any(|(input, _)| input == name);
        let is_implied =
            !(has(&before) && has(after)) && changed(&before, after).contains(&INSTRUCTION);
        let told = value(&before, after, name)
            .or_else(|| image(&before, after, name).filter(|_| !is_implied))
            .or_else(|| of_files(&before, after, name).filter(|_| !is_implied));
        match told {
            None if is_implied => Vec::new(),
            told => vec![told.unwrap_or_else(|| unknown(name))],
        }
    }
}

fn unknown(name: &str) -> Reason {
    Reason::Input {
        name: name.to_owned(),
    }
}

/// The words for a flag whose value is known.
fn value(before: &StepInputs, after: &StepInputs, name: &str) -> Option<Reason> {
    let (old, new) = (before.values.get(name), after.values.get(name));
    (old.is_some() || new.is_some()).then(|| Reason::Flag {
        name: name.to_owned(),
        old: old.cloned(),
        new: new.cloned(),
    })
}

impl fmt::Debug for Comparison {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = out.debug_struct("Comparison");
        told.field("pairs", &self.pairs).finish_non_exhaustive()
    }
}

/// `[build 2/4] COPY . .`
pub fn label(step: &PastStep) -> String {
    let title = cut(&step.title, TITLE);
    format!("[{} {}/{}] {title}", step.stage, step.number, step.of)
}

/// The names of the inputs that differ, in the order of the key.
fn changed<'i>(before: &'i StepInputs, after: &'i StepInputs) -> Vec<&'i str> {
    let of = |inputs: &'i StepInputs, name: &str| {
        let own = inputs.inputs.iter().filter(|(input, _)| input == name);
        own.map(|(_, digest)| *digest).collect::<Vec<_>>()
    };
    let mut seen = BTreeSet::new();
    let all = after.inputs.iter().chain(&before.inputs);
    let names = all
        .map(|(name, _)| name.as_str())
        .filter(|name| seen.insert(*name));
    names
        .filter(|name| of(before, name) != of(after, name))
        .collect()
}

fn origin<'i>(inputs: &'i StepInputs, name: &str) -> Option<&'i ReadOrigin> {
    let mut reads = inputs.reads.iter();
    let read = reads.find(|read| read.input.as_deref() == Some(name))?;
    Some(&read.origin)
}

/// The words for an image that is another one.
fn image(before: &StepInputs, after: &StepInputs, input: &str) -> Option<Reason> {
    let told = |inputs: &StepInputs| match origin(inputs, input)? {
        ReadOrigin::Image(name, id) => Some((name.clone(), id.map(|id| id.short()))),
        ReadOrigin::Scratch => Some(("scratch".to_owned(), None)),
        ReadOrigin::Step => Some(("another stage".to_owned(), None)),
        ReadOrigin::Context(_) => None,
    };
    let (name, id) = told(after)?;
    let (old_name, old_id) = told(before)?;
    let old = match old_name == name {
        true => old_id,
        false => Some(
            [Some(old_name), old_id]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("@"),
        ),
    };
    Some(Reason::Base { name, old, new: id })
}

fn of_files(before: &StepInputs, after: &StepInputs, input: &str) -> Option<Reason> {
    let of = match origin(after, input) {
        Some(ReadOrigin::Context(name)) => name.as_ref(),
        _ => None,
    };
    files::difference(before.files.get(input)?, after.files.get(input)?, of)
}
