//! What a remembered build took: the time and the resources of each step, how that compares with earlier builds, and which steps decided how
//! long the whole took. Unaware of how it is shown.

pub mod cells;
pub mod timeline;

use kiln_cache::{PastBuild, PastStep, StepEnding, UsedByStep};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Earlier runs of a step that count.
const RUNS: usize = 20;

/// A build and its steps.
#[derive(Debug, Clone, Serialize)]
pub struct Stats {
    /// The build's ID.
    pub build: String,
    /// When it began, in microseconds since 1970.
    pub began_us: i64,
    /// The build.
    #[serde(flatten)]
    pub past: PastBuild,
    /// Its steps, in the order of the Dockerfile.
    pub step_stats: Vec<StepStats>,
    /// Microseconds of the steps on the critical path: the build could not have been faster, however many steps run at once.
    pub critical_us: u64,
}

/// A step.
#[derive(Debug, Clone, Serialize)]
pub struct StepStats {
    /// What became of it. The time of one that was cached is that of the run in which it was made, if that is known.
    #[serde(flatten)]
    pub past: PastStep,
    /// Whether it is on the critical path.
    pub is_critical: bool,
    /// Microseconds that it took in earlier builds of the same project in which it ran, the latest first.
    pub earlier_us: Vec<u64>,
}

/// An earlier build of the same project.
#[derive(Debug, Clone)]
pub struct Earlier {
    /// Its steps.
    pub steps: Vec<PastStep>,
}

impl StepStats {
    /// Whether its command, or its copy, was carried out in this build.
    #[must_use]
    pub fn ran(&self) -> bool {
        ran(&self.past)
    }

    /// The middle of its earlier times.
    #[must_use]
    pub fn usual_us(&self) -> Option<u64> {
        median(&self.earlier_us)
    }

    /// By how much of a hundred it took longer than usual.
    #[must_use]
    pub fn trend(&self) -> Option<f64> {
        let (took, usual) = (self.past.took_us?, self.usual_us()?);
        #[allow(clippy::cast_precision_loss)] // one digit is shown
        let share = took as f64 / usual.max(1) as f64;
        self.ran().then_some((share - 1.0) * 100.0)
    }
}

/// The figures of a build; `earlier` are the builds of its project before it, the latest first.
#[must_use]
pub fn stats(build: &PastBuild, steps: &[PastStep], earlier: &[Earlier]) -> Stats {
    let (critical, critical_us) = critical_path(steps);
    let step_stats = named(steps).map(|(name, step)| StepStats {
        past: step.clone(),
        is_critical: critical.contains(&step.step),
        earlier_us: times(&name, earlier),
    });
    Stats {
        build: build.id.clone(),
        began_us: build.began_us,
        step_stats: step_stats.collect(),
        past: build.clone(),
        critical_us,
    }
}

/// A step's stage, its instruction, and how many equal ones are before it: what it is called in another build of the project, where lines
/// may have moved.
type Name<'a> = (&'a str, &'a str, usize);

fn named(steps: &[PastStep]) -> impl Iterator<Item = (Name<'_>, &PastStep)> {
    let mut seen = BTreeMap::new();
    steps.iter().map(move |step| {
        let count: &mut usize = seen.entry((&step.stage, &step.title)).or_default();
        let name = (step.stage.as_str(), step.title.as_str(), *count);
        *count += 1;
        (name, step)
    })
}

/// What a step took where it ran.
fn times(name: &Name<'_>, earlier: &[Earlier]) -> Vec<u64> {
    let found = |build: &Earlier| {
        let (_, step) = named(&build.steps).find(|(other, _)| other == name)?;
        step.took_us.filter(|_| ran(step))
    };
    earlier.iter().filter_map(found).take(RUNS).collect()
}

fn ran(step: &PastStep) -> bool {
    matches!(step.outcome, Some(StepEnding::Ran | StepEnding::Unchanged))
}

/// What a step took in the builds of its project in which it ran: the middle.
#[must_use]
pub fn usual_us(step: &PastStep, builds: &[Earlier]) -> Option<u64> {
    median(&times(&(&step.stage, &step.title, 0), builds))
}

/// The longest chain of steps of which each needs the one before, and what it took. What came from the cache took nothing.
#[must_use]
pub fn critical_path(steps: &[PastStep]) -> (BTreeSet<usize>, u64) {
    // when each ends at the earliest, and what it waits for until then; steps need earlier ones only
    let mut ends: BTreeMap<usize, (u64, Option<usize>)> = BTreeMap::new();
    for step in steps {
        let needed = step.needs.iter();
        let needed = needed.filter_map(|need| Some((ends.get(need)?.0, *need)));
        let awaited = needed.max();
        let own = step.took_us.filter(|_| is_executed(step)).unwrap_or(0);
        let end = awaited.map_or(0, |(end, _)| end) + own;
        ends.insert(step.step, (end, awaited.map(|(_, need)| need)));
    }
    let last = ends.iter().max_by_key(|(_, (end, _))| *end);
    let Some((last, (took, _))) = last.filter(|(_, (end, _))| *end > 0) else {
        return (BTreeSet::new(), 0);
    };
    let chain = std::iter::successors(Some(*last), |step| ends.get(step)?.1);
    let chain: BTreeSet<usize> = chain.collect();
    let executed = steps.iter().filter(|step| is_executed(step));
    let executed = executed.map(|step| step.step);
    (
        executed.filter(|step| chain.contains(step)).collect(),
        *took,
    )
}

