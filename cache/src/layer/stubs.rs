//! What stands in an upper only because something is mounted on it as long as a command runs. It is no change of the command's. Unaware of
//! what is mounted.

use std::collections::BTreeSet;

use crate::Chain;
use crate::layer::upper::{UpperEntry, UpperKind};

/// Leaves out what is empty and not below, at these paths and above them. Paths have no slash at their beginning.
pub(super) fn leave_out(entries: &mut Vec<UpperEntry>, points: &[Vec<u8>], below: &Chain) {
    let with_parents = points.iter().flat_map(|point| {
        let ends = point.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let parents = ends.map(|(end, _)| &point[..end]);
        parents.chain([&point[..]])
    });
    let paths: BTreeSet<&[u8]> = with_parents.filter(|path| !path.is_empty()).collect();
    // what is in a folder comes before it
    for path in paths.into_iter().rev() {
        if below.lookup(path).is_none() {
            let holds_more = entries.iter().any(|entry| is_in(&entry.path, path));
            entries.retain(|entry| *entry.path != *path || !is_empty(entry, holds_more));
        }
    }
}

fn is_in(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with(b"/"))
}

fn is_empty(entry: &UpperEntry, holds_more: bool) -> bool {
    match entry.kind {
        UpperKind::Directory { .. } => !holds_more,
        UpperKind::File { size } => size == 0,
        _ => false,
    }
}
