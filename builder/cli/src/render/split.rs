//! `--logsplit`: what steps do goes to the log of each platform that they are for, everything else to the common log. Unaware of how
//! either is written.

use super::{Renderer, Stop};
use kiln_engine::event::{Event, EventKind, StepInfo};
use std::collections::BTreeMap;

/// The common log, and that of each platform by the platform's name.
pub struct Split {
    common: Box<dyn Renderer>,
    parts: BTreeMap<String, Box<dyn Renderer>>,
    /// What each step is for; nothing means all.
    platforms: BTreeMap<usize, Vec<String>>,
}

impl Split {
    /// Of renderers that write to files of their own.
    pub fn new(common: Box<dyn Renderer>, parts: BTreeMap<String, Box<dyn Renderer>>) -> Self {
        Split {
            common,
            parts,
            platforms: BTreeMap::new(),
        }
    }

    /// Each part hears of its own steps only.
    fn planned(&mut self, event: &Event, steps: &[StepInfo]) {
        let of = |step: &StepInfo| (step.step, step.platforms.clone());
        self.platforms = steps.iter().map(of).collect();
        for (platform, part) in &mut self.parts {
            let own = |step: &&StepInfo| is_for(&step.platforms, platform);
            let steps = steps.iter().filter(own).cloned().collect();
            part.handle(&Event {
                kind: EventKind::Planned { steps },
                ..event.clone()
            });
        }
    }

    fn of_step(&mut self, event: &Event, step: usize) {
        self.common.note(event);
        let platforms = self.platforms.get(&step).map_or(&[][..], Vec::as_slice);
        for (platform, part) in &mut self.parts {
            if is_for(platforms, platform) {
                part.handle(event);
            }
        }
    }
}

fn is_for(platforms: &[String], platform: &String) -> bool {
    platforms.is_empty() || platforms.contains(platform)
}

impl Renderer for Split {
    fn handle(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Planned { steps } => self.planned(event, steps),
            EventKind::Started { step, .. }
            | EventKind::Log { step, .. }
            | EventKind::Finished { step, .. }
            | EventKind::Committed { step, .. }
            | EventKind::Failed { step, .. } => self.of_step(event, *step),
            _ => self.common.handle(event),
        }
    }

    fn tick(&mut self) -> bool {
        let mut is_behind = self.common.tick();
        for part in self.parts.values_mut() {
            is_behind |= part.tick();
        }
        is_behind
    }

    fn stop(&mut self, stop: Stop) {
        self.common.stop(stop);
        self.parts.values_mut().for_each(|part| part.stop(stop));
    }

    fn finish(&mut self) {
        self.common.finish();
        self.parts.values_mut().for_each(|part| part.finish());
    }
}
