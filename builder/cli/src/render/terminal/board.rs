//! What a live view has to show: stages with their steps, running commands with their last lines, bytes on their way. Unaware of how it is
//! drawn.

use super::bar::Bar;
use crate::render::steps::Steps;
use crate::render::transfers::{Transfer, Way};
use crate::units;
use kiln_engine::event::Outcome;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

/// Lines that are kept of what a command prints; more are never shown.
const KEPT: usize = 60;

/// How a step ended.
#[derive(Debug, Clone, Copy)]
pub enum Ended {
    /// Its result was known.
    Cached,
    /// It was executed, in so many microseconds.
    Ran(u64),
}

/// A step that is executed, or whose layer is written.
#[derive(Debug)]
pub struct Running {
    /// When its command began.
    pub since: Instant,
    /// The last lines that it printed.
    pub lines: VecDeque<String>,
    /// How long the command took, when it has ended.
    pub took_us: Option<u64>,
}

/// Blobs that go between a registry and this machine.
#[derive(Debug)]
pub struct Traffic {
    begun: Instant,
    ended: Option<Instant>,
    /// Bytes that are there and bytes in all, by blob.
    pub blobs: BTreeMap<String, (u64, u64)>,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Board {
    /// Names of stages, in the order of the Dockerfile.
    pub stages: Vec<String>,
    /// The steps of each stage.
    steps: BTreeMap<String, Vec<usize>>,
    pub ended: BTreeMap<usize, Ended>,
    pub running: BTreeMap<usize, Running>,
    pub bars: BTreeMap<(Way, String), Bar>,
    pub traffic: BTreeMap<(Way, String), Traffic>,
    /// Stages of which the end is told.
    told: BTreeSet<String>,
}

impl Board {
    /// Takes the steps of a plan. Another attempt of a build has another plan; what was told is not told again. Where several are built,
    /// the plan of one more leaves the others as they are.
    pub fn plan(&mut self, steps: &Steps) {
        let (told, bars) = (
            std::mem::take(&mut self.told),
            std::mem::take(&mut self.bars),
        );
        let traffic = std::mem::take(&mut self.traffic);
        let (ended, running) = self.kept(steps);
        *self = Board {
            told,
            bars,
            traffic,
            ended,
            running,
            ..Board::default()
        };
        for info in steps.all() {
            if !self.stages.contains(&info.stage) {
                self.stages.push(info.stage.clone());
            }
            let of_stage = self.steps.entry(info.stage.clone()).or_default();
            of_stage.push(info.step);
        }
    }

    /// What stays of what is known of steps: all where the plan has them still, and more.
    fn kept(&mut self, steps: &Steps) -> (BTreeMap<usize, Ended>, BTreeMap<usize, Running>) {
        let mut known = self.steps.values().flatten();
        let is_more = steps.all().count() > known.clone().count();
        match is_more && known.all(|step| steps.info(*step).is_some()) {
            true => (
                std::mem::take(&mut self.ended),
                std::mem::take(&mut self.running),
            ),
            false => (BTreeMap::new(), BTreeMap::new()),
        }
    }

    /// A step begins.
    pub fn start(&mut self, step: usize) {
        let running = Running {
            since: Instant::now(),
            lines: VecDeque::new(),
            took_us: None,
        };
        self.running.insert(step, running);
    }

    /// A line that a step printed.
    pub fn print(&mut self, step: usize, line: String) {
        if let Some(running) = self.running.get_mut(&step) {
            running.lines.push_back(line);
            if running.lines.len() > KEPT {
                running.lines.pop_front();
            }
        }
    }

    /// A step's command has ended; the layer of one that was executed is still written.
    pub fn finish(&mut self, step: usize, outcome: Outcome, took_us: u64) {
        match self.running.get_mut(&step) {
            Some(running) if outcome != Outcome::Cached => running.took_us = Some(took_us),
            _ => {
                self.running.remove(&step);
                self.ended.insert(step, Ended::Cached);
            }
        }
    }

