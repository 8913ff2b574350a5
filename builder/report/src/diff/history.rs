//! The steps of two images compared, as `diff` compares lines. Unaware of layers.

use crate::history::Step;

/// A step that only one image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepChange {
    /// The first image has it, at this position.
    Removed(usize),
    /// The second image has it, at this position.
    Added(usize),
}

/// More comparisons than this are not worth it: what is left then counts as changed.
const MOST: usize = 4_000_000;

/// What differs, in the order of the steps.
#[must_use]
pub fn history(old: &[Step], new: &[Step]) -> Vec<StepChange> {
    let is_same = |(old, new): &(&Step, &Step)| old.created_by == new.created_by;
    let head = old.iter().zip(new).take_while(is_same).count();
    let rest = old[head..].iter().rev().zip(new[head..].iter().rev());
    let tail = rest.take_while(is_same).count();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let (olds, news) = (&old[head..old_end], &new[head..new_end]);
    let mut changes = Vec::new();
    let (mut from, mut to) = (head, head);
    for (old, new) in common(olds, news) {
        changes.extend((from..head + old).map(StepChange::Removed));
        changes.extend((to..head + new).map(StepChange::Added));
        (from, to) = (head + old + 1, head + new + 1);
    }
    changes.extend((from..old_end).map(StepChange::Removed));
    changes.extend((to..new_end).map(StepChange::Added));
    changes
}

/// The positions of a longest common subsequence.
fn common(old: &[Step], new: &[Step]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    if old.len().saturating_mul(width) > MOST {
        return Vec::new();
    }
    let same = |a: usize, b: usize| old[a].created_by == new[b].created_by;
    let lengths = lengths(old.len(), new.len(), same);
    let (mut a, mut b, mut pairs) = (0, 0, Vec::new());
    while a < old.len() && b < new.len() {
        if same(a, b) {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if lengths[(a + 1) * width + b] >= lengths[a * width + b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}

/// How long the subsequence is from each pair of positions on, row by row.
fn lengths(old: usize, new: usize, same: impl Fn(usize, usize) -> bool) -> Vec<u32> {
    let width = new + 1;
    let mut lengths = vec![0_u32; (old + 1) * width];
    for a in (0..old).rev() {
        for b in (0..new).rev() {
            lengths[a * width + b] = match same(a, b) {
                true => lengths[(a + 1) * width + b + 1] + 1,
                false => lengths[(a + 1) * width + b].max(lengths[a * width + b + 1]),
            };
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::StepChange::{Added, Removed};
    use super::*;

    fn steps(text: &str) -> Vec<Step> {
        let step = |word: &str| Step {
            created: None,
            created_by: word.to_owned(),
            comment: String::new(),
            origin: None,
            layer: None,
            position: None,
            bytes: 0,
        };
        text.split_whitespace().map(step).collect()
    }

    #[test]
    fn what_only_one_has() {
        for (old, new, wanted) in [
            ("a b c", "a b c", vec![]),
            ("a b c", "a c", vec![Removed(1)]),
            ("a c", "a b c d", vec![Added(1), Added(3)]),
            (
                "a b c d e",
                "a x c y e",
                vec![Removed(1), Added(1), Removed(3), Added(3)],
            ),
            ("", "a", vec![Added(0)]),
            ("a a", "a", vec![Removed(1)]),
        ] {
            assert_eq!(history(&steps(old), &steps(new)), wanted, "{old} / {new}");
        }
    }
}
