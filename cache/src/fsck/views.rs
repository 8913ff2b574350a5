//! Whether a view shows what its layer says.
//!
//! It shows that and nothing else, since the layer may lie on other files than those that it was made on. Owners are as the id map
//! has them and times are no part of what a step depends on; neither is compared.

use std::io;

use crate::layer::upper::{UpperDir, UpperEntry, UpperKind, read_error};
use crate::{CommitError, ContentDigest, Entry, EntryKind, Tree};

/// What cannot be read for lack of rights, because the view was made for another id map, is taken as it should be.
pub(super) fn is_like(view: &mut UpperDir, tree: &Tree) -> bool {
    is_denied(view.walk()).map_or_else(
        |denied| denied,
        |found| {
            let is_of_tree =
                |found: &UpperEntry| found.path.is_empty() || tree.get(&found.path).is_some();
            found.iter().all(is_of_tree)
                && tree.entries().iter().all(|entry| has(view, &found, entry))
        },
    )
}

/// The value; else whether it is missing for a lack of rights.
fn is_denied<T>(outcome: Result<T, CommitError>) -> Result<T, bool> {
    outcome.map_err(|error| {
        matches!(error, CommitError::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    })
}

fn has(view: &mut UpperDir, found: &[UpperEntry], entry: &Entry) -> bool {
    let is_device = matches!(entry.kind, EntryKind::Char { .. } | EntryKind::Block { .. });
    let Ok(at) = found.binary_search_by(|other| other.path.cmp(&entry.path)) else {
        // some views cannot hold devices
        return is_device;
    };
    let found = &found[at];
    let has_a_mode = !matches!(entry.kind, EntryKind::Whiteout | EntryKind::Symlink { .. });
    (!has_a_mode || found.mode == entry.mode) && is_same(view, found, &entry.kind)
}

fn is_same(view: &mut UpperDir, found: &UpperEntry, kind: &EntryKind) -> bool {
    match (&found.kind, kind) {
        (UpperKind::Directory { opaque: shown, .. }, EntryKind::Directory { opaque }) => {
            *shown || !opaque
        }
        (UpperKind::File { size: shown }, EntryKind::File { size, content, .. }) => {
            shown == size
                && is_denied(content_of(view, &found.path))
                    .map_or_else(|denied| denied, |shown| shown == *content)
        }
        (UpperKind::Symlink { target: shown }, EntryKind::Symlink { target }) => {
            **shown == **target
        }
        (UpperKind::Char { major: a, minor: b }, EntryKind::Char { major, minor })
        | (UpperKind::Block { major: a, minor: b }, EntryKind::Block { major, minor }) => {
            (a, b) == (major, minor)
        }
        (UpperKind::Fifo, EntryKind::Fifo) | (UpperKind::Whiteout, EntryKind::Whiteout) => true,
        _ => false,
    }
}

fn content_of(view: &mut UpperDir, path: &[u8]) -> Result<ContentDigest, CommitError> {
    let (mut file, _) = view.open_file(path)?;
    let content = ContentDigest::of_reader(&mut file);
    content.map_err(|source| read_error("read", path, source))
}
