//! Reading a layer's tar, ours or anybody's, to an index.
//!
//! Foreign tars come in any order, with `./` prefixes, duplicates, missing parents and links through symbolic links; what
//! counts is what unpacking them in order would give:
//!
//! - The last entry of a path wins; a directory given twice keeps its content, anything else replaces what was there.
//! - Absolute paths are below the root. `..` may go back what the same name went, and no further: a name that climbs over the root is
//!   refused, as docker refuses it; only in an archive that ADD unpacks it stays inside. A parent that is a symbolic link of the same
//!   layer is followed, and stays inside.
//! - Parents that nobody describes are 0755, root's, from 1970.
//! - `.wh.x` hides `x` of lower layers and `.wh..wh..opq` all that they have in its directory, wherever in the tar they stand; an
//!   entry beats a whiteout of its own layer, and a directory that has one is opaque. Other `.wh..wh.` names (AUFS's own) are skipped.
//! - A hard link is the inode that its target is at that point, also when the target comes later; one into a lower layer is refused, as
//!   docker, podman and containerd refuse it on overlayfs. Those that copy whole layers (vfs, native) take it: nobody can count on it.
//! - Character device 0:0 is overlayfs's own whiteout and is skipped: nothing outside may make one in a view.

mod archive;
mod keep;

pub use archive::{OutsideLink, index_archive};

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use kiln_oci::Digested;
use kiln_oci::tarfile::{Entries, Entry as TarEntry, Kind};

use crate::entry::keeps_xattr;
use crate::path::{
    MAX_NAME, MAX_PATH, clean, climbs, components, display, is_within, join, leaves, name, parent,
};
use crate::store::sink::read_full;
use crate::{ContentDigest, ContentHasher, Entry, EntryKind, LayerError, LayerIndex, Meta, Tree};
use archive::OutsideLinks;
pub use keep::{Keeper, Kept, Watch};

/// More entries than any layer that could be unpacked in a day.
const MAX_ENTRIES: u64 = 16_000_000;
/// Bytes of all paths together, implied parents included: bounds what a small hostile tar can make of itself.
const MAX_NAMES: u64 = 2 << 30;
/// Bytes of paths of parents that nobody describes: so many, and this many times what the tar itself names. A path of 4 KiB can have
/// 2000 parents of 2 KiB.
const MAX_IMPLIED: (u64, u64) = (64 << 20, 8);
/// Symbolic links that one path may go through, as in the kernel.
const MAX_LINKS: usize = 40;

/// Reads an uncompressed layer tar to its end: digest, entries, content digests.
///
/// # Errors
/// The tar is malformed or holds what layers cannot.
pub fn index_tar(reader: impl Read) -> Result<LayerIndex, LayerError> {
    index_tar_watched(reader, &mut ())
}

/// The same; the content of files is shown to `watch` while it passes by.
///
/// # Errors
/// As [`index_tar`].
pub fn index_tar_watched(
    reader: impl Read,
    watch: &mut dyn Watch,
) -> Result<LayerIndex, LayerError> {
    let mut reader = Digested::new(reader);
    let mut draft = Draft::default();
    read_into(&mut draft, &mut reader, watch)?;
    let tree = draft.finish()?;
    let (diff_id, tar_size) = reader.finish().map_err(read_failed)?;
    Ok(LayerIndex {
        diff_id,
        tar_size,
        tree: tree.into(),
    })
}

/// Reads the entries of a tar, and all bytes up to the end of the reader.
pub(crate) fn read_tree(reader: &mut impl Read) -> Result<Tree, LayerError> {
    let mut draft = Draft::default();
    read_into(&mut draft, reader, &mut ())?;
    draft.finish()
}

