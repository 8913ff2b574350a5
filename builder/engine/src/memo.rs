//! The whole build as one look-up: its key, and its outcome from this store or from a shared cache. Unaware of how a build is
//! executed.

use crate::event::{EventKind, Outcome};
use crate::failure::BuildError;
use crate::options::BuildOptions;
use crate::plan::{self, Plan};
use crate::session::Session;
use crate::shared;
use kiln_cache::{KeyBuilder, MemoBundle};
use kiln_oci::Digest;

/// The outcome of an equal build, if everything may come from the cache. Caches of others are read only when this store does not
/// know it, and once; what else they hold is known to the store from then on.
///
/// # Errors
/// The store fails.
pub(crate) fn recall(
    session: &Session,
    options: &BuildOptions,
    plan: &Plan,
) -> Result<Option<MemoBundle>, BuildError> {
    let is_wanted =
        !options.no_cache && options.no_cache_filter.is_empty() && options.cache_ttl.is_none();
    // a memo says nothing of stages
    let key = key(options, plan).filter(|_| is_wanted && !options.save_stages);
    let mut found = match &key {
        Some(key) => session.store.memo_get(key)?,
        None => None,
    };
    // an attempt before has read them
    let is_first = session.store.forgotten().is_empty();
    if found.is_none() && is_first && !options.no_cache && !options.cache_from.is_empty() {
        found = shared::import(session, &options.cache_from, key.as_ref())?;
    }
    if found.is_some() {
        cached_steps(session, plan);
    }
    Ok(found)
}

/// Everything that decides about the image; none while something has to be fetched first, where labels tell of stages, and for an
/// index that has other images too.
pub(crate) fn key(options: &BuildOptions, plan: &Plan) -> Option<Digest> {
    if options.stage_labels || options.manifest.is_some() {
        return None;
    }
    // Plain data of our own: serialising it cannot fail.
    let text = |value: Result<Vec<u8>, serde_json::Error>| value.unwrap_or_default();
    let mut key = KeyBuilder::new("memo")
        .bytes("index", &[u8::from(options.makes_index())])
        .bytes("squash", &[options.squash as u8])
        .bytes("omit-history", &[u8::from(options.omit_history)])
        .bytes(
            "annotations",
            format!("{:?}", options.annotations).as_bytes(),
        );
    for (flag, value) in options.surroundings() {
        key = key.bytes(flag, value.as_bytes());
    }
    for target in &plan.targets {
        let stage = &plan.graph.stages[target.stage];
        // Epoch and ids are part of every definition, and so of the files.
        key = key
            .input("files", plan.made_from(stage.output)?)
            .bytes("config", &text(serde_json::to_vec(&stage.config)))
            .bytes("base", &text(serde_json::to_vec(&stage.base_image)))
            .bytes(
                "author",
                format!(
                    "{:?} {} {}",
                    stage.author, stage.platform, stage.image_platform
                )
                .as_bytes(),
            )
            .bytes("history", &text(serde_json::to_vec(&stage.history)));
    }
    Some(key.finish().0)
}

/// The memo answers for every step.
fn cached_steps(session: &Session, plan: &Plan) {
    for step in plan::steps(plan) {
        session.events.send(EventKind::Finished {
            step: step.step,
            outcome: Outcome::Cached,
            took_us: 0,
            bytes: None,
        });
    }
}
