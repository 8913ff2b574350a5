//! `RUN --mount=type=cache`: directories that are kept between builds. Unaware of other mounts.
//!
//! All of one RUN are opened together, in the order of their identities: two RUNs that lock the same two directories never wait for
//! each other, and one that names a directory twice does not wait for itself.

use super::mounts::subtree_layer;
use crate::execute::Execution;
use crate::failure::StepError;
use kiln_cache::{CacheMount, CacheSharing, CacheStart, Chain, KeyBuilder, Meta};
use kiln_oci::Digest;
use kiln_parser::graph::{Node, RunMount, RunOp, Sharing};
use kiln_sandbox::{Mount, MountKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A directory that is held, and where it is seen.
#[derive(Debug)]
pub struct OpenCache {
    /// Free again when dropped.
    pub held: CacheMount,
    /// One for each mount that names it.
    pub mounts: Vec<Mount>,
}

struct Wanted {
    sharing: CacheSharing,
    start: CacheStart,
    /// What people call it.
    title: String,
    /// Targets, and whether they are read-only.
    places: Vec<(String, bool)>,
}

/// The directories that were emptied in this build: each is once.
#[derive(Debug, Default)]
pub struct Emptied(Mutex<BTreeSet<Digest>>);

impl Emptied {
    /// The right to empty this one, which is given once; nobody else opens it before it was used.
    fn turn(&self, identity: Digest) -> Option<MutexGuard<'_, BTreeSet<Digest>>> {
        let mut emptied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        emptied.insert(identity).then_some(emptied)
    }
}

/// Opens the cache directories of a RUN.
///
/// # Errors
/// When a source is missing, the store fails, or the build is stopped while it waits.
pub fn open(
    execution: &Execution<'_>,
    node: &Node,
    run: &RunOp,
) -> Result<Vec<OpenCache>, StepError> {
    let mut wanted: BTreeMap<Digest, Wanted> = BTreeMap::new();
    for mount in &run.mounts {
        collect(execution, mount, &mut wanted)?;
    }
    let store = &execution.session.store;
    let stopped = || execution.session.cancel.requested();
    let mut opened = Vec::new();
    for (identity, mut wanted) in wanted {
        // a step that takes nothing from the cache begins with empty ones; other steps of the build find what it leaves
        let ignores_cache = execution.ignores_cache(node);
        let turn = ignores_cache.then(|| execution.emptied.turn(identity));
        let turn = turn.flatten();
        wanted.start.emptied = turn.is_some();
        let held = store
            .cache_mounts()
            .open(&identity, wanted.sharing, &wanted.start, &stopped)?;
        let held = held.ok_or(StepError::Stopped)?;
        drop(turn);
        held.set_title(&wanted.title);
        let mounts = wanted.places.into_iter().map(|(target, read_only)| Mount {
            target,
            kind: MountKind::Bind {
                base: held.path.clone(),
                path: String::new(),
            },
            read_only,
        });
        let mounts = mounts.collect();
        opened.push(OpenCache { held, mounts });
    }
    Ok(opened)
}

/// Another owner, mode or start is another directory, as in BuildKit. Of two ways to share one, the stricter counts.
fn collect(
    execution: &Execution<'_>,
    mount: &RunMount,
    wanted: &mut BTreeMap<Digest, Wanted>,
) -> Result<(), StepError> {
    let RunMount::Cache {
        id,
        target,
        sharing,
        from,
        source,
        mode,
        uid,
        gid,
        ro,
    } = mount
    else {
        return Ok(());
    };
    let (layer, root) = match from {
        Some(from) => begin_with(execution, &execution.files(*from)?, source)?,
        None => (None, None),
    };
    let root = root.unwrap_or_else(|| Meta::root(0o755, 0));
    let start = CacheStart {
        mode: mode.unwrap_or(root.mode),
        uid: uid.unwrap_or(root.uid),
        gid: gid.unwrap_or(root.gid),
        emptied: false,
        layer,
    };
    let mut identity = KeyBuilder::new("cache-mount")
        .bytes("id", id.as_bytes())
        .bytes(
            "owner",
            format!("{:o} {} {}", start.mode, start.uid, start.gid).as_bytes(),
        );
    if let Some(layer) = &layer {
        identity = identity.input("start", *layer);
    }
    let sharing = match sharing {
        Sharing::Shared => CacheSharing::Shared,
        Sharing::Private => CacheSharing::Private,
        Sharing::Locked => CacheSharing::Locked,
    };
    let wanted = wanted.entry(identity.finish().0).or_insert(Wanted {
        sharing,
        start,
        title: id.clone(),
        places: Vec::new(),
    });
    wanted.sharing = wanted.sharing.max(sharing);
    wanted.places.push((target.clone(), *ro));
    Ok(())
}

/// The files that a directory starts with, and what the directory itself looks like there.
fn begin_with(
    execution: &Execution<'_>,
    files: &Chain,
    source: &str,
) -> Result<(Option<Digest>, Option<Meta>), StepError> {
    let (layer, _) = subtree_layer(execution, files, source, true)?;
    let root = files.resolve(source.as_bytes(), true)?.found;
    let root = root.filter(|root| root.entry.is_directory());
    Ok((layer, root.map(|root| root.entry.meta())))
}
