//! One build from options to a tagged image: plan, look the whole up in the memo, else execute, assemble, store. Unaware of
//! the command line.

use crate::assemble::assemble;
use crate::event::{EVENT_VERSION, EventKind, Outcome};
use crate::execute::execute;
use crate::failure::BuildError;
use crate::options::BuildOptions;
use crate::plan::{self, Plan, announce};
use crate::session::Session;
use kiln_cache::{KeyBuilder, MemoBundle};
use kiln_oci::media_type::OCI_LAYER;
use kiln_oci::{Descriptor, Digest};
use kiln_parser::diagnostic::Diagnostic;

/// A finished build.
#[derive(Debug, Clone)]
pub struct Built {
    /// Image ID: the config digest.
    pub id: Digest,
    /// The manifest digest.
    pub manifest: Digest,
    /// Findings that did not stop the build.
    pub warnings: Vec<Diagnostic>,
}

/// Builds an image and gives it its names.
///
/// # Errors
/// See [`BuildError`]. The store is as before then, but for results of steps that succeeded.
pub fn build(session: &Session, options: &BuildOptions) -> Result<Built, BuildError> {
    session.events.send(EventKind::Begun {
        version: EVENT_VERSION,
    });
    let plan = plan::plan(session, options)?;
    announce(session, &plan);
    let remembered = match memo_key(options, &plan) {
        Some(memo) if !options.no_cache => session.store.memo_get(&memo)?,
        _ => None,
    };
    let (manifest, id) = match remembered {
        Some(bundle) => {
            cached_steps(session, &plan);
            (bundle.manifest, bundle.config)
        }
        None => make(session, options, &plan)?,
    };
    if session.cancel.requested() {
        return Err(BuildError::Cancelled);
    }
    for tag in &options.tags {
        session.store.tag(tag, &manifest)?;
    }
    report(session, options, &manifest)?;
    Ok(Built {
        id,
        manifest,
        warnings: plan.warnings,
    })
}

fn make(
    session: &Session,
    options: &BuildOptions,
    plan: &Plan,
) -> Result<(Digest, Digest), BuildError> {
    let results = execute(session, options, plan)?;
    let now = session.host.seconds();
    let describe = |layer: &Digest| match plan.described.get(layer) {
        Some(described) => Ok(described.clone()),
        None => {
            let index = session.store.layer_index(layer)?;
            Ok(Descriptor::new(OCI_LAYER, *layer, index.tar_size))
        }
    };
    let image = assemble(plan, &results, now, plan.graph.source_date_epoch, describe)?;
    let (manifest, config) = session.store.put_image(&image.manifest, &image.config)?;
    let records = results
        .values()
        .filter_map(|done| done.step.as_ref().map(|step| step.key))
        .collect();
    let bundle = MemoBundle {
        manifest,
        config,
        records,
        scope: String::new(),
        created: now,
    };
    if let Some(memo) = memo_key(options, plan) {
        session.store.memo_put(&memo, &bundle)?;
    }
    Ok((manifest, config))
}

/// Everything that decides about the image; none while something has to be fetched first.
fn memo_key(options: &BuildOptions, plan: &Plan) -> Option<Digest> {
    let stage = plan.graph.target_stage();
    // Plain data of our own: serialising it cannot fail.
    let text = |value: Result<Vec<u8>, serde_json::Error>| value.unwrap_or_default();
    // Epoch and ids are part of every definition, and so of the files.
    let key = KeyBuilder::new("memo")
        .input("files", plan.made_from(stage.output)?)
        .bytes("config", &text(serde_json::to_vec(&stage.config)))
        .bytes("base", &text(serde_json::to_vec(&stage.base_image)))
        .bytes(
            "author",
            format!("{:?} {}", stage.author, stage.platform).as_bytes(),
        )
        .bytes("history", &text(serde_json::to_vec(&stage.history)))
        .bytes("hosts", format!("{:?}", options.extra_hosts).as_bytes());
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

fn report(session: &Session, options: &BuildOptions, manifest: &Digest) -> Result<(), BuildError> {
    let image = session.store.image(manifest)?;
    let bytes = image
        .diff_ids
        .iter()
        .filter_map(|id| session.store.blob_path(id).metadata().ok())
        .map(|meta| meta.len())
        .sum();
    session.events.send(EventKind::Image {
        id: image.config_digest.to_string(),
        digest: manifest.to_string(),
        tags: options.tags.iter().map(ToString::to_string).collect(),
        layers: image.diff_ids.len(),
        bytes,
    });
    Ok(())
}
