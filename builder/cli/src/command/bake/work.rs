//! Builds targets in one session, several at once: each as soon as those are built that it takes as contexts. One that fails stops the others, as
//! in buildx. What several need alike is made once, since the store lets each result be made by one. Unaware of definitions.

use super::order::Ordered;
use crate::building::{Beside, Builder};
use crate::environment::{self, Globals};
use crate::failure::Failure;
use crate::flag::metadata;
use crate::render::{Progress, Several, Sink};
use crate::{signals, table, upkeep};
use kiln_engine::{Built, ContextSource};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Builds that go on at once.
const AT_ONCE: usize = 8;

/// Builds all targets, with the builder that is open already if there is one; what was built, by target.
///
/// # Errors
/// Those of the builds.
pub fn all(
    orders: Vec<Ordered>,
    progress: Progress,
    (globals, builder): (&Globals, Option<Builder>),
) -> Result<BTreeMap<String, Value>, Failure> {
    let (asked, orders): (Vec<_>, Vec<_>) = orders.into_iter().partition(|order| order.asks);
    let mut built = BTreeMap::new();
    if !orders.is_empty() {
        let budget = upkeep::budget()?;
        let builder = builder.map_or_else(|| Builder::open(globals), Ok)?;
        upkeep::before(builder.store(), &budget);
        let work = Work::new(orders, progress, &builder);
        let results = work.run()?;
        let last = results.values().next_back();
        upkeep::after(builder.store(), &budget, last.map(|built| &built.manifest));
        built.extend(
            results
                .iter()
                .map(|(name, built)| (name.clone(), metadata(built))),
        );
        builder.end()?;
    }
    answer(asked, globals)?;
    Ok(built)
}

/// Answers questions, each below the name of its target.
fn answer(asked: Vec<Ordered>, globals: &Globals) -> Result<(), Failure> {
    let mut failures = Vec::new();
    for (
        at,
        Ordered {
            name,
            description,
            order,
            ..
        },
    ) in asked.into_iter().enumerate()
    {
        let is_json = order.is_for_machines(globals)?;
        if !is_json {
            let text = [name, description]
                .into_iter()
                .filter(|text| !text.is_empty());
            let head = text.collect::<Vec<_>>().join("\n");
            table::line(&format!("{}{head}\n", if at > 0 { "\n" } else { "" }));
        }
        failures.extend(order.answer(globals).err());
    }
    Failure::all(failures)
}

/// Builds that are under way.
struct Work<'a> {
    builder: &'a Builder,
    several: Several,
    sink: Sink,
    progress: Progress,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// What is not begun.
    waiting: Vec<(usize, Ordered)>,
    running: usize,
    built: BTreeMap<String, Built>,
    failures: Vec<Failure>,
    /// Builds that only ended because another one failed.
    stopped: Vec<Failure>,
}

impl<'a> Work<'a> {
    fn new(orders: Vec<Ordered>, progress: Progress, builder: &'a Builder) -> Self {
        let sink = Sink::stderr();
        Work {
            builder,
            several: Several::new(progress, environment::no_color(), &sink, orders.len()),
            sink,
            progress,
            state: Mutex::new(State {
                waiting: orders.into_iter().enumerate().collect(),
                ..State::default()
            }),
            changed: Condvar::new(),
        }
    }

    fn run(self) -> Result<BTreeMap<String, Built>, Failure> {
        let count = self.lock().waiting.len().min(AT_ONCE);
        std::thread::scope(|scope| {
            for _ in 1..count {
                let thread = std::thread::Builder::new().name("target".to_owned());
                // fewer at once, where the machine gives no more threads
                if thread.spawn_scoped(scope, || self.take_turns()).is_err() {
                    break;
                }
            }
            self.take_turns();
        });
        let state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let failures = match state.failures.is_empty() {
            true => state.stopped,
            false => state.failures,
        };
        Failure::all(failures)?;
        Ok(state.built)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Builds one target after the other, until none is left.
    fn take_turns(&self) {
        while let Some((at, ordered)) = self.next() {
            let ended = self.build(at, &ordered);
            let mut state = self.lock();
            state.running -= 1;
            match ended {
                Ok(built) => drop(state.built.insert(ordered.name, built)),
                Err(Beside::Stopped(failure)) => state.stopped.push(failure),
                Err(Beside::Failed(failure)) => {
                    let many = self.several.are_many();
                    let of = format!("target {}:", ordered.name);
                    state
                        .failures
                        .push(if many { failure.of_flag(&of) } else { failure });
                }
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// The next target whose contexts are there.
    fn next(&self) -> Option<(usize, Ordered)> {
        let mut state = self.lock();
        loop {
            let is_over = !state.failures.is_empty() || !state.stopped.is_empty();
            if is_over || state.waiting.is_empty() || signals::received().is_some() {
                return None;
            }
            if let Some(next) = state.take_ready() {
                return Some(next);
            }
            // what is needed is built by somebody, or never
            if state.running == 0 {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn build(&self, at: usize, ordered: &Ordered) -> Result<Built, Beside> {
        let renderer = self.several.part(at, &ordered.name);
        self.builder
            .beside(&ordered.order, renderer, (&self.sink, self.progress))
    }
}

impl State {
    /// Takes a target whose contexts are there.
    fn take_ready(&mut self) -> Option<(usize, Ordered)> {
        let built = &self.built;
        let is_ready = |(_, order): &(usize, Ordered)| {
            let mut needs = order.needs.values();
            needs.all(|need| built.contains_key(need))
        };
        let at = self.waiting.iter().position(is_ready)?;
        let mut next = self.waiting.remove(at);
        self.give_contexts(&mut next.1);
        self.running += 1;
        Some(next)
    }

    /// What other targets have made is an image of the store.
    fn give_contexts(&self, ordered: &mut Ordered) {
        for (context, target) in &ordered.needs {
            if let Some(built) = self.built.get(target) {
                let image = ContextSource::Image(built.manifest.to_string());
                let contexts = &mut ordered.order.request.sources.contexts;
                contexts.insert(context.clone(), image);
            }
        }
    }
}
