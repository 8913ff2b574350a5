//! Remembers where the history of images comes from, in the store and, where that is asked for, in a label. Unaware of how images are
//! made.

use crate::failure::BuildError;
use crate::image::assemble::{Image, with_config};
use crate::plan::Plan;
use crate::plan::origin::{Origin, end};
use crate::plan::output::Done;
use crate::session::Session;
use crate::source::open::Build;
use kiln_cache::{BuildRecord, MemoBundle};
use kiln_oci::{Digest, ImageConfig};
use kiln_parser::graph::NodeId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Remembers it of an image that was just made of a stage.
///
/// # Errors
/// The store fails.
pub(crate) fn remember(
    session: &Session,
    build: &Build,
    plan: &Plan,
    position: usize,
    image: &Image,
    results: &BTreeMap<usize, Arc<Done>>,
) -> Result<(), BuildError> {
    let key = |node: NodeId| Some(results.get(&node.0)?.step.as_ref()?.key);
    let origin = Origin::of(&session.store, build, plan, position, &key)?;
    if let Some(record) = placed(origin, plan, position, &image.config) {
        let id = Digest::of(&image.config);
        session.store.builds().put(&id, &record)?;
    }
    Ok(())
}

/// The image with a label that says it (`--origin-label`).
///
/// # Errors
/// The store fails.
pub(crate) fn labelled(
    session: &Session,
    build: &Build,
    plan: &Plan,
    position: usize,
    image: Image,
) -> Result<Image, BuildError> {
    let is_unwanted = build.language.unset_labels.contains(BuildRecord::LABEL);
    if !build.form.origin_label || is_unwanted {
        return Ok(image);
    }
    let origin = Origin::of(&session.store, build, plan, position, &|_| None)?;
    let Some(record) = placed(origin, plan, position, &image.config) else {
        return Ok(image);
    };
    Ok(with_config(image, |config| {
        let label = (BuildRecord::LABEL.to_owned(), record.to_label());
        config.config.labels.extend([label]);
    })?)
}

/// The record of an image with this config.
fn placed(origin: Origin, plan: &Plan, position: usize, config: &[u8]) -> Option<BuildRecord> {
    origin.before(end_in(plan, position, config)?)
}

fn end_in(plan: &Plan, position: usize, config: &[u8]) -> Option<usize> {
    let config = ImageConfig::parse(config).ok()?;
    end(&plan.graph.stages[position], &config)
}

/// Remembers it of images that were made before: lines may have moved since.
///
/// # Errors
/// The store fails.
pub(crate) fn renew(
    session: &Session,
    build: &Build,
    plan: &Plan,
    bundle: &MemoBundle,
) -> Result<(), BuildError> {
    let store = &session.store;
    let images = images_of(session, build, bundle)?;
    let steps = plan.steps_by_origin().into_iter();
    let keys: BTreeMap<_, _> = steps.zip(&bundle.records).collect();
    let keys = |node| keys.get(&node).map(|key| **key);
    for (target, (manifest, id)) in plan.targets.iter().zip(images) {
        let origin = Origin::of(store, build, plan, target.stage, &keys)?;
        let known = store.builds().get(&id)?.unwrap_or_default();
        // the history is that of before, and so is the place in it
        let end = match known.steps.last() {
            Some(last) => Some(last.at + 1),
            None if origin.is_empty() => None,
            None => end_in(plan, target.stage, &store.images().get(&manifest)?.config),
        };
        if let Some(record) = end.and_then(|end| origin.before(end)) {
            store.builds().put(&id, &record)?;
        }
    }
    Ok(())
}

/// The manifests and IDs of the images that a build gave before, in the order of its targets.
fn images_of(
    session: &Session,
    build: &Build,
    bundle: &MemoBundle,
) -> Result<Vec<(Digest, Digest)>, BuildError> {
    if !build.form.makes_index() {
        return Ok(vec![(bundle.manifest, bundle.config)]);
    }
    let store = &session.store;
    let images = store.indexes().images_of(&bundle.manifest)?.into_iter();
    let with_id = |manifest| Ok((manifest, store.images().get(&manifest)?.config_digest));
    images.map(|(_, manifest)| with_id(manifest)).collect()
}
