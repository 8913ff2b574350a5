//! Whether a view shows what its layer says.
//!
//! It shows that and nothing else, since the layer may lie on other files than those that it was made on. Where an id map changes the
//! owners, each of the layer's has one in the view. Times are no part of what a step depends on, and are not compared.

use std::collections::BTreeMap;
use std::io;

use crate::layer::upper::{UpperDir, UpperEntry, UpperKind, read_error};
use crate::{CommitError, ContentDigest, Entry, EntryKind, Tree, Xattrs};

/// What cannot be read for lack of rights, because the view was made for another id map, is taken as it should be.
pub(super) fn is_like(view: &mut UpperDir, tree: &Tree, has_same_ids: bool) -> bool {
    is_denied(view.walk()).map_or_else(
        |denied| denied,
        |found| {
            let is_of_tree =
                |found: &UpperEntry| found.path.is_empty() || tree.get(&found.path).is_some();
            found.iter().all(is_of_tree)
                && has_inodes(&found, tree, has_same_ids)
                && tree.entries().iter().all(|entry| has(view, &found, entry))
                && (!has_same_ids || has_xattrs(view, &found, tree))
        },
    )
}

/// Whether owners and hard links are those of the layer. A device may be missing, and a whiteout has neither.
fn has_inodes(found: &[UpperEntry], tree: &Tree, has_same_ids: bool) -> bool {
    let (mut uids, mut gids, mut inodes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let entries = tree.entries().iter();
    let mut entries = entries.filter(|entry| !matches!(entry.kind, EntryKind::Whiteout));
    entries.all(|entry| {
        let Ok(at) = found.binary_search_by(|other| other.path.cmp(&entry.path)) else {
            return true;
        };
        let shown = &found[at];
        let is_same = (shown.uid, shown.gid) == (entry.uid, entry.gid);
        let has_owner = *uids.entry(entry.uid).or_insert(shown.uid) == shown.uid
            && *gids.entry(entry.gid).or_insert(shown.gid) == shown.gid;
        let has_inode =
            entry.links == 0 || *inodes.entry(entry.links).or_insert(shown.inode) == shown.inode;
        has_inode && has_owner && (is_same || !has_same_ids)
    })
}

/// Whether no file or folder has an attribute that the layer does not give it. Not every file system takes those that it gives.
fn has_xattrs(view: &mut UpperDir, found: &[UpperEntry], tree: &Tree) -> bool {
    let is_given = |xattrs: &Xattrs, path: &[u8]| {
        let given = tree.get(path).map(|entry| &entry.xattrs);
        xattrs
            .iter()
            .all(|xattr| given.is_some_and(|given| given.contains(xattr)))
    };
    found.iter().all(|shown| match &shown.kind {
        UpperKind::Directory { xattrs, .. } => is_given(xattrs, &shown.path),
        UpperKind::File { .. } => is_denied(view.open_file(&shown.path)).map_or_else(
            |denied| denied,
            |(_, xattrs)| is_given(&xattrs, &shown.path),
        ),
        _ => true,
    })
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
