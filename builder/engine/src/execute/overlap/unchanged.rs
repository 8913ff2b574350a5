//! Whether uppers leave unchanged what is read of the files below before a command starts: who it runs as, and what the root folder is
//! like. These are read in finished layers, so an upper that may have changed any of it is waited for. Unaware of how the command is
//! started.

use crate::execute::live::LiveUpper;
use crate::execute::operation::ACCOUNTS;
use crate::failure::StepError;
use kiln_cache::{Chain, EntryKind};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// Whether all of these uppers show it as `files` do.
pub(super) fn in_all(files: &Chain, uppers: &[Arc<LiveUpper>]) -> Result<bool, StepError> {
    let looked_at = looked_at(files)?;
    let is_changed =
        |upper: &Path, path: &Vec<u8>| changes(files, path, &upper.join(OsStr::from_bytes(path)));
    let is_unchanged = |upper: &Path| {
        !changes_root(files, upper) && !looked_at.iter().any(|path| is_changed(upper, path))
    };
    Ok(uppers.iter().all(|upper| is_unchanged(&upper.place().path)))
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
        // There are more than anybody uses, or the file system has no attributes.
        return true;
    };
    let names = names.get(..length).unwrap_or_default();
    let mut names = names.split(|byte| *byte == 0);
    names.any(|name| name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}
