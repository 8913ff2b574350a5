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
                && tree
                    .entries()
                    .iter()
                    .all(|entry| has(view, &found, entry, has_same_ids))
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

/// Whether an entry has no attribute that the layer does not give it. Not every file system takes those that it gives.
fn are_given(shown: &Xattrs, entry: &Entry) -> bool {
    shown.iter().all(|xattr| entry.xattrs.contains(xattr))
}

/// The value; else whether it is missing for a lack of rights.
fn is_denied<T>(outcome: Result<T, CommitError>) -> Result<T, bool> {
    outcome.map_err(|error| {
        matches!(error, CommitError::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    })
}

fn has(view: &mut UpperDir, found: &[UpperEntry], entry: &Entry, has_same_ids: bool) -> bool {
    let is_device = matches!(entry.kind, EntryKind::Char { .. } | EntryKind::Block { .. });
    let Ok(at) = found.binary_search_by(|other| other.path.cmp(&entry.path)) else {
        // some views cannot hold devices
        return is_device;
    };
    let found = &found[at];
    let has_a_mode = !matches!(entry.kind, EntryKind::Whiteout | EntryKind::Symlink { .. });
    let is_like = |xattrs: &Xattrs| !has_same_ids || are_given(xattrs, entry);
    (!has_a_mode || found.mode == entry.mode) && is_same(view, found, &entry.kind, is_like)
}

/// `is_like`: whether attributes are as they should be.
fn is_same(
    view: &mut UpperDir,
    found: &UpperEntry,
    kind: &EntryKind,
    is_like: impl Fn(&Xattrs) -> bool,
) -> bool {
    match (&found.kind, kind) {
        (UpperKind::Directory { opaque: on, xattrs }, EntryKind::Directory { opaque }) => {
            (*on || !opaque) && is_like(xattrs)
        }
        (UpperKind::File { size: shown }, EntryKind::File { size, content, .. }) => {
            let is_right = |(shown, xattrs)| shown == *content && is_like(&xattrs);
            shown == size
                && is_denied(read(view, &found.path)).map_or_else(|denied| denied, is_right)
        }
        (shown, kind) => is_same_node(shown, kind),
    }
}

/// What has neither content nor attributes that count.
fn is_same_node(shown: &UpperKind, kind: &EntryKind) -> bool {
    match (shown, kind) {
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

/// The content of a file, and its attributes.
fn read(view: &mut UpperDir, path: &[u8]) -> Result<(ContentDigest, Xattrs), CommitError> {
    let (mut file, xattrs) = view.open_file(path)?;
    let content = ContentDigest::of_reader(&mut file);
    let content = content.map_err(|source| read_error("read", path, source))?;
    Ok((content, xattrs))
}
