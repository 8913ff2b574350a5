//! Files of the build context that have no place in an image, such as `.git`: lines of a `.dockerignore` keep them out.

use super::subject::{Subject, Written};
use super::{Edit, Finding};
use crate::classify::Class;
use crate::units::bytes;
use std::collections::BTreeMap;

/// A name, and the programs that make such a folder anew; none where nobody needs it in an image.
type Unwanted = (&'static str, &'static [&'static str]);

/// To add one: a line.
const UNWANTED: [Unwanted; 12] = [
    (".git", &[]),
    (".svn", &[]),
    (".hg", &[]),
    (".idea", &[]),
    (".vscode", &[]),
    (".DS_Store", &[]),
    ("__pycache__", &[]),
    (".pytest_cache", &[]),
    (".mypy_cache", &[]),
    ("node_modules", &["npm", "yarn", "pnpm", "bun"]),
    (".venv", &["pip", "pip3", "uv", "poetry"]),
    ("target", &["cargo", "mvn", "sbt"]),
];

/// A name that many projects give a folder of their own.
const COMMON: &str = "target";

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let written = subject.written();
    let copies = written
        .iter()
        .enumerate()
        .filter(|(_, step)| is_of_context(step));
    let found = copies.flat_map(|(at, step)| {
        let later = &written[at + 1..];
        let found = by_name(subject, step).into_iter();
        found.filter_map(move |(unwanted, size)| finding(subject, step, later, unwanted, size))
    });
    found.collect()
}

/// Whether a step copies from the main context.
fn is_of_context(step: &Written<'_>) -> bool {
    step.copy().is_some_and(|copy| copy.from.is_none())
}

/// Bytes that a step copied below folders of unwanted names; the outermost counts.
fn by_name(subject: &Subject<'_>, step: &Written<'_>) -> BTreeMap<usize, u64> {
    let mut found = BTreeMap::new();
    let files = step
        .layer
        .into_iter()
        .flat_map(|layer| subject.files(layer));
    for file in files {
        let path = file.path();
        let known = |part: &str| UNWANTED.iter().position(|(name, _)| *name == part);
        if let Some(unwanted) = path.split('/').find_map(known) {
            *found.entry(unwanted).or_default() += file.fate.bytes;
        }
    }
    found
}

fn finding(
    subject: &Subject<'_>,
    step: &Written<'_>,
    later: &[Written<'_>],
    unwanted: usize,
    size: u64,
) -> Option<Finding> {
    let (name, makers) = UNWANTED.get(unwanted).copied()?;
    let is_made = |step: &Written<'_>| step.mentions(makers);
    let is_safe = makers.is_empty() || later.iter().any(is_made);
    if !is_safe && name == COMMON {
        return None;
    }
    let pattern = format!("**/{name}");
    let mut ignored = subject.context?.ignored.iter();
    let is_new = !ignored.any(|line| line.trim() == pattern);
    let advice = match is_safe {
        true => format!("add {pattern} to .dockerignore"),
        false => format!("add {pattern} to .dockerignore if the image makes it itself"),
    };
    let edits = (is_safe && is_new).then_some(Edit::Ignore { pattern });
    let what = format!("{} of {name} are copied from the context", bytes(size));
    let found = Finding::of_bytes(Some(step.line), Class::Live, size, what).advised(advice);
    Some(found.edited(edits.into_iter().collect(), places(subject, step, name)))
}

/// The folders of this name that a step copied.
fn places(subject: &Subject<'_>, step: &Written<'_>, name: &str) -> Vec<String> {
    let files = step
        .layer
        .into_iter()
        .flat_map(|layer| subject.files(layer));
    let mut places: Vec<String> = files
        .filter_map(|file| {
            let path = file.path();
            let parts: Vec<&str> = path.split('/').collect();
            let at = parts.iter().position(|part| *part == name)?;
            Some(parts[..=at].join("/"))
        })
        .collect();
    places.sort();
    places.dedup();
    places
}
