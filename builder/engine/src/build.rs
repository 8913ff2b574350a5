//! One build from options to a tagged image: plan, look the whole up in the memo, else execute, assemble, store. Unaware of
//! the command line.

use crate::event::{EVENT_VERSION, EventKind};
use crate::exchange;
use crate::execute::memo::{self, Recalled};
use crate::execute::{Executed, execute};
use crate::failure::BuildError;
use crate::host::confine::confine;
use crate::image::assemble::{assemble, without_history};
use crate::image::export::BuildResult;
use crate::image::index;
use crate::image::squash::{Squash, squash};
use crate::image::stages;
use crate::plan::{self, Plan, announce};
use crate::request::annotations;
use crate::request::options::BuildOptions;
use crate::session::Session;
use crate::source::epoch;
use kiln_cache::{Caches, KeyLock, MemoBundle, StoreError};
use kiln_oci::media_type::{OCI_INDEX, OCI_LAYER, OCI_MANIFEST};
use kiln_oci::{Descriptor, Digest, ImageConfig, Reference};
use kiln_sandbox::Cgroup;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A finished build.
#[derive(Debug, Clone)]
pub struct Built {
    /// Image ID: the config digest. Of an index, its own digest.
    pub id: Digest,
    /// Digest of the manifest, or of the index.
    pub manifest: Digest,
    /// What points to it, with the platform of an image.
    pub descriptor: Descriptor,
    /// What points to it in a registry, where it was pushed.
    pub pushed: Option<Descriptor>,
    /// Full names.
    pub names: Vec<String>,
}

/// Builds an image and gives it its names.
///
/// # Errors
/// See [`BuildError`]. What was found in the Dockerfile is in the session in any case. The store is as before then, but for results of steps that succeeded.
pub fn build(session: &Session, options: &BuildOptions) -> Result<Built, BuildError> {
    session.events.send(EventKind::Begun {
        version: EVENT_VERSION,
    });
    for notice in &options.notices {
        session.events.warn(notice.clone());
    }
    let resolved = epoch::resolved(session, options)?;
    let options = resolved.as_ref().unwrap_or(options);
    if options.dockerfile.is_repaired {
        let name = &options.dockerfile.name;
        let what = "bytes that are no UTF-8, which are read as U+FFFD";
        session.events.warn(format!("{name} has {what}"));
    }
    let joined = exchange::joined(session, &options.cache_from);
    let session = if options.cache_from.is_empty() {
        session
    } else {
        &joined
    };
    let cgroup = confine(session, options)?;
    let plan = plan::plan(session, options)?;
    announce(session, &plan);
    loop {
        let outcome = attempt(session, options, &plan, cgroup.as_ref());
        // what a shared cache promised and does not have costs another attempt, without it
        let lost = exchange::forget_lost(session);
        match outcome {
            Err(_) if lost => session.cancel.begin_again(),
            Err(error) => return Err(error),
            Ok((built, bundle)) => {
                let key = memo::key(options, &plan);
                exchange::export(session, options, key, &bundle)?;
                return Ok(built);
            }
        }
    }
}

/// Makes the image, gives it its names and takes it to all outputs.
fn attempt(
    session: &Session,
    options: &BuildOptions,
    plan: &Plan,
    cgroup: Option<&Cgroup>,
) -> Result<(Built, MemoBundle), BuildError> {
    let (bundle, turn) = match recall(session, options, plan)? {
        Some(made) => made,
        None => {
            let executed = execute(session, options, plan, cgroup.cloned())?;
            make(session, options, plan, executed)?
        }
    };
    let manifest = bundle.manifest;
    if session.cancel.requested() {
        return Err(BuildError::Cancelled);
    }
    for name in names(options).iter().filter(|name| name.tag.is_some()) {
        session.store.images().tag(name, &manifest)?;
    }
    drop(turn);
    let mut built = Built {
        id: bundle.config,
        manifest,
        descriptor: descriptor(session, &manifest)?,
        pushed: None,
        names: shown(options),
    };
    report(session, options, &built)?;
    let exported = export(session, options, &built, plan.graph.source_date_epoch);
    built.pushed = exported.map_err(|error| {
        if session.cancel.is_interrupted() {
            return BuildError::Cancelled;
        }
        error
    })?;
    Ok((built, bundle))
}

