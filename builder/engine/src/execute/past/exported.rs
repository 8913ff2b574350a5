//! A build as shared caches carry it, so that a later one elsewhere can tell what has changed. Unaware of how caches are written.

use super::steps;
use crate::plan::Plan;
use crate::source::open::Build;
use kiln_cache::{ExportedBuild, FileTable, PastStep, StepInputs, Store, StoreError};
use kiln_oci::Digest;
use std::collections::BTreeMap;

/// Bytes of names and digests of files that a cache gets; of steps beyond that, a change in files is told without names.
const MOST: usize = 4 << 20;

/// A build whose steps have results with these keys, in the order of [`Plan::steps_by_origin`].
///
/// # Errors
/// The store fails.
pub fn exported(
    store: &Store,
    build: &Build,
    plan: &Plan,
    records: &[Digest],
) -> Result<ExportedBuild, StoreError> {
    let keys = plan.steps_by_origin().into_iter().map(|step| step.0);
    let keys: BTreeMap<usize, &Digest> = keys.zip(records).collect();
    let steps = steps(plan).into_iter();
    let steps = steps.map(|step| PastStep {
        key: keys.get(&step.step).map(|key| **key),
        ..step
    });
    let file = build.project.as_ref().map(|project| project.file.clone());
    Ok(ExportedBuild {
        file: file.unwrap_or_default(),
        steps: steps.collect(),
        inputs: inputs(store, records)?,
    })
}

/// What is known of the inputs behind these keys: here, or from the caches that the build names.
fn inputs(store: &Store, keys: &[Digest]) -> Result<BTreeMap<Digest, StepInputs>, StoreError> {
    let heard = store.exchange().heard();
    let (mut inputs, mut left) = (BTreeMap::new(), MOST);
    for key in keys {
        let of_cache = || heard.as_ref()?.inputs.get(key).cloned();
        let known = match store.inputs().has(key)? {
            true => store.inputs().get(key)?,
            false => of_cache().or(store.inputs().get(key)?),
        };
        if let Some(mut known) = known {
            let files = known.files.values().flat_map(FileTable::lines);
            let bytes = files.map(str::len).sum();
            match left.checked_sub(bytes) {
                Some(less) => left = less,
                None => known.files.clear(),
            }
            inputs.insert(*key, known);
        }
    }
    Ok(inputs)
}
