//! Where picked files go: the entries that a COPY or ADD adds to its destination. Unaware of tars and of how files are read.
//!
//! Rules (BuildKit's copier): links in the destination are followed inside the root; missing parents are made 0755 and take
//! `--chown` and an octal `--chmod`; a directory merges into the destination and leaves its owner and mode alone, while directories
//! inside it look as in the source; a file never replaces a directory, a directory never replaces anything else; a file put
//! on a directory goes inside under its name.

mod resolve;
mod unpack;

use super::select::Picked;
use super::{base_name, join, parent, shown};
use crate::failure::CopyError;
use kiln_cache::{Chain, Entry, EntryKind, Found, Meta};
use kiln_parser::chmod::Chmod;
use resolve::Seen;
use std::collections::BTreeMap;

/// What stands at a path that is added.
#[derive(Debug, Clone)]
pub enum Content<'a> {
    /// A directory.
    Directory,
    /// An entry of the source with this number: a file, a link, a device.
    Entry(usize, &'a Entry, Option<usize>),
    /// A file with this content.
    Inline(&'a [u8]),
    /// Another name of the file that the destination has at this path.
    Below(Found<'a>, Vec<u8>),
}

impl Content<'_> {
    /// The entry that is copied, if it is one.
    fn entry(&self) -> Option<&Entry> {
        match self {
            Content::Entry(_, entry, _) | Content::Below(Found { entry, .. }, _) => Some(entry),
            Content::Directory | Content::Inline(_) => None,
        }
    }

    fn is_directory(&self) -> bool {
        matches!(self, Content::Directory) || self.entry().is_some_and(Entry::is_directory)
    }

    fn is_symlink(&self) -> bool {
        let is_link = |entry: &Entry| matches!(entry.kind, EntryKind::Symlink { .. });
        self.entry().is_some_and(is_link)
    }
}

/// An added path.
#[derive(Debug, Clone)]
pub struct Placed<'a> {
    /// Mode, owner, time and xattrs as they will be.
    pub meta: Meta,
    /// What it is.
    pub content: Content<'a>,
    /// Of the files of one source, those with the same number stay hard links of each other.
    pub group: usize,
}

/// How the metadata of what is copied changes.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    /// `--chown`, resolved.
    pub owner: Option<(u32, u32)>,
    /// `--chmod`.
    pub chmod: Option<&'a Chmod>,
    /// The time of directories that nobody described.
    pub now: i64,
    /// `SOURCE_DATE_EPOCH`: the time of everything that is added.
    pub epoch: Option<i64>,
}

impl Changes<'_> {
    /// Metadata of a copied entry.
    fn of_entry(&self, entry: &Entry) -> Meta {
        let mut meta = entry.meta();
        (meta.uid, meta.gid) = self.owner.unwrap_or((meta.uid, meta.gid));
        if !matches!(entry.kind, EntryKind::Symlink { .. })
            && let Some(chmod) = self.chmod
        {
            meta.mode = chmod.apply(meta.mode, entry.is_directory());
        }
        meta
    }

    /// Metadata of a directory that is made on the way.
    fn of_made_directory(&self) -> Meta {
        let mode = self.chmod.map_or(0o755, Chmod::of_made_directory);
        let mut meta = Meta::root(mode, self.now);
        (meta.uid, meta.gid) = self.owner.unwrap_or((0, 0));
        meta
    }

    /// Metadata of a file that comes from no entry.
    fn of_file(&self, mode: u32, mtime: i64) -> Meta {
        let mut meta = Meta::root(mode, mtime);
        (meta.uid, meta.gid) = self.owner.unwrap_or((0, 0));
        if let Some(chmod) = self.chmod {
            meta.mode = chmod.apply(meta.mode, false);
        }
        meta
    }
}

/// Collects what is added on top of a chain.
#[derive(Debug)]
pub struct Placement<'a> {
    below: &'a Chain,
    changes: Changes<'a>,
    placed: BTreeMap<Vec<u8>, Placed<'a>>,
    overwritten: BTreeMap<Vec<u8>, Overwritten>,
    /// What is being put belongs to this group.
    group: usize,
}

/// Files that were put where another one of the same instruction was put before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overwritten {
    /// How many are lost.
    pub lost: usize,
    /// The source path of the first that is lost.
    pub first: String,
}
impl<'a> Placement<'a> {
    /// Starts with nothing added. For `--link`, `below` is an empty chain.
    pub fn new(below: &'a Chain, changes: Changes<'a>) -> Self {
        Placement {
            below,
            changes,
            placed: BTreeMap::new(),
            overwritten: BTreeMap::new(),
            group: 0,
        }
    }

    /// Files that nobody will find, by path. Directories that merge, and what an archive repeats, are meant so.
    pub fn overwritten(&self) -> &BTreeMap<Vec<u8>, Overwritten> {
        &self.overwritten
    }

