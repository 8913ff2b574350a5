//! What a comparison says of each variant. To add a metric: a line in the table. Every text form has a row or a column for each.

use super::amount::Amount;
use super::{Comparison, Variant};
use crate::classify::Class;
use std::collections::BTreeSet;

/// One thing that is measured.
#[derive(Debug)]
pub struct Metric {
    /// Its name for machines.
    pub key: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it is for a variant, where that is known.
    pub of: fn(&Variant) -> Option<Amount>,
}

/// All metrics, in the order in which they are shown.
pub const METRICS: [Metric; 18] = [
    metric("uncompressed", "uncompressed", |variant| {
        Some(Amount::exact(variant.weight.uncompressed))
    }),
    metric("gzip", "gzip", |variant| {
        Some(Amount::Bytes(variant.weight.gzip))
    }),
    metric("zstd", "zstd", |variant| {
        Some(Amount::Bytes(variant.weight.zstd))
    }),
    metric("own", "own, without the base", |variant| {
        Some(Amount::exact(variant.weight.own))
    }),
    metric("layers", "layers", |variant| {
        Some(Amount::Count(variant.layers.len() as u64))
    }),
    metric("files", "files", |variant| {
        Some(Amount::Count(variant.files))
    }),
    metric("waste", "waste", |variant| {
        Some(Amount::exact(variant.waste()))
    }),
    metric("duplicate", "  duplicate", |variant| {
        class(variant, Class::Duplicate)
    }),
    metric("overwritten", "  overwritten", |variant| {
        class(variant, Class::Overwritten)
    }),
    metric("rewritten", "  rewritten, same content", |variant| {
        class(variant, Class::Rewritten)
    }),
    metric("deleted", "  deleted later", |variant| {
        class(variant, Class::Deleted)
    }),
    metric("headers", "headers", |variant| {
        class(variant, Class::Headers)
    }),
    metric("cold_seconds", "cold build", |variant| {
        variant.times.cold.map(Amount::Seconds)
    }),
    metric("unchanged_seconds", "unchanged rebuild", |variant| {
        variant.times.unchanged.map(Amount::Seconds)
    }),
    metric("touched_seconds", "rebuild after a change", |variant| {
        variant.times.touched.map(Amount::Seconds)
    }),
    metric("pull_with_base", "pull, base at hand", |variant| {
        variant.pulls.with_base.map(Amount::Bytes)
    }),
    metric("pull_touched", "pull after a change", |variant| {
        variant.pulls.touched.map(Amount::Bytes)
    }),
    metric("pull_with_baseline", "pull, baseline at hand", |variant| {
        variant.pulls.with_baseline.map(Amount::Bytes)
    }),
];

const fn metric(
    key: &'static str,
    title: &'static str,
    of: fn(&Variant) -> Option<Amount>,
) -> Metric {
    Metric { key, title, of }
}

#[allow(clippy::unnecessary_wraps)] // as all metrics
fn class(variant: &Variant, class: Class) -> Option<Amount> {
    Some(Amount::exact(variant.of_class(class)))
}

/// A row of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it is about; what is a part of a row above begins with blanks.
    pub title: String,
    /// A cell for each column. What differs from the first column says by how much.
    pub cells: Vec<String>,
}

/// The variants with the baseline, if there is one, before them.
#[must_use]
pub fn columns(comparison: &Comparison) -> Vec<&Variant> {
    let baseline = comparison.baseline.iter();
    baseline.chain(&comparison.variants).collect()
}

/// A row for each metric that says something of some variant, then one for each kind of known waste.
#[must_use]
pub fn rows(comparison: &Comparison) -> Vec<Row> {
    let columns = columns(comparison);
    let metrics = METRICS.iter().map(|metric| {
        let amounts = columns.iter().map(|variant| (metric.of)(variant));
        row(metric.title.to_owned(), &amounts.collect::<Vec<_>>())
    });
    let kinds: BTreeSet<&String> = columns
        .iter()
        .flat_map(|variant| variant.known_waste.keys())
        .collect();
    let known = kinds.into_iter().map(|kind| {
        let bytes = |variant: &&Variant| variant.known_waste.get(kind).copied();
        let amounts = columns.iter().map(bytes);
        let amounts = amounts.map(|bytes| Some(Amount::exact(bytes.unwrap_or_default())));
        row(kind.clone(), &amounts.collect::<Vec<_>>())
    });
    metrics.flatten().chain(known.flatten()).collect()
}

/// None where nothing is known of any column.
fn row(title: String, amounts: &[Option<Amount>]) -> Option<Row> {
    let first = amounts.first().copied().flatten();
    let cell = |amount: &Option<Amount>| {
        let Some(amount) = amount else {
            return "-".to_owned();
        };
        match first.and_then(|first| amount.beyond(first)) {
            Some(beyond) => format!("{} ({beyond})", amount.shown()),
            None => amount.shown(),
        }
    };
    let cells = amounts.iter().map(cell).collect();
    let says = amounts.iter().any(Option::is_some);
    says.then_some(Row { title, cells })
}
