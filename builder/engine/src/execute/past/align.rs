//! Which step of one build is which step of another one: the same instruction in the same stage, wherever its line is now, else one of the same
//! kind in its place. Unaware of what steps are made of.

use kiln_cache::PastStep;
use std::collections::{BTreeMap, BTreeSet};

/// Beyond so many comparisons only equal beginnings and ends are looked for.
const MOST: usize = 1 << 22;
/// What a title ends with that was cut.
pub const CUT: char = '…';

/// For each new step that has a counterpart, by their numbers: the old one.
pub fn align(old: &[PastStep], new: &[PastStep]) -> BTreeMap<usize, usize> {
    let mut pairs = BTreeMap::new();
    for (old, new) in stages(old, new) {
        align_stage(&old, &new, &mut pairs);
    }
    pairs
}

/// The steps of stages with the same name, then those of the others, in their order.
fn stages<'a>(
    old: &'a [PastStep],
    new: &'a [PastStep],
) -> Vec<(Vec<&'a PastStep>, Vec<&'a PastStep>)> {
    let (old_names, new_names) = (names(old), names(new));
    let is_in = |names: &[&str], name: &&str| names.contains(name);
    let renamed = old_names.iter().filter(|name| !is_in(&new_names, name));
    let mut renamed = renamed.copied();
    let of = |steps: &'a [PastStep], name: &str| {
        let own = steps.iter().filter(|step| step.stage == name);
        own.collect::<Vec<_>>()
    };
    let pair = |name: &&str| {
        let before = match is_in(&old_names, name) {
            true => name,
            false => renamed.next()?,
        };
        Some((of(old, before), of(new, name)))
    };
    new_names.iter().filter_map(pair).collect()
}

fn names(steps: &[PastStep]) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let names = steps.iter().map(|step| step.stage.as_str());
    names.filter(|name| seen.insert(*name)).collect()
}

/// Equal instructions first, in their order and then wherever they are; between those in their order, the most alike of the others.
fn align_stage(old: &[&PastStep], new: &[&PastStep], pairs: &mut BTreeMap<usize, usize>) {
    let mut fixed = common(old, new, |old, new| is_same(&old.title, &new.title));
    let mut found: BTreeMap<usize, usize> = fixed.iter().map(|(old, new)| (*new, *old)).collect();
    add_moved(old, new, &mut found);
    let used: BTreeSet<usize> = found.values().copied().collect();
    fixed.push((old.len(), new.len()));
    let mut from = (0, 0);
    for (before, now) in fixed {
        let gone = (from.0..before).filter(|at| !used.contains(at));
        let come = (from.1..now).filter(|at| !found.contains_key(at));
        let (gone, come): (Vec<usize>, Vec<usize>) = (gone.collect(), come.collect());
        let likeness = |gone: &usize, come: &usize| likeness(old[*gone], new[*come]);
        let alike = heaviest(&gone, &come, likeness).into_iter();
        found.extend(alike.map(|(before, now)| (come[now], gone[before])));
        from = (before + 1, now + 1);
    }
    let numbers = |(now, before): (usize, usize)| (new[now].step, old[before].step);
    pairs.extend(found.into_iter().map(numbers));
}

/// Adds equal instructions that have changed places.
fn add_moved(old: &[&PastStep], new: &[&PastStep], found: &mut BTreeMap<usize, usize>) {
    let used: BTreeSet<usize> = found.values().copied().collect();
    let mut gone: Vec<usize> = (0..old.len()).filter(|at| !used.contains(at)).collect();
    for (now, step) in new.iter().enumerate() {
        if gone.is_empty() || found.contains_key(&now) {
            continue;
        }
        let is_it = |at: &usize| is_same(&old[*at].title, &step.title);
        if let Some(moved) = gone.iter().position(is_it) {
            found.insert(now, gone.remove(moved));
        }
    }
}

/// How much two instructions are alike, at most 1000; 0 for those of different kinds.
fn likeness(old: &PastStep, new: &PastStep) -> u32 {
    let (old, new) = (words(old), words(new));
    let kind = |words: &[&str]| words.first().map(|word| word.to_uppercase());
    if kind(&old) != kind(&new) {
        return 0;
    }
    let same = common(&old, &new, |old, new| old == new).len();
    u32::try_from(2000 * same / (old.len() + new.len()).max(1))
        .unwrap_or(1)
        .max(1)
}

fn words(step: &PastStep) -> Vec<&str> {
    step.title.split_whitespace().collect()
}

fn is_same(one: &str, other: &str) -> bool {
    let begins = |cut: &str, whole: &str| {
        let beginning = cut.strip_suffix(CUT);
        beginning.is_some_and(|beginning| whole.starts_with(beginning))
    };
    one == other || begins(one, other) || begins(other, one)
}

