//! A plan as lines: the build in a few sentences, then each stage with its steps, and below those that run why. Unaware of how it was made.

use super::{Planned, PlannedStep, word};
use crate::printable::printable;
use crate::render::clip;
use crate::units;
use kiln_engine::forecast::Verdict;

/// Characters of an instruction that are shown.
const TITLE: usize = 80;

/// The lines.
pub(super) fn text(planned: &Planned) -> String {
    let mut lines = vec![summary(planned)];
    lines.extend(times(planned));
    lines.extend(fetched(planned));
    for stage in &planned.stages {
        lines.push(format!("{} (FROM {})", stage.name, stage.from));
        let steps = planned.steps.iter();
        let own = steps.filter(|step| step.step.info.stage == stage.name);
        lines.extend(branches(&own.collect::<Vec<_>>()));
    }
    let lines = lines.iter();
    lines
        .map(|line| printable(line.trim_end(), false) + "\n")
        .collect()
}

/// The steps of a stage.
fn branches(steps: &[&PlannedStep]) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let (branch, beside) = match at + 1 == steps.len() {
            true => ("└─", "  "),
            false => ("├─", "│ "),
        };
        lines.push(format!("{branch} {}", line(step)));
        let why = why(step).into_iter();
        lines.extend(why.map(|why| format!("{beside}      {why}")));
    }
    lines
}

fn summary(planned: &Planned) -> String {
    let count = |verdict: Verdict| {
        let steps = planned.steps.iter();
        steps.filter(|step| step.step.verdict == verdict).count()
    };
    let (hit, runs, depends) = (
        count(Verdict::Hit),
        count(Verdict::Runs),
        count(Verdict::Depends),
    );
    let steps = units::counted(planned.steps.len(), "step");
    format!("{steps}: {hit} hit, {runs} run, {depends} depend on others")
}

/// How long it takes, as far as that is known.
fn times(planned: &Planned) -> Option<String> {
    if planned.expected_us == 0 {
        return None;
    }
    let is_unknown =
        |step: &&PlannedStep| step.step.verdict != Verdict::Hit && step.expected_us.is_none();
    let unknown = planned.steps.iter().filter(is_unknown).count();
    let besides = match unknown {
        0 => String::new(),
        count => format!(
            ", and {} of which no time is known",
            units::counted(count, "step")
        ),
    };
    let critical = units::duration(planned.critical_us);
    let all = units::duration(planned.expected_us);
    Some(format!(
        "expected: {critical} (critical path *), {all} of work, if all run that may{besides}"
    ))
}

/// What is fetched, by image.
fn fetched(planned: &Planned) -> Option<String> {
    let images = planned.images.iter().filter(|image| image.fetch > 0);
    let mut parts: Vec<String> = images
        .map(|image| format!("{} of {}", units::bytes(image.fetch), image.reference))
        .collect();
    if parts.is_empty() {
        parts.extend((planned.fetch > 0).then(|| "results from shared caches".to_owned()));
    }
    let all = units::bytes(planned.fetch);
    (planned.fetch > 0).then(|| format!("to fetch: {all} ({})", parts.join(", ")))
}

fn line(step: &PlannedStep) -> String {
    let info = &step.step.info;
    let place = format!("{}/{}", info.number, info.of);
    let mark = if step.is_critical { " *" } else { "" };
    let took = step.expected_us.map(units::duration);
    let took = took.map_or_else(String::new, |took| format!("  {took}{mark}"));
    let title = clip(&info.title, TITLE);
    format!("{place} {:<7} {title}{took}", word(step.step.verdict))
}

/// What stands below a step.
fn why(step: &PlannedStep) -> Vec<String> {
    let from = step.step.from.iter().map(|cache| format!("from {cache}"));
    let awaits = step.step.awaits.iter().map(|what| format!("on {what}"));
    from.chain(awaits)
        .chain(step.because.iter().cloned())
        .collect()
}
