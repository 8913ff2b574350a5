//! Copies of a whole chain, for RUN where nothing can be mounted over it: one tree on disk that belongs to one step. What the step
//! changed in it is found by a walk (`layer/copied.rs`). Unaware of who runs in it.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use kiln_oci::Digest;
use rustix::fs::{AtFlags, statat, utimensat};

use crate::beneath::{open_dir, open_root};
use crate::layer::copied::state::TreeState;
use crate::layer::upper::UpperDir;
use crate::path::{name, parent};
use crate::view::target::times;
use crate::view::unpack::{Piece, Tars, unpack_pieces};
use crate::{Chain, CommitError, Entry, EntryKind, StoreError, Views, Work};

/// A copy of a chain, in this process's scratch.
#[derive(Debug)]
pub struct CopiedTree {
    /// Its root.
    pub path: PathBuf,
    /// Devices of the chain that this process may not make.
    pub(crate) absent: HashSet<Box<[u8]>>,
    /// What was in it when it was last like a chain.
    pub(crate) state: TreeState,
    /// Whether it is like the chain that it is a copy of, and the layer that was made of it. Not if that layer says less of names of one file
    /// than the tree has.
    pub is_current: bool,
}

impl CopiedTree {
    fn made(path: PathBuf, absent: HashSet<Box<[u8]>>) -> Result<Self, CommitError> {
        let (_, state) = TreeState::look(&UpperDir::open_unmarked(&path)?)?;
        Ok(Self {
            path,
            absent,
            state,
            is_current: true,
        })
    }
}

impl Views<'_> {
    /// Copies what shows of these layers, bottom first. Not to be called from a worker thread of rayon.
    ///
    /// # Errors
    /// A layer is missing, or the disk is full.
    pub fn copy_tree(&self, diff_ids: &[Digest]) -> Result<CopiedTree, CommitError> {
        self.store.leases().pin(diff_ids)?;
        self.store.fetch().layers(diff_ids)?;
        let chain = self.store.layers().chain(diff_ids)?;
        let layers = diff_ids
            .iter()
            .map(|diff_id| self.store.layers().get(diff_id));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let pieces = pieces(&chain);
        let path = self.store.scratch().dir("tree")?;
        // what was opaque in a layer is merged: the marks mean nothing here
        let total = pieces.iter().map(|piece| piece.entry.size()).sum();
        let count = format!("{} layers", layers.len());
        let meter = self.store.meter(Work::Unpack, count, total);
        let target = self.target().unmarked();
        unpack_pieces(&pieces, &Tars::open(&layers)?, &path, target, &|bytes| {
            meter.add(bytes)
        })?;
        meter.end();
        let absent = absent(&chain, &path)?;
        CopiedTree::made(path, absent)
    }

    /// Gives a copy the times of a layer that equals its top one in all else.
    ///
    /// # Errors
    /// The layer is missing, or the copy is not what it is said to be.
    pub fn retime(&self, copy: &mut CopiedTree, diff_id: &Digest) -> Result<(), CommitError> {
        let (layer, _) = self.store.layers().get(diff_id)?.origin();
        let is_there = |entry: &&Entry| {
            entry.kind != EntryKind::Whiteout && !copy.absent.contains(&entry.path)
        };
        let root = open_root(&copy.path);
        let set = root.and_then(|root| {
            let mut entries = layer.entries().iter().filter(is_there);
            entries.try_for_each(|entry| set_time(root.as_fd(), entry))
        });
        set.map_err(|source| StoreError::io("give times to", &copy.path, source))?;
        (_, copy.state) = TreeState::look(&UpperDir::open_unmarked(&copy.path)?)?;
        Ok(())
    }
}

fn set_time(root: BorrowedFd<'_>, entry: &Entry) -> io::Result<()> {
    let folder = open_dir(root, parent(&entry.path).unwrap_or_default())?;
    let name = match name(&entry.path) {
        b"" => b".",
        name => name,
    };
    let times = times(entry.mtime);
    Ok(utimensat(&folder, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// What shows of a chain.
fn pieces(chain: &Chain) -> Vec<Piece<'_>> {
    let found = chain.walk(b"").into_iter();
    let pieces = found.map(|found| Piece {
        entry: found.entry,
        tar: found.layer.unwrap_or(0),
    });
    pieces.collect()
}

/// The devices that are not there.
fn absent(chain: &Chain, path: &std::path::Path) -> Result<HashSet<Box<[u8]>>, StoreError> {
    let failed = |source| StoreError::io("read", path, source);
    let root = open_root(path).map_err(failed)?;
    let mut absent = HashSet::new();
    for found in chain.walk(b"") {
        if !is_device(found.entry) {
            continue;
        }
        let entry = &found.entry.path;
        let folder = open_dir(root.as_fd(), parent(entry).unwrap_or_default()).map_err(failed)?;
        if statat(&folder, name(entry), AtFlags::SYMLINK_NOFOLLOW).is_err() {
            absent.insert(entry.clone());
        }
    }
    Ok(absent)
}

fn is_device(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Char { .. } | EntryKind::Block { .. })
}
