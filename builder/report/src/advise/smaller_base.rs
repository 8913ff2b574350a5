//! A base of the same kind that is smaller and at hand. It only tells: what the image needs of its base, a person has to know.

use super::Finding;
use super::subject::{Base, Subject};
use crate::units::bytes;

pub(super) fn find(subject: &Subject<'_>) -> Vec<Finding> {
    let (used, others): (Vec<&Base>, Vec<&Base>) =
        subject.bases.iter().partition(|base| base.is_used);
    let smallest = others.into_iter().min_by_key(|base| base.bytes);
    let found = used.first().zip(smallest);
    let found = found.filter(|(used, other)| other.bytes < used.bytes);
    let finding = found.map(|(used, other)| Finding {
        line: line(subject),
        bytes: Some(used.bytes - other.bytes),
        what: format!("the base {} has {}", used.name, bytes(used.bytes)),
        advice: format!(
            "{} has {}, and is in the store",
            other.name,
            bytes(other.bytes)
        ),
        ..Finding::default()
    });
    finding.into_iter().collect()
}

/// The line that names the base.
fn line(subject: &Subject<'_>) -> Option<u32> {
    let source = subject.source?;
    let first = source.stages().into_iter().next()?;
    let stage = source.dockerfile.stages.get(first)?;
    let line = source.dockerfile.lines.get(stage.line)?;
    Some(line.first)
}