    /// What was added, by path.
    pub fn finish(self) -> BTreeMap<Vec<u8>, Placed<'a>> {
        self.placed
    }

    /// Puts something picked from source number `source` at `destination` (absolute; a trailing slash means a directory).
    ///
    /// # Errors
    /// When a file meets a directory or the other way round.
    pub fn put(
        &mut self,
        source: usize,
        picked: &Picked<'a>,
        destination: &str,
    ) -> Result<(), CopyError> {
        self.group = picked.group;
        let target = self.target(destination, picked)?;
        if let Some((relative, parents)) = &picked.below_pivot {
            self.put_parents(&target, relative, parents)?;
        }
        let root = picked.root;
        if !root.entry.is_directory() {
            self.note_overwritten(&target, Some(root.entry));
            return self.put_entry(source, root, target);
        }
        match self.see(&target) {
            Seen::Nothing if picked.below_pivot.is_some() => {
                self.put_entry(source, root, target.clone())?;
            }
            _ => self.make_directories(&target)?,
        }
        for (relative, found) in &picked.content {
            self.put_entry(source, *found, join(&target, relative))?;
        }
        Ok(())
    }

    /// Puts a file made from bytes, as a heredoc.
    pub fn put_inline(
        &mut self,
        name: &str,
        content: &'a [u8],
        destination: &str,
    ) -> Result<(), CopyError> {
        let target = self.file_target(destination, name.as_bytes())?;
        self.note_overwritten(&target, None);
        let meta = self.changes.of_file(0o644, self.changes.now);
        self.put_file(target, meta, Content::Inline(content))
    }

    fn directory(&mut self, destination: &str) -> Result<Vec<u8>, CopyError> {
        let target = self.resolve(destination.trim_matches('/').as_bytes())?;
        self.make_directories(&target)?;
        Ok(target)
    }

    /// Makes directories up to and including `path` (resolved), 0755 with `--chown`.
    pub fn make_directories(&mut self, path: &[u8]) -> Result<(), CopyError> {
        for prefix in prefixes(path) {
            match self.see(prefix) {
                Seen::Directory => {}
                Seen::Nothing => {
                    let meta = self.changes.of_made_directory();
                    self.insert(prefix.to_vec(), meta, Content::Directory);
                }
                Seen::Link(_) | Seen::Other => return Err(CopyError::NotADirectory(shown(prefix))),
            }
        }
        Ok(())
    }

    fn insert(&mut self, path: Vec<u8>, mut meta: Meta, content: Content<'a>) {
        let group = self.group;
        meta.mtime = self.changes.epoch.unwrap_or(meta.mtime);
        let placed = Placed {
            meta,
            content,
            group,
        };
        self.placed.insert(path, placed);
    }

    /// The resolved path at which a picked thing itself goes.
    fn target(&mut self, destination: &str, picked: &Picked<'a>) -> Result<Vec<u8>, CopyError> {
        if let Some((relative, _)) = &picked.below_pivot {
            let folder = self.directory(destination)?;
            return Ok(join(&folder, relative));
        }
        if picked.root.entry.is_directory() {
            return self.resolve(destination.trim_matches('/').as_bytes());
        }
        self.file_target(destination, &picked.name)
    }

    fn file_target(&mut self, destination: &str, name: &[u8]) -> Result<Vec<u8>, CopyError> {
        let target = self.resolve(destination.trim_matches('/').as_bytes())?;
        let inside = destination.ends_with('/') || matches!(self.see(&target), Seen::Directory);
        if inside {
            self.make_directories(&target)?;
            return Ok(join(&target, name));
        }
        self.make_directories(parent(&target))?;
        Ok(target)
    }

    /// `--parents`: the directories between the destination and the thing look as they do in the source. Those that were
    /// there before take only the mode.
    fn put_parents(
        &mut self,
        target: &[u8],
        relative: &[u8],
        parents: &[Found<'a>],
    ) -> Result<(), CopyError> {
        let root = target.len() - relative.len();
        let ends = (root..target.len()).filter(|at| target[*at] == b'/');
        for (end, found) in ends.zip(parents) {
            let path = &target[..end];
            let meta = match self.see(path) {
                Seen::Directory => self.existing(path).map(|there| Meta {
                    mode: found.entry.mode,
                    ..there
                }),
                Seen::Nothing => Some(self.changes.of_entry(found.entry)),
                Seen::Link(_) | Seen::Other => return Err(CopyError::NotADirectory(shown(path))),
            };
            if let Some(meta) = meta {
                self.insert(path.to_vec(), meta, Content::Directory);
            }
        }
        Ok(())
    }

    /// What a directory that was there before looks like.
    fn existing(&self, path: &[u8]) -> Option<Meta> {
        if self.placed.contains_key(path) {
            return None;
        }
        self.below.lookup(path).map(|found| found.entry.meta())
    }

    fn put_entry(
        &mut self,
        source: usize,
        Found { entry, layer }: Found<'a>,
        target: Vec<u8>,
    ) -> Result<(), CopyError> {
        let meta = self.changes.of_entry(entry);
        if !entry.is_directory() {
            return self.put_file(target, meta, Content::Entry(source, entry, layer));
        }
        match self.see(&target) {
            Seen::Directory | Seen::Nothing => {
                self.insert(target, meta, Content::Directory);
                Ok(())
            }
            Seen::Link(_) | Seen::Other => Err(CopyError::NotADirectory(shown(&target))),
        }
    }

    /// A file is going to be put at `target`, `by` an entry of a source; the same one may come twice.
    fn note_overwritten(&mut self, target: &[u8], by: Option<&Entry>) {
        let first = match self.placed.get(target).map(|placed| &placed.content) {
            Some(Content::Entry(_, entry, _)) if by != Some(entry) => shown(&entry.path),
            Some(Content::Inline(_)) => "<<".to_owned() + &shown(base_name(target)),
            _ => return,
        };
        let found = self.overwritten.entry(target.to_vec());
        found.or_insert(Overwritten { lost: 0, first }).lost += 1;
    }

    fn put_file(
        &mut self,
        target: Vec<u8>,
        meta: Meta,
        content: Content<'a>,
    ) -> Result<(), CopyError> {
        if matches!(self.see(&target), Seen::Directory) {
            return Err(CopyError::DirectoryInTheWay(shown(&target)));
        }
        self.insert(target, meta, content);
        Ok(())
    }
}

/// `a`, `a/b`, `a/b/c` of `a/b/c`.
fn prefixes(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = (0..path.len()).filter(|at| path[*at] == b'/');
    let inner = slashes.map(|at| &path[..at]);
    inner.chain(Some(path)).filter(|prefix| !prefix.is_empty())
}