    /// A step's layer is written.
    pub fn commit(&mut self, step: usize) {
        let running = self.running.remove(&step);
        let took_us = running.and_then(|running| running.took_us).unwrap_or(0);
        self.ended.insert(step, Ended::Ran(took_us));
    }

    /// A step failed: its stage, and how long it took.
    pub fn fail(&mut self, step: usize, stage: &str) -> u64 {
        self.told.insert(stage.to_owned());
        let running = self.running.remove(&step);
        let took = running.map(|running| running.since.elapsed().as_micros());
        took.and_then(|took| u64::try_from(took).ok()).unwrap_or(0)
    }

    /// Steps of a stage that have ended.
    pub fn ended_of<'a>(&'a self, stage: &str) -> impl Iterator<Item = (usize, Ended)> + 'a {
        let steps = self.steps.get(stage).map_or(&[][..], Vec::as_slice);
        let ended = steps.iter().map(|step| (*step, self.ended.get(step)));
        ended.filter_map(|(step, ended)| Some((step, *ended?)))
    }

    /// Stages of which something is done and not all is told.
    pub fn open(&self) -> impl Iterator<Item = &String> {
        let is_open = |stage: &&String| !self.told.contains(*stage);
        self.stages.iter().filter(is_open)
    }

    /// Stages that have ended since the last time.
    pub fn closed(&mut self) -> Vec<String> {
        let is_done = |stage: &&String| self.ended_of(stage).count() == self.size(stage);
        let closed: Vec<String> = self.open().filter(is_done).cloned().collect();
        self.told.extend(closed.iter().cloned());
        closed
    }

    /// How many steps a stage has.
    pub fn size(&self, stage: &str) -> usize {
        self.steps.get(stage).map_or(0, Vec::len)
    }

    /// Steps in all.
    pub fn total(&self) -> usize {
        self.steps.values().map(Vec::len).sum()
    }

    /// Some bytes more.
    pub fn transfer(&mut self, transfer: &Transfer<'_>) {
        let key = (transfer.way, transfer.what.to_owned());
        if transfer.ended {
            self.bars.remove(&key);
        } else {
            let bar = self.bars.entry(key).or_insert_with(|| Bar::new(transfer));
            bar.at(transfer.done);
        }
        let Some(place) = transfer.repository else {
            return;
        };
        let key = (transfer.way, place.to_owned());
        let traffic = self.traffic.entry(key).or_insert_with(Traffic::new);
        traffic.note(transfer);
    }

    /// What went between registries and this machine, a line each; forgotten with that.
    pub fn take_traffic(&mut self) -> Vec<(&'static str, String)> {
        let ended = std::mem::take(&mut self.traffic).into_iter();
        let ended = ended.filter(|(_, traffic)| traffic.ended.is_some());
        ended
            .map(|((way, place), traffic)| (way.done(), format!("{place}  {}", traffic.summary())))
            .collect()
    }
}

impl Traffic {
    fn new() -> Self {
        Traffic {
            begun: Instant::now(),
            ended: None,
            blobs: BTreeMap::new(),
        }
    }

    fn note(&mut self, transfer: &Transfer<'_>) {
        if transfer.ended {
            self.ended = Some(Instant::now());
        }
        let done = [transfer.done, transfer.total][usize::from(transfer.ended)];
        let blob = transfer.what.to_owned();
        self.blobs.insert(blob, (done, transfer.total));
    }

    /// `6 blobs, 118MB in 4.20s`, of those that are there.
    fn summary(&self) -> String {
        let whole = self.blobs.values().filter(|(done, total)| done == total);
        let (count, bytes) = whole.fold((0, 0), |(count, bytes), (_, total)| {
            (count + 1, bytes + total)
        });
        let took = self
            .ended
            .map_or(0, |ended| (ended - self.begun).as_micros());
        let took = units::duration(u64::try_from(took).unwrap_or(u64::MAX));
        let blobs = units::counted(count, "blob");
        format!("{blobs}, {} in {took}", units::bytes(bytes))
    }
}
