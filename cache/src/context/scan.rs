//! A scan: the walk's finds become a tree, and the stat index learns from them.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rayon::prelude::*;

use crate::context::stat_index::{Known, StatIndex, encode};
use crate::context::walk::{Found, Item, walk};
use crate::context::{ContextTree, Filter, ScanOptions};
use crate::path::parent;
use crate::{Chain, ContextError, EntryKind, Origin, Store, Tree};

/// Scans the folder `root`. The root itself is not an entry. Symbolic links are kept as they are, sockets left out.
///
/// # Errors
/// A selected file or an entered folder cannot be read.
pub fn scan(
    root: &Path,
    filter: &dyn Filter,
    options: &ScanOptions<'_>,
) -> Result<ContextTree, ContextError> {
    let saved = options.store.map(|store| (store, index_path(store, root)));
    let bytes = saved
        .as_ref()
        .and_then(|(_, path)| std::fs::read(path).ok());
    let index = bytes.map(StatIndex::load).unwrap_or_default();
    let mut found = walk(root, filter, &index)?;
    found
        .items
        .par_sort_unstable_by(|a, b| a.entry.path.cmp(&b.entry.path));
    if let Some((store, path)) = saved {
        save(store, &path, &index, &mut found, options.now);
    }
    drop_empty_parents(&mut found.items);
    number_links(&mut found.items);
    Ok(context(
        found.items,
        Origin::Directory(Arc::new(root.to_owned())),
    ))
}

/// A context of sorted items.
pub(crate) fn context(items: Vec<Item>, origin: Origin) -> ContextTree {
    let files = items.iter().filter(|item| item.entry.is_file());
    let (count, bytes) = files.fold((0, 0), |(count, bytes), item| {
        (count + 1, bytes + item.entry.size())
    });
    let digested = items.iter().filter(|item| item.was_digested).count() as u64;
    let tree = Arc::new(Tree::new(
        items.into_iter().map(|item| item.entry).collect(),
    ));
    let chain = Chain::new(vec![(tree.clone(), origin)]);
    ContextTree {
        tree,
        chain,
        files: count,
        bytes,
        digested,
    }
}

fn index_path(store: &Store, root: &Path) -> PathBuf {
    let root = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let hash = blake3::hash(root.as_os_str().as_bytes());
    store
        .root()
        .join("contexts")
        .join(format!("{}.idx", hash.to_hex()))
}

/// Writes the index when it would say something new. That it cannot be written is no reason to fail: the next scan reads more.
fn save(store: &Store, path: &Path, index: &StatIndex, found: &mut Found, now: SystemTime) {
    found.unvisited.sort_unstable();
    let mut kept = if found.unvisited.is_empty() {
        Vec::new()
    } else {
        index.below(&found.unvisited)
    };
    let is_settled = |item: &&Item| {
        item.signature
            .is_some_and(|signature| !signature.is_racy(now))
    };
    let settled = found.items.iter().filter(is_settled);
    let (mut count, mut is_new) = (kept.len(), false);
    for item in settled.clone() {
        count += 1;
        is_new |= item.was_digested;
    }
    if !is_new && count == index.len() {
        return;
    }
    kept.extend(settled.filter_map(known));
    if let Err(error) = store.scratch().write_file(path, &encode(kept)) {
        tracing::debug!(%error, "the context's stat index is not saved");
    }
}

fn known(item: &Item) -> Option<Known> {
    let EntryKind::File { content, .. } = item.entry.kind else {
        return None;
    };
    Some(Known {
        path: item.entry.path.clone(),
        signature: item.signature?,
        content,
    })
}

/// Directories that the filter left out stay only as parents of what it kept.
fn drop_empty_parents(items: &mut Vec<Item>) {
    if !items.iter().any(|item| item.only_as_parent) {
        return;
    }
    let mut parents: HashSet<Box<[u8]>> = HashSet::new();
    for item in items.iter().filter(|item| !item.only_as_parent) {
        let mut above = parent(&item.entry.path);
        while let Some(directory) = above.filter(|directory| parents.insert((*directory).into())) {
            above = parent(directory);
        }
    }
    items.retain(|item| !item.only_as_parent || parents.contains(&item.entry.path));
}

/// Numbers the groups of hard links that have several members in the context, in path order.
fn number_links(items: &mut [Item]) {
    let mut members: HashMap<(u64, u64), usize> = HashMap::new();
    for inode in items.iter().filter_map(|item| item.inode) {
        *members.entry(inode).or_default() += 1;
    }
    let mut numbers: HashMap<(u64, u64), u32> = HashMap::new();
    for item in items {
        let Some(inode) = item.inode.filter(|inode| members[inode] > 1) else {
            continue;
        };
        let next = u32::try_from(numbers.len() + 1).unwrap_or(u32::MAX);
        item.entry.links = *numbers.entry(inode).or_insert(next);
    }
}
