//! `apt-get install` takes what packages only recommend, unless it is told not to.

use super::debian::{Package, recommended};
use super::subject::{Subject, Written};
use super::{Edit, Finding};
use crate::units::bytes;

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

/// Whether a word only stands before a command: a variable for it, `sudo`, `env`.
fn is_before(word: &str) -> bool {
    word.contains('=') || matches!(word, "sudo" | "env")
}

/// The flag after each `apt-get install` that lacks it.
fn flags(step: &Written<'_>) -> Option<(u32, Vec<Edit>)> {
    let edits = step.clauses.iter().filter_map(|clause| {
        let mut command = clause.parts().skip_while(|word| is_before(word));
        let is_apt = matches!(command.next(), Some("apt-get" | "apt"));
        let tells = |word: &str| word.to_ascii_lowercase().contains("install-recommends");
        let end = clause.end_of("install")?;
        let is_silent = is_apt && !clause.parts().any(tells);
        is_silent.then(|| Edit::insert(end, " --no-install-recommends"))
    });
    let edits: Vec<Edit> = edits.collect();
    (!edits.is_empty()).then_some((step.line, edits))
}