fn read_into(
    draft: &mut Draft,
    reader: &mut impl Read,
    watch: &mut dyn Watch,
) -> Result<(), LayerError> {
    let mut buffer = vec![0; 64 << 10];
    let mut entries = Entries::new(&mut *reader);
    while let Some(entry) = entries.next_entry().map_err(LayerError::Tar)? {
        let content = if entry.kind == Kind::File {
            let content = &mut entries.content();
            let digest = match watch.begin(&clean(&entry.path), entry.size) {
                true => digest_content(content, &mut buffer, watch),
                false => digest_content(content, &mut buffer, &mut ()),
            };
            digest.map_err(read_failed)?
        } else {
            ContentDigest::NONE
        };
        draft.add(entry, content)?;
    }
    drop(entries);
    io::copy(reader, &mut io::sink())
        .map(drop)
        .map_err(read_failed)
}

/// What is read is shown to `watch` too.
fn digest_content(
    reader: &mut impl Read,
    buffer: &mut [u8],
    watch: &mut dyn Watch,
) -> io::Result<ContentDigest> {
    let mut hasher = ContentHasher::new();
    loop {
        let count = read_full(reader, buffer)?;
        hasher.update(&buffer[..count]);
        watch.see(&buffer[..count]);
        if count < buffer.len() {
            watch.end();
            return Ok(hasher.finish());
        }
    }
}

fn read_failed(source: io::Error) -> LayerError {
    LayerError::Tar(source.into())
}

/// The tree as unpacking would leave it so far.
#[derive(Default)]
struct Draft {
    entries: BTreeMap<Box<[u8]>, Entry>,
    whiteouts: BTreeSet<Box<[u8]>>,
    opaques: BTreeSet<Box<[u8]>>,
    /// Hard links whose target has not come yet, in order.
    pending: Vec<(Vec<u8>, Vec<u8>)>,
    /// Of an archive that is unpacked onto other files: hard links to these.
    outside: Option<OutsideLinks>,
    /// The first name with `..` in it.
    climbing: Option<Box<str>>,
    has_symlinks: bool,
    link_groups: u32,
    count: u64,
    name_bytes: u64,
    implied_bytes: u64,
}

impl Draft {
    fn add(&mut self, entry: TarEntry, content: ContentDigest) -> Result<(), LayerError> {
        self.count(&entry.path)?;
        self.climb(&entry.path)?;
        let path = self.place(&entry.path)?;
        let is_root_of_archive = path.is_empty() && self.outside.is_some();
        let is_overlay_whiteout = entry.kind == Kind::CharDevice && entry.device == (0, 0);
        if is_root_of_archive || self.hides(&path) || is_overlay_whiteout {
            return Ok(());
        }
        if entry.kind == Kind::HardLink {
            return self.add_link(path, entry);
        }
        self.insert(converted(&path, entry, content))
    }

    /// Takes note of a marker of deletions; whether it is one, or another name that AUFS keeps for itself.
    fn hides(&mut self, path: &[u8]) -> bool {
        let (directory, base) = (parent(path).unwrap_or_default(), name(path));
        if components(path).any(|part| part.starts_with(b".wh..wh.")) {
            if base == b".wh..wh..opq" {
                self.opaques.insert(directory.into());
            }
            return true;
        }
        let Some(hidden) = base.strip_prefix(b".wh.") else {
            return false;
        };
        if !matches!(hidden, b"" | b"." | b"..") {
            self.whiteouts.insert(join(directory, hidden).into());
        }
        true
    }

    fn add_link(&mut self, path: Vec<u8>, entry: TarEntry) -> Result<(), LayerError> {
        self.climb(&entry.link)?;
        let target = self.place(&entry.link)?;
        if self.link(&path, &target)? {
            return Ok(());
        }
        if self.outside.is_some() {
            return self.link_outside(&path, &target, entry);
        }
        self.pending.push((path, target));
        Ok(())
    }

    /// Bounds what the tar may claim.
    fn count(&mut self, path: &[u8]) -> Result<(), LayerError> {
        self.count += 1;
        if self.count > MAX_ENTRIES {
            return Err(LayerError::TooMuch {
                what: "entries",
                limit: MAX_ENTRIES,
            });
        }
        self.name(path)?;
        if path.len() > MAX_PATH + 1 || path.contains(&0) {
            return Err(LayerError::bad_name(path));
        }
        Ok(())
    }