fn is_executed(step: &PastStep) -> bool {
    step.began_us.is_some()
}

fn median(times: &[u64]) -> Option<u64> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted.get(middle).copied(),
        _ => Some(
            sorted
                .get(middle.checked_sub(1)?)?
                .midpoint(*sorted.get(middle)?),
        ),
    }
}

/// What a step of a project took over several builds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Its stage.
    pub stage: String,
    /// The instruction.
    pub title: String,
    /// Builds that had it, those in which it ran, and those in which it was cached.
    pub builds: usize,
    /// See `builds`.
    pub ran: usize,
    /// See `builds`.
    pub cached: usize,
    /// Microseconds, in the middle of all runs.
    pub took_us: Option<u64>,
    /// Those of the slowest run.
    pub slowest_us: Option<u64>,
    /// The most that a run used.
    pub most: UsedByStep,
}

/// The steps of the latest of these builds, over all of them.
#[must_use]
pub fn summaries(builds: &[Earlier]) -> Vec<Summary> {
    let latest = builds.first().map_or(&[][..], |build| &build.steps);
    named(latest)
        .map(|(name, _)| summary(&name, builds))
        .collect()
}

fn summary(name: &Name<'_>, builds: &[Earlier]) -> Summary {
    let found = |build| named_in(build, name);
    let steps: Vec<&PastStep> = builds.iter().filter_map(found).collect();
    let runs: Vec<&PastStep> = steps.iter().filter(|step| ran(step)).copied().collect();
    let times: Vec<u64> = runs.iter().filter_map(|step| step.took_us).collect();
    let most =
        |of: fn(&UsedByStep) -> Option<u64>| runs.iter().filter_map(|step| of(&step.used)).max();
    let is_cached = |step: &&&PastStep| step.outcome == Some(StepEnding::Cached);
    Summary {
        stage: name.0.to_owned(),
        title: name.1.to_owned(),
        builds: steps.len(),
        ran: runs.len(),
        cached: steps.iter().filter(is_cached).count(),
        took_us: median(&times),
        slowest_us: times.iter().max().copied(),
        most: UsedByStep {
            cpu_us: most(|used| used.cpu_us),
            memory: most(|used| used.memory),
            written: most(|used| used.written),
        },
    }
}

fn named_in<'a>(build: &'a Earlier, name: &Name<'_>) -> Option<&'a PastStep> {
    let (_, step) = named(&build.steps).find(|(other, _)| other == name)?;
    Some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: usize, needs: &[usize], outcome: StepEnding, took_us: u64) -> PastStep {
        PastStep {
            step: number,
            stage: "app".to_owned(),
            title: format!("RUN {number}"),
            outcome: Some(outcome),
            began_us: (outcome != StepEnding::Cached).then_some(0),
            took_us: Some(took_us),
            needs: needs.to_vec(),
            ..PastStep::default()
        }
    }

    #[test]
    fn the_critical_path_is_the_longest_chain_of_what_ran() {
        use StepEnding::{Cached, Failed, Ran};
        let steps = [
            step(1, &[], Cached, 1000),
            step(2, &[1], Ran, 5),
            step(3, &[1], Ran, 7),
            step(4, &[2], Ran, 4),
            step(6, &[3, 4], Failed, 1),
            step(7, &[], Ran, 3),
        ];
        let (path, took) = critical_path(&steps);
        assert_eq!((path, took), (BTreeSet::from([2, 4, 6]), 10));
        assert_eq!(critical_path(&steps[..1]), (BTreeSet::new(), 0));
        assert_eq!(critical_path(&[]), (BTreeSet::new(), 0));
    }

    #[test]
    fn earlier_times_are_those_of_the_same_step_where_it_ran() {
        use StepEnding::{Cached, Ran, Unchanged};
        let earlier = |steps: &[PastStep]| Earlier {
            steps: steps.to_vec(),
        };
        let all = [
            // its line and its number are others
            earlier(&[
                step(9, &[], Ran, 1),
                PastStep {
                    title: "RUN 1".to_owned(),
                    ..step(3, &[], Ran, 40)
                },
            ]),
            earlier(&[step(1, &[], Cached, 10)]),
            earlier(&[step(1, &[], Unchanged, 20)]),
            earlier(&[]),
        ];
        let now = [step(1, &[], Ran, 45), step(2, &[], Ran, 1)];
        let stats = stats(&PastBuild::default(), &now, &all);
        let [first, second] = &stats.step_stats[..] else {
            panic!("{stats:?}");
        };
        assert_eq!(first.earlier_us, [40, 20]);
        assert_eq!((first.usual_us(), first.trend()), (Some(30), Some(50.0)));
        assert_eq!((second.usual_us(), second.trend()), (None, None));
        let summaries = summaries(&all[1..]);
        assert_eq!(summaries.len(), 1);
        let of = &summaries[0];
        assert_eq!(
            (of.builds, of.ran, of.cached, of.took_us),
            (2, 1, 1, Some(20))
        );
    }
}
