//! What is remembered of a build once it has ended: made of its events, and written into the store. Unaware of how it is shown.

use crate::render::{Record, Recorded, Renderer, clip};
use kiln_cache::{Ending, PastBuild, PastStep, Project, Reason, StepEnding, Store, UsedByStep};
use kiln_engine::event::{Event, EventKind, Outcome, StepInfo, Used};
use kiln_engine::{BuildError, Built, DockerfileText, Request, chain_of_causes};
use kiln_oci::Digest;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// Characters of an instruction that are remembered: a build without work to do is not to write much.
const TITLE: usize = 200;

/// A build that is under way.
#[derive(Debug)]
pub struct Remembered {
    record: Record,
    begun: Instant,
    /// What is known before it has ended.
    past: PastBuild,
}

impl Remembered {
    /// Begins with what was asked for; the renderer shows as `shown` does.
    pub fn begin(shown: Box<dyn Renderer>, request: &Request) -> (Recorded, Self) {
        let (recorded, record) = Recorded::new(shown);
        let Project {
            folder,
            file,
            names,
        } = project(request);
        let past = PastBuild {
            project: folder,
            file,
            names,
            ..PastBuild::default()
        };
        let remembered = Remembered {
            record,
            begun: Instant::now(),
            past,
        };
        (recorded, remembered)
    }

    /// Which builds it is compared with.
    pub fn project(&self) -> Project {
        self.past.project()
    }

    /// Writes what is known at the end. What ended before it had begun is no build; a write that fails is no failure of one.
    pub fn end(
        mut self,
        store: &Store,
        dockerfile: &DockerfileText,
        result: &Result<Built, BuildError>,
    ) {
        let events = self.record.take();
        let Some(first) = events.first() else {
            return;
        };
        let took = self.begun.elapsed().as_micros();
        self.past.took_us = u64::try_from(took).unwrap_or(u64::MAX);
        self.past.id.clone_from(&first.build);
        self.past.began_us = first.time.as_microsecond();
        if self.past.file.is_empty() {
            self.past.file.clone_from(&dockerfile.name);
        }
        tell_result(&mut self.past, result, &events);
        let steps = steps(&events);
        tell_steps(&mut self.past, &steps);
        if let Err(error) = store.history().put(&self.past, &steps) {
            tracing::debug!("the build is not remembered: {}", chain_of_causes(&error));
        }
    }
}

/// Which builds a build is compared with.
pub fn project(request: &Request) -> Project {
    let folder = request.sources.context.folder();
    let folder = folder.and_then(|folder| folder.canonicalize().ok());
    let names = request.goal.names();
    Project {
        file: file(request, folder.as_deref()).unwrap_or_default(),
        folder: folder.map(|folder| folder.to_string_lossy().into_owned()),
        names: names.iter().map(ToString::to_string).collect(),
    }
}

/// A Dockerfile that is in the folder of its context, as it is called there: the same wherever kiln is started.
fn file(request: &Request, project: Option<&Path>) -> Option<String> {
    let path = Path::new(&request.sources.dockerfile.text()?.name);
    let path = path.canonicalize().ok()?;
    let inside = path.strip_prefix(project?).ok()?;
    Some(inside.to_string_lossy().into_owned())
}

fn tell_steps(build: &mut PastBuild, steps: &[PastStep]) {
    let is_cached = |step: &&PastStep| step.outcome == Some(StepEnding::Cached);
    build.steps = steps.len();
    build.cached = steps.iter().filter(is_cached).count();
}

fn tell_result(build: &mut PastBuild, result: &Result<Built, BuildError>, events: &[Event]) {
    match result {
        Ok(built) => {
            build.image = Some(built.id.to_string());
            build.names.clone_from(&built.names);
        }
        Err(BuildError::Cancelled) => build.result = Ending::Stopped,
        Err(error) => {
            build.result = Ending::Failed;
            let of_step = events.iter().find_map(|event| match &event.kind {
                EventKind::Failed { step, message, .. } => {
                    let failed = title(events, *step).unwrap_or_default();
                    Some(format!("{failed}: {message}"))
                }
                _ => None,
            });
            build.failure = Some(of_step.unwrap_or_else(|| chain_of_causes(error)));
        }
    }
}

