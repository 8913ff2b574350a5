//! Why a variant weighs what it does: where there is a baseline, the folders that grew most; else the steps whose bytes are of no use.
//! Unaware of how causes are shown.

use super::{Comparison, StepWeight, Variant};
use crate::classify::Class;
use crate::units::bytes;
use std::cmp::Reverse;

/// One cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The variant.
    pub variant: String,
    /// Bytes that are there because of it.
    pub bytes: u64,
    /// What it is.
    pub what: String,
}

impl Cause {
    /// One sentence.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}: {} {}", self.variant, bytes(self.bytes), self.what)
    }
}

/// The `count` largest causes of all variants, the largest first.
#[must_use]
pub fn largest(comparison: &Comparison, count: usize) -> Vec<Cause> {
    let of = |variant| match &comparison.baseline {
        Some(baseline) => grown(variant, baseline),
        None => wasted(variant),
    };
    let mut causes: Vec<Cause> = comparison.variants.iter().flat_map(of).collect();
    causes.sort_by_key(|cause| {
        (
            Reverse(cause.bytes),
            cause.variant.clone(),
            cause.what.clone(),
        )
    });
    causes.truncate(count);
    causes
}

/// Folders that have more than those of the baseline, and steps with more waste.
fn grown(variant: &Variant, baseline: &Variant) -> Vec<Cause> {
    let folders = variant.folders.iter().map(|(folder, now)| {
        let before = baseline.folders.get(folder).copied().unwrap_or_default();
        (now.saturating_sub(before), format!("more in /{folder}"))
    });
    let known = |step: &StepWeight, class: Class| {
        let same = baseline
            .steps
            .iter()
            .filter(|other| other.text == step.text);
        same.map(|step| step.bytes(class)).max().unwrap_or_default()
    };
    let waste = each_waste(variant).map(|(step, class)| {
        let more = step.bytes(class).saturating_sub(known(step, class));
        (more, format!("more that {}", fate(step, class)))
    });
    caused(variant, folders.chain(waste))
}

fn wasted(variant: &Variant) -> Vec<Cause> {
    let waste = each_waste(variant).map(|(step, class)| (step.bytes(class), fate(step, class)));
    caused(variant, waste)
}

fn each_waste(variant: &Variant) -> impl Iterator<Item = (&StepWeight, Class)> {
    let classes = || Class::ALL.into_iter().filter(|class| class.is_waste());
    variant
        .steps
        .iter()
        .flat_map(move |step| classes().map(move |class| (step, class)))
}

fn caused(variant: &Variant, found: impl Iterator<Item = (u64, String)>) -> Vec<Cause> {
    let cause = |(bytes, what)| Cause {
        variant: variant.name.clone(),
        bytes,
        what,
    };
    found.filter(|(bytes, _)| *bytes > 0).map(cause).collect()
}

/// What became of the bytes of a step.
fn fate(step: &StepWeight, class: Class) -> String {
    let what = match class {
        Class::Duplicate => "are in the image twice",
        Class::Overwritten => "a later step overwrites",
        Class::Rewritten => "a later step only gives another owner, mode or time",
        _ => "a later step deletes",
    };
    format!("{what}, from {}", step.name())
}

impl StepWeight {
    /// Bytes of a class.
    #[must_use]
    pub fn bytes(&self, class: Class) -> u64 {
        self.classes.get(class.name()).copied().unwrap_or_default()
    }

    /// The step in a sentence: `line 7: RUN make`, cut to what a line holds.
    #[must_use]
    pub fn name(&self) -> String {
        const WIDTH: usize = 60;
        let mut text: String = self.text.chars().take(WIDTH).collect();
        if text.len() < self.text.len() {
            text.push('…');
        }
        match self.line {
            Some(line) => format!("line {line}: {text}"),
            None if text.is_empty() => "an unknown step".to_owned(),
            None => text,
        }
    }
}
