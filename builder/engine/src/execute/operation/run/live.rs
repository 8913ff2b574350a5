//! Whether a RUN may start on its parent's upper while that is still being written as a layer. What is read of the files below before
//! the command starts is read in committed layers: who it runs as, and what the root folder is like. So an upper that may have changed
//! any of that is waited for. Unaware of how the command is started.

use crate::execute::Execution;
use crate::execute::operation::ACCOUNTS;
use crate::failure::StepError;
use crate::plan::output::{Live, Output};
use kiln_cache::{Chain, EntryKind};
use kiln_parser::graph::{Node, RunOp};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// The parent's uppers, if it is worth starting on them: the parent is not committed yet, this operation was never recorded, and no
/// upper changes what was read.
pub(super) fn base(
    execution: &Execution<'_>,
    node: &Node,
    run: &RunOp,
) -> Result<Option<Arc<Live>>, StepError> {
    let Output::Layers {
        live: Some(live),
        done,
    } = execution.output(run.base)?
    else {
        return Ok(None);
    };
    if done.now().is_some() {
        return Ok(None);
    }
    let store = &execution.session.store;
    let definition = &execution.plan.definitions[node.id.0];
    if !execution.ignores_cache(node) && store.records().has_definition(definition)? {
        return Ok(None);
    }
    let files = store.layers().chain(&live.base.layers)?;
    let looked_at = looked_at(&files)?;
    let is_changed = |upper: &Path| {
        changes_root(&files, upper)
            || looked_at
                .iter()
                .any(|path| changes(&files, path, &upper.join(OsStr::from_bytes(path))))
    };
    let is_changed = live.uppers.iter().any(|upper| is_changed(&upper.place()));
    Ok((!is_changed).then(|| live.clone()))
}

/// Everything on the way to the account files, from the top: folders, links, what links lead to.
fn looked_at(files: &Chain) -> Result<Vec<Vec<u8>>, StepError> {
    let mut paths = Vec::new();
    for path in ACCOUNTS {
        files.resolve_by(path.as_bytes(), true, &mut |path| paths.push(path.to_vec()))?;
    }
    Ok(paths)
}

/// Whether an upper may show something else at a path. A folder that is there and was there shows the same, unless it hides what is
/// below it. What is above the path was looked at before, so `place` leads through no link.
fn changes(files: &Chain, path: &[u8], place: &Path) -> bool {
    let Ok(found) = place.symlink_metadata() else {
        return false;
    };
    let was_folder = files
        .lookup(path)
        .is_some_and(|found| matches!(found.entry.kind, EntryKind::Directory { .. }));
    !(found.is_dir() && was_folder) || is_opaque(place)
}

fn is_opaque(folder: &Path) -> bool {
    let mut value = [0_u8; 8];
    ["trusted.overlay.opaque", "user.overlay.opaque"]
        .iter()
        .any(|name| rustix::fs::lgetxattr(folder, *name, &mut value[..]).is_ok())
}

/// Whether the root folder has another mode or owner than in the layers below, or attributes: those are not asked for.
fn changes_root(files: &Chain, upper: &Path) -> bool {
    const PERMISSIONS: u32 = 0o7777;
    let root = files.root().entry;
    let Ok(found) = upper.symlink_metadata() else {
        return true;
    };
    let is_same = (found.mode() & PERMISSIONS, found.uid(), found.gid())
        == (root.mode & PERMISSIONS, root.uid, root.gid);
    !is_same || has_attributes(upper)
}

fn has_attributes(folder: &Path) -> bool {
    let mut names = [0_u8; 4096];
    let Ok(length) = rustix::fs::llistxattr(folder, &mut names[..]) else {
        // more than anybody has, or none at all
        return true;
    };
    let names = names.get(..length).unwrap_or_default();
    let mut names = names.split(|byte| *byte == 0);
    names.any(|name| name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}