/// Positions of a longest common subsequence.
pub fn common<T>(old: &[T], new: &[T], is_same: impl Fn(&T, &T) -> bool) -> Vec<(usize, usize)> {
    let pairs = old.iter().zip(new);
    let start = pairs.take_while(|(old, new)| is_same(old, new)).count();
    let pairs = old[start..].iter().rev().zip(new[start..].iter().rev());
    let end = pairs.take_while(|(old, new)| is_same(old, new)).count();
    let (olds, news) = (old.len() - end, new.len() - end);
    let mut found: Vec<(usize, usize)> = (0..start).map(|at| (at, at)).collect();
    let weight = |old: &T, new: &T| u32::from(is_same(old, new));
    let middle = heaviest(&old[start..olds], &new[start..news], weight).into_iter();
    found.extend(middle.map(|(old, new)| (old + start, new + start)));
    found.extend((0..end).map(|at| (olds + at, news + at)));
    found
}

/// Pairs of positions in order that weigh the most together; what weighs nothing is no pair.
fn heaviest<T>(old: &[T], new: &[T], weight: impl Fn(&T, &T) -> u32) -> Vec<(usize, usize)> {
    if old.len().saturating_mul(new.len()) > MOST {
        return Vec::new();
    }
    let width = new.len() + 1;
    // what the pairs that begin at these positions weigh
    let mut heaviest = vec![0_u32; (old.len() + 1) * width];
    let mut weights = vec![0_u32; heaviest.len()];
    for at in (0..old.len()).rev() {
        for other in (0..new.len()).rev() {
            let here = at * width + other;
            weights[here] = weight(&old[at], &new[other]);
            let pair = heaviest[here + width + 1] + weights[here];
            heaviest[here] = heaviest[here + width].max(heaviest[here + 1]).max(pair);
        }
    }
    path(&heaviest, &weights, (old.len(), new.len()))
}

/// The pairs of which the weights are made.
fn path(heaviest: &[u32], weights: &[u32], (olds, news): (usize, usize)) -> Vec<(usize, usize)> {
    let (mut found, width) = (Vec::new(), news + 1);
    let (mut at, mut other) = (0, 0);
    while at < olds && other < news {
        let here = at * width + other;
        if weights[here] > 0 && heaviest[here] == heaviest[here + width + 1] + weights[here] {
            found.push((at, other));
            (at, other) = (at + 1, other + 1);
        } else if heaviest[here] == heaviest[here + width] {
            at += 1;
        } else {
            other += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of the form `stage INSTRUCTION`, numbered from `first`.
    fn steps(first: usize, texts: &[&str]) -> Vec<PastStep> {
        let step = |(at, text): (usize, &&str)| {
            let (stage, title) = text.split_once(' ').unwrap();
            PastStep {
                step: first + at,
                stage: stage.to_owned(),
                title: title.to_owned(),
                ..PastStep::default()
            }
        };
        texts.iter().enumerate().map(step).collect()
    }

    fn aligned(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
        let pairs = align(&steps(0, old), &steps(0, new));
        pairs.into_iter().collect()
    }

    #[test]
    fn steps_are_found_by_stage_and_text_wherever_they_are() {
        let old = ["a COPY x /", "a RUN one", "b RUN one", "b RUN two"];
        let all = |count: usize| (0..count).map(|at| (at, at)).collect::<Vec<_>>();
        assert_eq!(aligned(&old, &old), all(4));
        // one is new, one is gone
        let new = ["a COPY x /", "a WORKDIR /w", "a RUN one", "b RUN two"];
        assert_eq!(aligned(&old, &new), [(0, 0), (2, 1), (3, 3)]);
        // the one that is more alike
        let new = [
            "a COPY x /",
            "a RUN more",
            "a RUN two words now",
            "b RUN two",
        ];
        assert_eq!(
            aligned(&["a COPY x /", "a RUN two words"], &new[..3]),
            [(0, 0), (2, 1)]
        );
        // another text in the same place; another kind of instruction is another step
        let new = ["a COPY y /", "a RUN one", "b COPY one", "b RUN three"];
        assert_eq!(aligned(&old, &new), [(0, 0), (1, 1), (3, 3)]);
        // a stage has another name
        let new = ["c COPY x /", "c RUN one", "b RUN one", "b RUN two"];
        assert_eq!(aligned(&old, &new), all(4));
    }

    #[test]
    fn moved_and_cut_steps_are_found() {
        let old = ["a RUN one", "a RUN two", "a RUN three"];
        let new = ["a RUN three", "a RUN one", "a RUN two"];
        assert_eq!(aligned(&old, &new), [(0, 2), (1, 0), (2, 1)]);
        assert_eq!(
            aligned(&["a RUN lo…", "a RUN x"], &["a RUN x", "a RUN long"]).len(),
            2
        );
    }

    #[test]
    fn common_subsequences_are_the_longest() {
        let common = |old: &str, new: &str| {
            let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
            let pairs = common(&old, &new, |a, b| a == b);
            pairs.iter().map(|(at, _)| old[*at]).collect::<String>()
        };
        assert_eq!(common("abcbdab", "bdcaba").len(), 4);
        assert_eq!(common("abc", ""), "");
        assert_eq!(common("xaby", "xcby"), "xby");
    }
}