    /// Refuses a name that leads out of the layer, and remembers one that only looks so. ADD unpacks an archive as from the root of a
    /// file system, where `..` is the root itself.
    fn climb(&mut self, stored: &[u8]) -> Result<(), LayerError> {
        if self.outside.is_some() || !climbs(stored) {
            return Ok(());
        }
        let path = display(&stored[..stored.len().min(128)]);
        if leaves(stored) {
            return Err(LayerError::Outside { path });
        }
        self.climbing.get_or_insert_with(|| path.into());
        Ok(())
    }

    /// Where an entry with this name goes: its parents' symbolic links are followed within the layer.
    fn place(&self, stored: &[u8]) -> Result<Vec<u8>, LayerError> {
        let path = clean(stored);
        if path.len() > MAX_PATH || components(&path).any(|part| part.len() > MAX_NAME) {
            return Err(LayerError::bad_name(&path));
        }
        if !self.has_symlinks {
            return Ok(path);
        }
        let (mut done, mut links): (Vec<u8>, _) = (Vec::new(), 0);
        let mut todo: Vec<&[u8]> = components(&path).rev().collect();
        while let Some(part) = todo.pop() {
            if part == b".." {
                done.truncate(parent(&done).unwrap_or_default().len());
                continue;
            }
            let next = join(&done, part);
            let Some(target) = self.link_text(&next).filter(|_| !todo.is_empty()) else {
                done = next;
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(LayerError::bad_name(&path));
            }
            if target.first() == Some(&b'/') {
                done.clear();
            }
            todo.extend(components(target).rev().filter(|part| *part != b"."));
        }
        if done.len() > MAX_PATH {
            return Err(LayerError::bad_name(&done));
        }
        Ok(done)
    }

    /// Where the symbolic link at `path` leads, if there is one.
    fn link_text(&self, path: &[u8]) -> Option<&[u8]> {
        match &self.entries.get(path)?.kind {
            EntryKind::Symlink { target } => Some(target),
            _ => None,
        }
    }

    /// Makes `path` another name of `target`; `false` when there is no such thing yet.
    fn link(&mut self, path: &[u8], target: &[u8]) -> Result<bool, LayerError> {
        let first = self.entries.get_mut(target);
        let Some(first) = first.filter(|entry| !entry.is_directory()) else {
            return Ok(false);
        };
        if path == target {
            return Ok(true);
        }
        if first.links == 0 {
            self.link_groups += 1;
            first.links = self.link_groups;
        }
        let entry = Entry {
            path: path.into(),
            ..first.clone()
        };
        self.insert(entry).map(|()| true)
    }

    fn insert(&mut self, entry: Entry) -> Result<(), LayerError> {
        if entry.path.is_empty() && !entry.is_directory() {
            return Err(LayerError::Unsupported {
                path: "/".to_owned(),
                kind: "no directory".to_owned(),
            });
        }
        self.make_parents(&entry.path)?;
        let old = self.entries.get(&entry.path);
        if old.is_some_and(Entry::is_directory) && !entry.is_directory() {
            self.remove_below(&entry.path.clone());
        }
        if let Some(outside) = &mut self.outside {
            outside.remove(&entry.path);
        }
        self.has_symlinks |= matches!(entry.kind, EntryKind::Symlink { .. });
        self.entries.insert(entry.path.clone(), entry);
        Ok(())
    }

    /// Directories above `path`; anything else that stands there gives way.
    fn make_parents(&mut self, path: &[u8]) -> Result<(), LayerError> {
        let mut missing = Vec::new();
        let mut above = parent(path);
        while let Some(directory) = above.filter(|directory| !directory.is_empty()) {
            if self.entries.get(directory).is_some_and(Entry::is_directory) {
                break;
            }
            missing.push(directory);
            above = parent(directory);
        }
        for directory in missing {
            self.imply(directory)?;
            self.entries
                .insert(directory.into(), Entry::implied_directory(directory));
        }
        Ok(())
    }