fn planned(events: &[Event]) -> impl Iterator<Item = &StepInfo> {
    events.iter().flat_map(|event| match &event.kind {
        EventKind::Planned { steps } => steps.as_slice(),
        _ => &[],
    })
}

fn title(events: &[Event], step: usize) -> Option<String> {
    let info = planned(events).find(|info| info.step == step)?;
    Some(clip(&info.title, TITLE))
}

/// What became of each step, in the order of the Dockerfile.
fn steps(events: &[Event]) -> Vec<PastStep> {
    let mut steps = BTreeMap::new();
    for event in events {
        if let EventKind::Planned { steps: planned } = &event.kind {
            // what was planned before is planned no more
            steps = planned
                .iter()
                .map(|info| (info.step, begin(info)))
                .collect();
        }
        if let Some(step) = step_of(&event.kind).and_then(|step| steps.get_mut(&step)) {
            note(step, event);
        }
    }
    steps.into_values().collect()
}

fn begin(info: &StepInfo) -> PastStep {
    PastStep {
        step: info.step,
        stage: info.stage.clone(),
        number: info.number,
        of: info.of,
        line: info.line,
        title: clip(&info.title, TITLE),
        needs: info.needs.clone(),
        ..PastStep::default()
    }
}

fn step_of(kind: &EventKind) -> Option<usize> {
    match kind {
        EventKind::Started { step, .. }
        | EventKind::Finished { step, .. }
        | EventKind::Committed { step, .. }
        | EventKind::Failed { step, .. } => Some(*step),
        _ => None,
    }
}

/// What an event says of its step. A step that was executed is found in the cache when the build is attempted again: that says nothing new.
fn note(step: &mut PastStep, event: &Event) {
    match &event.kind {
        EventKind::Started { reasons, .. } => {
            step.began_us = Some(event.at_us);
            step.outcome = None;
            add_reasons(step, reasons);
        }
        finished @ EventKind::Finished { .. } if step.outcome.is_none() => end(step, finished),
        EventKind::Committed {
            key,
            bytes,
            outcome,
            reasons,
            ..
        } => {
            (step.key, step.bytes) = (Some(*key), Some(*bytes));
            step.outcome = Some(ending(*outcome));
            add_reasons(step, reasons);
        }
        EventKind::Failed { key, used, .. } => {
            step.used = used.map_or_else(UsedByStep::default, told);
            fail(step, event.at_us, *key);
        }
        _ => {}
    }
}

/// The end of a step that failed, with the key of the result that it would have had.
fn fail(step: &mut PastStep, at_us: u64, key: Option<Digest>) {
    let began = step.began_us.unwrap_or(at_us);
    step.key = key;
    step.outcome = Some(StepEnding::Failed);
    step.took_us = Some(at_us.saturating_sub(began));
}

/// Those that are told later are all that there are.
fn add_reasons(step: &mut PastStep, reasons: &[Reason]) {
    if !reasons.is_empty() {
        step.reasons = reasons.to_vec();
    }
}

/// The end of a step's command, or of its search for a result.
fn end(step: &mut PastStep, finished: &EventKind) {
    let EventKind::Finished {
        outcome,
        took_us,
        bytes,
        key,
        used,
        ..
    } = finished
    else {
        return;
    };
    step.took_us = Some(*took_us);
    step.used = used.map_or_else(UsedByStep::default, told);
    if *outcome == Outcome::Cached {
        step.outcome = Some(StepEnding::Cached);
        step.took_us = Some(*took_us).filter(|took| *took > 0);
        (step.key, step.bytes) = (*key, *bytes);
    }
}

fn told(used: Used) -> UsedByStep {
    UsedByStep {
        cpu_us: Some(used.cpu_us),
        memory: Some(used.memory),
        written: Some(used.written),
    }
}

fn ending(outcome: Outcome) -> StepEnding {
    match outcome {
        Outcome::Cached => StepEnding::Cached,
        Outcome::Ran => StepEnding::Ran,
        Outcome::Unchanged => StepEnding::Unchanged,
    }
}