/// All that the result is called, once each: its own names, then those that outputs give it.
fn names(options: &BuildOptions) -> Vec<Reference> {
    let own = options.tags.iter().chain(&options.manifest).cloned();
    let outputs = options.outputs.iter().flat_map(|output| output.names());
    let mut names = Vec::new();
    for name in own.chain(outputs) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn shown(options: &BuildOptions) -> Vec<String> {
    names(options).iter().map(ToString::to_string).collect()
}

fn descriptor(session: &Session, manifest: &Digest) -> Result<Descriptor, BuildError> {
    if let Some(index) = session.store.indexes().get(manifest)? {
        return Ok(Descriptor::of(OCI_INDEX, &index));
    }
    let image = session.store.images().get(manifest)?;
    let config = ImageConfig::parse(&image.config).ok();
    Ok(Descriptor {
        platform: config.map(|config| config.platform()),
        ..Descriptor::of(OCI_MANIFEST, &image.manifest)
    })
}

/// Takes the result to all its outputs; what of it was pushed.
fn export(
    session: &Session,
    options: &BuildOptions,
    built: &Built,
    epoch: Option<i64>,
) -> Result<Option<Descriptor>, BuildError> {
    if options.outputs.is_empty() {
        return Ok(None);
    }
    let mut images = Vec::new();
    for (platform, image) in session.store.indexes().images_of(&built.manifest)? {
        images.push((platform, session.store.images().get(&image)?));
    }
    let index = session.store.indexes().get(&built.manifest)?;
    let references: Vec<_> = options
        .tags
        .iter()
        .chain(&options.manifest)
        .cloned()
        .collect();
    let result = BuildResult {
        session,
        images,
        index: index.map(|bytes| (built.manifest, bytes)),
        references: &references,
        epoch,
        pushed: RefCell::default(),
    };
    for output in &options.outputs {
        output.export(&result)?;
    }
    let platform = || built.descriptor.platform.clone();
    let pushed = result.pushed.into_inner();
    Ok(pushed.map(|pushed| Descriptor {
        platform: platform(),
        ..pushed
    }))
}

/// What was built, and with `--manifest` the right to name it.
type Made = (MemoBundle, Option<KeyLock>);

/// The whole build without executing anything. A shared cache that says what it cannot give is no reason to fail.
fn recall(
    session: &Session,
    options: &BuildOptions,
    plan: &Plan,
) -> Result<Option<Made>, BuildError> {
    let outcomes = match memo::recall(session, options, plan)? {
        Recalled::Image(bundle) => return Ok(Some((bundle, None))),
        Recalled::Claims(outcomes) => outcomes,
    };
    for outcome in outcomes {
        let Some(results) = memo::results(session, plan, outcome)? else {
            continue;
        };
        match make(session, options, plan, results) {
            Ok(made) => {
                memo::cached_steps(session, plan);
                return Ok(Some(made));
            }
            Err(error) => {
                exchange::forget_lost(session);
                let causes = crate::chain_of_causes(&error);
                tracing::debug!("the outcome in the cache is not used: {causes}");
            }
        }
    }
    Ok(None)
}

/// Makes the image of what the steps gave.
fn make(
    session: &Session,
    options: &BuildOptions,
    plan: &Plan,
    executed: Executed,
) -> Result<Made, BuildError> {
    let results = executed.results;
    let now = executed.now.unwrap_or_else(|| session.host.seconds());
    let describe = |layer: &Digest| match plan.described.get(layer) {
        Some(described) => Ok(described.clone()),
        None => {
            let missing = || StoreError::Missing { digest: *layer };
            let size = session
                .store
                .exchange()
                .layer_size(layer)?
                .ok_or_else(missing)?;
            Ok(Descriptor::new(OCI_LAYER, *layer, size))
        }
    };
    let epoch = plan.graph.source_date_epoch;
    let kept = stages::keep(session, options, plan, &results, describe)?;
    let mut images = Vec::new();
    for target in &plan.targets {
        let mut image = assemble(plan, target.stage, &results, now, epoch, describe)?;
        image = kept.labelled(options, plan, target.stage, image)?;
        if options.squash != Squash::Nothing {
            let base = plan.graph.stages[target.stage].base_image.as_ref();
            let base = base.filter(|_| options.squash == Squash::Added);
            let base = base.map_or(0, |base| base.rootfs.diff_ids.len());
            image = squash(&session.store, image, base)?;
        }
        if options.omit_history {
            image = without_history(image)?;
        }
        image.manifest =
            annotations::manifest(image.manifest, &options.annotations, &target.platform);
        let (_, config) = session.store.images().put(&image.manifest, &image.config)?;
        let platform = ImageConfig::parse(&image.config)
            .map_or_else(|_| target.platform.clone(), |config| config.platform());
        let mut described = Descriptor {
            platform: Some(platform),
            ..Descriptor::of(OCI_MANIFEST, &image.manifest)
        };
        annotations::descriptor(&mut described, &options.annotations);
        images.push((described, config));
    }
    let turn = index::turn(session, options.manifest.as_ref())?;
    let (manifest, config) = result(session, options, images)?;
    let rested_on = results.values().map(|done| &done.stack.caches);
    let bundle = MemoBundle {
        manifest,
        config,
        records: executed.records,
        scope: String::new(),
        created: now,
        caches: rested_on.fold(Caches::default(), Caches::with),
    };
    exchange::secure(session, &manifest)?;
    if let Some(key) = memo::key(options, plan) {
        session.store.records().put_memo(&key, &bundle)?;
    }
    Ok((bundle, turn))
}

/// The image, or an index of all; with it the image ID.
fn result(
    session: &Session,
    options: &BuildOptions,
    images: Vec<(Descriptor, Digest)>,
) -> Result<(Digest, Digest), BuildError> {
    match &images[..] {
        [(manifest, config)] if !options.makes_index() => Ok((manifest.digest, *config)),
        _ => {
            let made = images.into_iter().map(|(manifest, _)| manifest);
            let mut index = index::with(session, options.manifest.as_ref(), made.collect())?;
            annotations::index(&mut index, &options.annotations);
            let digest = session.store.indexes().put(&index.to_bytes())?;
            Ok((digest, digest))
        }
    }
}

fn report(session: &Session, options: &BuildOptions, built: &Built) -> Result<(), BuildError> {
    let mut layers = BTreeSet::new();
    for (_, image) in session.store.indexes().images_of(&built.manifest)? {
        layers.extend(session.store.images().get(&image)?.diff_ids);
    }
    let mut bytes = 0;
    for layer in &layers {
        bytes += session.store.exchange().layer_size(layer)?.unwrap_or(0);
    }
    session.events.send(EventKind::Image {
        id: built.id.to_string(),
        digest: built.manifest.to_string(),
        tags: shown(options),
        layers: layers.len(),
        bytes,
    });
    Ok(())
}
