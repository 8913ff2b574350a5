//! `RUN --mount=type=cache`: directories that are kept between builds. Unaware of other mounts.
//!
//! All of one RUN are opened together, in the order of their identities: two RUNs that lock the same two directories never wait for
//! each other, and one that names a directory twice does not wait for itself.

use super::mounts::subtree_layer;
use crate::execute::Execution;
use crate::failure::StepError;
use kiln_cache::{CacheMount, CacheSharing, CacheStart, Chain, KeyBuilder, Meta};
use kiln_oci::Digest;
use kiln_parser::graph::{RunMount, RunOp, Sharing};
use kiln_sandbox::{Mount, MountKind};
use std::collections::BTreeMap;

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

/// Opens the cache directories of a RUN.
///
/// # Errors
/// When a source is missing, the store fails, or the build is stopped while it waits.
pub fn open(execution: &Execution<'_>, run: &RunOp) -> Result<Vec<OpenCache>, StepError> {
    let mut wanted: BTreeMap<Digest, Wanted> = BTreeMap::new();
    for mount in &run.mounts {
        collect(execution, mount, &mut wanted)?;
    }
    let store = &execution.session.store;
    let stopped = || execution.session.cancel.requested();
    let mut opened = Vec::new();
    for (identity, wanted) in wanted {
        let held = store.cache_mount(&identity, wanted.sharing, &wanted.start, &stopped)?;
        let held = held.ok_or(StepError::Stopped)?;
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
