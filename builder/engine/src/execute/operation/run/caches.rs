//! `RUN --mount=type=cache`: which directory is meant, and how it begins. Unaware of who else uses it.

use crate::execute::operation::{Source, subtree_layer};
use crate::execute::process::{Cache, Mount, Mounted, Process};
use crate::execute::step::Step;
use crate::failure::StepError;
use kiln_cache::{CacheSharing, CacheStart, KeyBuilder, Meta};
use kiln_oci::Digest;
use kiln_parser::graph::{CacheMount, Sharing};

/// Adds a cache mount. Another owner, mode or start is another directory, as in BuildKit. Of two ways to share one, the stricter
/// counts.
pub(super) fn add(
    step: &Step<'_>,
    mount: &CacheMount,
    source: Option<&Source>,
    process: &mut Process,
) -> Result<(), StepError> {
    let start = start(step, mount, source)?;
    let identity = identity(&mount.id, &start);
    let sharing = match mount.sharing {
        Sharing::Shared => CacheSharing::Shared,
        Sharing::Private => CacheSharing::Private,
        Sharing::Locked => CacheSharing::Locked,
    };
    let cache = process.caches.entry(identity).or_insert(Cache {
        title: mount.id.clone(),
        sharing,
        start,
    });
    cache.sharing = cache.sharing.max(sharing);
    let what = Mounted::Cache(identity);
    process
        .mounts
        .push(Mount::new(&mount.target, what, mount.ro));
    Ok(())
}

fn identity(id: &str, start: &CacheStart) -> Digest {
    let owner = format!("{:o} {} {}", start.mode, start.uid, start.gid);
    let mut identity = KeyBuilder::new("cache-mount")
        .bytes("id", id.as_bytes())
        .bytes("owner", owner.as_bytes());
    if let Some(layer) = start.layer {
        identity = identity.input("start", layer);
    }
    identity.finish().0
}

/// What a directory begins with. A step that takes nothing from the cache begins with an empty one.
fn start(
    step: &Step<'_>,
    mount: &CacheMount,
    from: Option<&Source>,
) -> Result<CacheStart, StepError> {
    let (mut layer, mut root) = (None, Meta::root(0o755, 0));
    if let Some(from) = from {
        layer = subtree_layer(step, &from.files, &mount.source, true)?.0;
        let found = from.files.resolve(mount.source.as_bytes(), true)?.found;
        let folder = found.filter(|found| found.entry.is_directory());
        root = folder.map_or(root, |folder| folder.entry.meta());
    }
    Ok(CacheStart {
        mode: mount.mode.unwrap_or(root.mode),
        uid: mount.uid.unwrap_or(root.uid),
        gid: mount.gid.unwrap_or(root.gid),
        emptied: step.ignores_cache,
        layer,
    })
}