    fn remove_below(&mut self, path: &[u8]) {
        let first: Box<[u8]> = [path, b"/"].concat().into();
        let below = self.entries.range(first..).map(|(path, _)| path);
        let gone: Vec<_> = below
            .take_while(|other| is_within(other, path))
            .cloned()
            .collect();
        for path in gone {
            self.entries.remove(&path);
        }
        if let Some(outside) = &mut self.outside {
            outside.retain(|other, _| !is_within(other, path));
        }
    }

    fn imply(&mut self, directory: &[u8]) -> Result<(), LayerError> {
        self.name(directory)?;
        self.implied_bytes += directory.len() as u64;
        let named = self.name_bytes - self.implied_bytes;
        let limit = MAX_IMPLIED.0 + named.saturating_mul(MAX_IMPLIED.1);
        if self.implied_bytes > limit {
            return Err(LayerError::TooMuch {
                what: "bytes of names of directories that it does not describe",
                limit,
            });
        }
        Ok(())
    }

    fn name(&mut self, path: &[u8]) -> Result<(), LayerError> {
        self.name_bytes += path.len() as u64;
        if self.name_bytes > MAX_NAMES {
            return Err(LayerError::TooMuch {
                what: "bytes of names",
                limit: MAX_NAMES,
            });
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Tree, LayerError> {
        for (path, target) in std::mem::take(&mut self.pending) {
            if !self.link(&path, &target)? {
                return Err(LayerError::LinkTarget {
                    path: display(&path),
                    target: display(&target),
                });
            }
        }
        for path in std::mem::take(&mut self.whiteouts) {
            match self.entries.get(&path) {
                Some(entry) if entry.is_directory() => drop(self.opaques.insert(path)),
                Some(_) => {}
                None => self.insert(Entry::whiteout(&path))?,
            }
        }
        for path in std::mem::take(&mut self.opaques) {
            self.make_parents(&join(&path, b"x"))?;
            let implied = || Entry::implied_directory(&path);
            let entry = self.entries.entry(path.clone()).or_insert_with(implied);
            if entry.is_directory() {
                entry.kind = EntryKind::Directory { opaque: true };
            }
        }
        let mut entries: Vec<Entry> = self.entries.into_values().collect();
        forget_single_links(&mut entries);
        Ok(Tree::new(entries).with_climbing(self.climbing))
    }
}

/// A link group whose other names were replaced is no group; the rest is numbered in path order.
fn forget_single_links(entries: &mut [Entry]) {
    let mut members: BTreeMap<u32, u32> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.links != 0) {
        *members.entry(entry.links).or_default() += 1;
    }
    let mut numbers: BTreeMap<u32, u32> = BTreeMap::new();
    for entry in entries.iter_mut().filter(|entry| entry.links != 0) {
        let next = numbers.len() as u32 + 1;
        entry.links = match members[&entry.links] {
            1 => 0,
            _ => *numbers.entry(entry.links).or_insert(next),
        };
    }
}

fn converted(path: &[u8], entry: TarEntry, content: ContentDigest) -> Entry {
    let (major, minor) = entry.device;
    let is_symlink = entry.kind == Kind::Symlink;
    let kind = match entry.kind {
        // hard links do not come here; one without content is an empty file
        Kind::File | Kind::HardLink => EntryKind::File {
            size: entry.size,
            offset: entry.offset,
            content,
        },
        Kind::Directory => EntryKind::Directory { opaque: false },
        Kind::Symlink => EntryKind::Symlink {
            target: entry.link.into(),
        },
        Kind::CharDevice => EntryKind::Char { major, minor },
        Kind::BlockDevice => EntryKind::Block { major, minor },
        Kind::Fifo => EntryKind::Fifo,
    };
    let xattrs = entry.xattrs.into_iter();
    let kept = xattrs.filter(|(name, _)| keeps_xattr(name));
    let meta = Meta {
        mode: if is_symlink { 0o777 } else { entry.mode },
        uid: entry.uid,
        gid: entry.gid,
        mtime: entry.mtime,
        xattrs: kept
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
    };
    Entry::new(path, kind, meta)
}
