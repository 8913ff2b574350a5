//! `apt-get install` takes what packages only recommend, unless it is told not to.

use super::debian::{Package, recommended};
use super::subject::{Subject, Written};
use super::{Edit, Finding};
use crate::compare::bytes;

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let written = subject.written();
    let edits: Vec<(u32, Vec<Edit>)> = written.iter().filter_map(flags).collect();
    let Some((line, _)) = edits.first() else {
        return Vec::new();
    };
    let extra = recommended(subject);
    let size: u64 = extra.iter().map(|package| package.bytes).sum();
    vec![Finding {
        line: Some(*line),
        bytes: (size > 0).then_some(size),
        what: what(&extra, size),
        advice: "apt-get install --no-install-recommends".to_owned(),
        paths: extra
            .into_iter()
            .flat_map(|package| package.paths)
            .collect(),
        edits: edits.into_iter().flat_map(|(_, edits)| edits).collect(),
        ..Finding::default()
    }]
}

fn what(extra: &[Package], size: u64) -> String {
    const TOLD: usize = 5;
    let names: Vec<&str> = extra.iter().map(|package| package.name.as_str()).collect();
    let more = names.len().saturating_sub(TOLD);
    let told = names[..names.len() - more].join(", ");
    match (names.is_empty(), more) {
        (true, _) => "apt-get install takes packages that are only recommended".to_owned(),
        (_, 0) => format!("{} of packages are only recommended: {told}", bytes(size)),
        _ => format!(
            "{} of packages are only recommended: {told} and {more} more",
            bytes(size)
        ),
    }
}

/// The flag after each `apt-get install` that lacks it.
fn flags(step: &Written<'_>) -> Option<(u32, Vec<Edit>)> {
    let edits = step.clauses.iter().filter_map(|clause| {
        let words = clause.texts();
        let is_apt = matches!(words.first(), Some(&"apt-get" | &"apt"));
        let told = words
            .iter()
            .any(|word| word.contains("install-recommends") || word.contains("Install-Recommends"));
        let install = words.iter().position(|word| *word == "install")?;
        let end = clause.words[install].1.end;
        (is_apt && !told).then(|| Edit::insert(end, " --no-install-recommends"))
    });
    let edits: Vec<Edit> = edits.collect();
    (!edits.is_empty()).then_some((step.line, edits))
}
