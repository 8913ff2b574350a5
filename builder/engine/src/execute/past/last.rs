//! The steps of the last build of a project, and of the ones before it where that one did not get to them: as if it had been one build. Unaware of
//! what is compared with them.

use super::align::align;
use kiln_cache::{PastStep, StepEnding};
use std::collections::{BTreeMap, BTreeSet};

/// Numbers of steps of one build are smaller.
const OFFSET: usize = 1 << 24;

/// Joins the steps of builds, the newest first. A stage is that of the newest build that had it; a step that was not reached there has the key
/// that it had before.
pub fn joined(builds: Vec<Vec<PastStep>>) -> Vec<PastStep> {
    let mut joined: Vec<PastStep> = Vec::new();
    for (number, steps) in builds.into_iter().enumerate() {
        let counterparts = align(&joined, &steps);
        resolve(&mut joined, &steps, &counterparts);
        let stages: BTreeSet<String> = joined.iter().map(|step| step.stage.clone()).collect();
        // what a step needs may be in a stage that a newer build had
        let renumbered = |step: &usize| step + number * OFFSET;
        let needed = |step: &usize| counterparts.get(step).copied().unwrap_or(renumbered(step));
        let new = steps
            .into_iter()
            .filter(|step| !stages.contains(&step.stage));
        joined.extend(new.map(|step| PastStep {
            step: renumbered(&step.step),
            needs: step.needs.iter().map(needed).collect(),
            ..step
        }));
    }
    joined
}

/// Steps of which it is not known how they ended are taken to be as they were before.
fn resolve(steps: &mut [PastStep], before: &[PastStep], counterparts: &BTreeMap<usize, usize>) {
    for (older, newer) in counterparts {
        let older = before.iter().find(|step| step.step == *older);
        let newer = steps.iter_mut().find(|step| step.step == *newer);
        if let Some((older, newer)) = older.zip(newer.filter(|step| !is_resolved(step))) {
            (newer.key, newer.outcome) = (older.key, older.outcome);
        }
    }
}

/// Whether it is known how it ended.
fn is_resolved(step: &PastStep) -> bool {
    step.key.is_some() || step.outcome == Some(StepEnding::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_oci::Digest;

    fn step(number: usize, title: &str, key: Option<&str>, needs: &[usize]) -> PastStep {
        let (stage, title) = title.split_once(' ').unwrap();
        PastStep {
            step: number,
            stage: stage.to_owned(),
            title: title.to_owned(),
            key: key.map(|key| Digest::of(key.as_bytes())),
            needs: needs.to_vec(),
            ..PastStep::default()
        }
    }

    #[test]
    fn what_the_last_build_did_not_reach_is_that_of_the_one_before() {
        let last = vec![
            step(1, "a COPY x /", Some("new"), &[]),
            PastStep {
                outcome: Some(StepEnding::Failed),
                ..step(2, "a RUN exit 1", None, &[1])
            },
            step(3, "a RUN last", None, &[2]),
        ];
        let before = vec![
            step(1, "a COPY x /", Some("old"), &[]),
            step(2, "a RUN exit 0", Some("ran"), &[1]),
            step(4, "a RUN last", Some("old last"), &[2]),
            step(5, "b COPY --from=a / /", Some("copied"), &[4]),
        ];
        let joined = joined(vec![last.clone(), before]);
        assert_eq!(joined[..2], last[..2]);
        assert_eq!(joined[2], step(3, "a RUN last", Some("old last"), &[2]));
        let other = step(5 + OFFSET, "b COPY --from=a / /", Some("copied"), &[3]);
        assert_eq!(joined[3..], [other]);
    }
}
