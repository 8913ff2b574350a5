//! Builds that go on side by side, each with a renderer of its own that carries the name of its target: lines and events of all go to one place, and
//! on a terminal all are one live view. Unaware of what is built.

use super::{Progress, Renderer, Sink, Stop, open, rawjson};
use kiln_engine::event::{Event, EventKind, StepInfo};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Steps of a build have numbers below this; those of the next one follow.
const STEPS: usize = 1 << 20;

/// What shows all builds.
pub struct Several {
    progress: Progress,
    no_color: bool,
    sink: Sink,
    count: usize,
    /// The one view of a terminal.
    live: Option<Arc<Mutex<Live>>>,
}

impl Several {
    /// As many builds, shown in the same way at the same place.
    pub fn new(progress: Progress, no_color: bool, sink: &Sink, count: usize) -> Self {
        let draws = sink.is_terminal() && matches!(progress, Progress::Auto | Progress::Tty);
        let live = || Live {
            renderer: open(progress, "building", no_color, sink.clone()),
            plans: BTreeMap::new(),
            shown: 0,
            stop: None,
        };
        Several {
            progress,
            no_color,
            sink: sink.clone(),
            count,
            live: (draws && count > 1).then(|| Arc::new(Mutex::new(live()))),
        }
    }

    /// Whether there are others.
    pub fn are_many(&self) -> bool {
        self.count > 1
    }

    /// What shows one of them: that at this place, of the target of this name.
    pub fn part(&self, at: usize, target: &str) -> Box<dyn Renderer> {
        if let Some(live) = &self.live {
            lock(live).shown += 1;
            return Box::new(LivePart {
                target: target.to_owned(),
                first: at * STEPS,
                live: live.clone(),
            });
        }
        let sink = self.sink.clone();
        let renderer = match self.progress {
            Progress::RawJson if self.count > 1 => {
                Box::new(rawjson::RawJson::of_target(sink, target))
            }
            progress => open(progress, "building", self.no_color, sink),
        };
        match self.count {
            1 => renderer,
            _ => Box::new(Named {
                target: target.to_owned(),
                names_sources: !self.progress.is_for_machines(),
                renderer,
            }),
        }
    }
}

/// Shows a build under the name of its target.
struct Named {
    target: String,
    /// Whether what is read carries the name too.
    names_sources: bool,
    renderer: Box<dyn Renderer>,
}

impl Renderer for Named {
    fn handle(&mut self, event: &Event) {
        let named = renamed(event, &self.target, 0, self.names_sources);
        self.renderer.handle(&named);
    }

    fn note(&mut self, event: &Event) {
        self.renderer.note(event);
    }

    fn tick(&mut self) -> bool {
        self.renderer.tick()
    }

    fn stop(&mut self, stop: Stop) {
        self.renderer.stop(stop);
    }

    fn finish(&mut self) {
        self.renderer.finish();
    }
}

/// The view of all builds.
struct Live {
    renderer: Box<dyn Renderer>,
    /// The steps of each build, by their first number.
    plans: BTreeMap<usize, Vec<StepInfo>>,
    /// Builds that have not ended.
    shown: usize,
    stop: Option<Stop>,
}

/// Shows a build in the view of all.
struct LivePart {
    target: String,
    first: usize,
    live: Arc<Mutex<Live>>,
}

fn lock(live: &Mutex<Live>) -> MutexGuard<'_, Live> {
    live.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Renderer for LivePart {
    fn handle(&mut self, event: &Event) {
        let mut event = renamed(event, &self.target, self.first, true);
        let mut live = lock(&self.live);
        if let EventKind::Planned { steps } = &mut event.kind {
            live.plans.insert(self.first, std::mem::take(steps));
            *steps = live.plans.values().flatten().cloned().collect();
        }
        live.renderer.handle(&event);
    }

    fn tick(&mut self) -> bool {
        lock(&self.live).renderer.tick()
    }

    fn stop(&mut self, stop: Stop) {
        let mut live = lock(&self.live);
        // each build hears of it
        if live.stop != Some(stop) {
            live.stop = Some(stop);
            live.renderer.stop(stop);
        }
    }

    fn finish(&mut self) {
        let mut live = lock(&self.live);
        live.shown -= 1;
        if live.shown == 0 {
            live.renderer.finish();
        }
    }
}

/// The event with the target's name, and with steps that are numbered from `first`.
fn renamed(event: &Event, target: &str, first: usize, names_sources: bool) -> Event {
    let mut event = event.clone();
    match &mut event.kind {
        EventKind::Planned { steps } => {
            for info in steps {
                info.step += first;
                info.needs.iter_mut().for_each(|need| *need += first);
                info.stage.insert_str(0, &format!("{target} "));
            }
        }
        EventKind::Started { step, .. }
        | EventKind::Log { step, .. }
        | EventKind::Finished { step, .. }
        | EventKind::Committed { step, .. }
        | EventKind::Failed { step, .. } => *step += first,
        EventKind::StageKept { stage, .. } => stage.insert_str(0, &format!("{target} ")),
        EventKind::Source { title, .. } if names_sources => {
            title.insert_str(0, &format!("{target} "));
        }
        _ => {}
    }
    event
}
