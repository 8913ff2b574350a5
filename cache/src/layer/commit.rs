//! A RUN's upper becomes a layer: what differs from below, written canonically.
//!
//! Overlayfs copies a file up as soon as it is opened for writing, and its parents with it; so an upper holds more than what
//! changed. What is below is known from the chain's index.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::chain::level::Level;
use crate::layer::upper::{UpperDir, UpperEntry, UpperKind, read_error};
use crate::path::{name, parent};
use crate::{
    Chain, CommitError, ContentDigest, ContentHasher, Entry, EntryKind, Found, Layer, LayerWriter,
    Layers, Meta, Xattrs,
};

/// How an upper becomes a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitOptions {
    /// No time in the layer is later than this (`SOURCE_DATE_EPOCH`).
    pub clamp_mtime: Option<i64>,
    /// The user namespace has a single id, so the owners on disk mean nothing: a path that exists below keeps the owner that
    /// it has there, a new one is 0:0.
    pub single_id: bool,
}

/// What became of an upper.
#[derive(Clone, Debug)]
pub struct CommittedUpper {
    /// The layer; `None` when the step changed nothing. Times of directories alone are nothing.
    pub layer: Option<Layer>,
    /// Whether the upper shows exactly what the layer says, so that [`crate::Views::adopt`] may make it the
    /// layer's view. It does not when times were clamped or something was left out of the layer.
    pub adoptable: bool,
}

/// What happens to an entry of the upper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is as it was below, or cannot be in an image.
    Drop,
    /// A directory like the one below but for its time: it goes with other changes, not alone.
    TimeOnly,
    /// A directory like the one below: it is written only as the parent of something.
    Parent,
    /// It differs.
    Keep,
}

impl Layers<'_> {
    /// Makes a RUN's upper into a layer: one walk, what was below is known from `below`.
    ///
    /// # Errors
    /// The upper cannot be read, holds `.wh.` names, or the disk is full.
    pub fn commit_upper(
        &self,
        upper: &Path,
        below: &Chain,
        options: &CommitOptions,
    ) -> Result<CommittedUpper, CommitError> {
        let mut directory = UpperDir::open(upper)?;
        let entries = directory.walk()?;
        let commit = Commit::new(below, options, link_groups(&entries));
        self.commit_entries(&mut directory, &entries, commit)
    }

    /// Writes what differs; `entries` are sorted by path.
    pub(super) fn commit_entries(
        &self,
        directory: &mut UpperDir,
        entries: &[UpperEntry],
        mut commit: Commit<'_>,
    ) -> Result<CommittedUpper, CommitError> {
        let (below, options) = (commit.below, commit.options);
        let mut verdicts = entries
            .iter()
            .map(|entry| commit.verdict(directory, entry))
            .collect::<Result<Vec<_>, _>>()?;
        let sockets = entries
            .iter()
            .any(|entry| matches!(entry.kind, UpperKind::Socket));
        let adoptable = options.clamp_mtime.is_none() && !sockets;
        if !verdicts.contains(&Verdict::Keep) {
            return Ok(CommittedUpper {
                layer: None,
                adoptable,
            });
        }
        settle(entries, &mut verdicts);
        let mut writer = self.writer(below)?;
        let mut first_names = HashMap::new();
        for (entry, _) in entries
            .iter()
            .zip(verdicts)
            .filter(|(_, verdict)| *verdict == Verdict::Keep)
        {
            match first_names.get(&entry.inode).filter(|_| entry.many_names) {
                Some(&first) => writer.hardlink(&entry.path, first)?,
                None => commit.write(directory, entry, &mut writer)?,
            }
            if commit.groups.contains(&entry.inode) || commit.intact.contains(&entry.inode) {
                first_names.entry(entry.inode).or_insert(&*entry.path);
            }
        }
        Ok(CommittedUpper {
            layer: writer.finish()?,
            adoptable,
        })
    }
}

/// Inodes with several names in the upper.
pub(super) fn link_groups(entries: &[UpperEntry]) -> HashSet<(u64, u64)> {
    let mut seen = HashSet::new();
    let linked = entries.iter().filter(|entry| {
        entry.many_names
            && !matches!(
                entry.kind,
                UpperKind::Directory { .. } | UpperKind::Whiteout
            )
    });
    linked
        .filter(|entry| !seen.insert(entry.inode))
        .map(|entry| entry.inode)
        .collect()
}

/// Keeps the parents of what is kept, and directories whose time changed; nothing speaks for the root but its own change.
fn settle(entries: &[UpperEntry], verdicts: &mut [Verdict]) {
    let mut parents: HashSet<&[u8]> = HashSet::new();
    for (entry, verdict) in entries.iter().zip(&*verdicts) {
        if !matches!(verdict, Verdict::Keep | Verdict::TimeOnly) {
            continue;
        }
        let mut above = parent(&entry.path);
        while let Some(directory) =
            above.filter(|directory| !directory.is_empty() && parents.insert(directory))
        {
            above = parent(directory);
        }
    }
    for (entry, verdict) in entries.iter().zip(verdicts) {
        let needed = *verdict == Verdict::TimeOnly || parents.contains(&*entry.path);
        if needed && !entry.path.is_empty() {
            *verdict = Verdict::Keep;
        }
    }
}

pub(super) struct Commit<'a> {
    below: &'a Chain,
    options: &'a CommitOptions,
    /// Inodes with several names: all are written.
    groups: HashSet<(u64, u64)>,
    /// Inodes whose names are those of one inode below: written when they differ otherwise.
    intact: HashSet<(u64, u64)>,
    /// Opaque directories: nothing of below shows in them.
    cut: HashSet<Box<[u8]>>,
    /// The directory below that was looked at last.
    level: Option<(Box<[u8]>, Level<'a>)>,
}

impl<'a> Commit<'a> {
    pub(super) fn new(
        below: &'a Chain,
        options: &'a CommitOptions,
        groups: HashSet<(u64, u64)>,
    ) -> Self {
        Self {
            below,
            options,
            groups,
            intact: HashSet::new(),
            cut: HashSet::new(),
            level: None,
        }
    }

    pub(super) fn with_intact(self, intact: HashSet<(u64, u64)>) -> Self {
        Self { intact, ..self }
    }

    /// Whether the entry and what is below have the same number of names, as far as that can be told.
    fn has_same_names(&self, entry: &UpperEntry, below: &Entry) -> bool {
        self.intact.contains(&entry.inode)
            || (!self.groups.contains(&entry.inode) && below.links == 0)
    }

    fn verdict(
        &mut self,
        upper: &mut UpperDir,
        entry: &UpperEntry,
    ) -> Result<Verdict, CommitError> {
        let below = self.found(&entry.path);
        match &entry.kind {
            UpperKind::Socket => Ok(Verdict::Drop),
            UpperKind::Whiteout => Ok(if below.is_some() {
                Verdict::Keep
            } else {
                Verdict::Drop
            }),
            UpperKind::Directory { opaque, xattrs } => {
                Ok(self.directory_verdict(entry, *opaque, xattrs, below))
            }
            UpperKind::File { size } => {
                let meta = self.meta(entry, Xattrs::new());
                let Some(found) = below.filter(|found| {
                    self.has_same_names(entry, found.entry) && like(found.entry, &meta)
                }) else {
                    return Ok(Verdict::Keep);
                };
                let EntryKind::File {
                    size: size_below,
                    content,
                    ..
                } = found.entry.kind
                else {
                    return Ok(Verdict::Keep);
                };
                if size_below != *size {
                    return Ok(Verdict::Keep);
                }
                let (mut file, xattrs) = upper.open_file(&entry.path)?;
                let digest =
                    digest(&mut file).map_err(|source| read_error("read", &entry.path, source))?;
                Ok(if xattrs == found.entry.xattrs && digest == content {
                    Verdict::Drop
                } else {
                    Verdict::Keep
                })
            }
            kind => {
                let meta = self.meta(entry, Xattrs::new());
                let same = |found: Found<'_>| {
                    like(found.entry, &meta) && Some(&found.entry.kind) == plain_kind(kind).as_ref()
                };
                let alone = below.is_some_and(|found| self.has_same_names(entry, found.entry));
                Ok(if alone && below.is_some_and(same) {
                    Verdict::Drop
                } else {
                    Verdict::Keep
                })
            }
        }
    }

    fn directory_verdict(
        &mut self,
        entry: &UpperEntry,
        opaque: bool,
        xattrs: &Xattrs,
        below: Option<Found<'a>>,
    ) -> Verdict {
        let below = below.filter(|found| found.entry.is_directory());
        // an opaque mark over nothing hides nothing
        if opaque && below.is_some() && !self.below.children(&entry.path).is_empty() {
            self.cut.insert(entry.path.clone());
            return Verdict::Keep;
        }
        let meta = self.meta(entry, xattrs.clone());
        match below {
            Some(found)
                if found.entry.xattrs != meta.xattrs || !like_but_for_time(found.entry, &meta) =>
            {
                Verdict::Keep
            }
            None => Verdict::Keep,
            Some(found) if found.entry.mtime == meta.mtime || entry.path.is_empty() => {
                Verdict::Parent
            }
            Some(_) => Verdict::TimeOnly,
        }
    }

    fn write(
        &mut self,
        upper: &mut UpperDir,
        entry: &UpperEntry,
        writer: &mut LayerWriter,
    ) -> Result<(), CommitError> {
        let path = &entry.path;
        let mut meta = self.meta(entry, Xattrs::new());
        meta.mtime = meta.mtime.min(self.options.clamp_mtime.unwrap_or(i64::MAX));
        match &entry.kind {
            UpperKind::Directory { xattrs, .. } => {
                writer.directory(
                    path,
                    &Meta {
                        xattrs: xattrs.clone(),
                        ..meta
                    },
                )?;
                if self.cut.contains(path) {
                    writer.opaque(path)?;
                }
            }
            UpperKind::File { size } => {
                let (mut file, xattrs) = upper.open_file(path)?;
                writer.file(path, &Meta { xattrs, ..meta }, *size, &mut file)?;
            }
            UpperKind::Symlink { target } => writer.symlink(path, &meta, target)?,
            UpperKind::Whiteout => writer.whiteout(path)?,
            kind => {
                if let Some(kind) = plain_kind(kind) {
                    writer.special(path, &meta, &kind)?;
                }
            }
        }
        Ok(())
    }

    /// Mode and owner as the layer will have them, and the time as it is.
    fn meta(&mut self, entry: &UpperEntry, xattrs: Xattrs) -> Meta {
        let (uid, gid) = if self.options.single_id {
            self.found(&entry.path)
                .map_or((0, 0), |found| (found.entry.uid, found.entry.gid))
        } else {
            (entry.uid, entry.gid)
        };
        Meta {
            mode: entry.mode,
            uid,
            gid,
            mtime: entry.mtime,
            xattrs,
        }
    }

    /// What of the chain shows at `path`, as far as no opaque directory hides it.
    fn found(&mut self, path: &[u8]) -> Option<Found<'a>> {
        let Some(directory) = parent(path) else {
            return Some(self.below.root());
        };
        let is_cached = self
            .level
            .as_ref()
            .is_some_and(|(cached, _)| **cached == *directory);
        if !is_cached {
            self.level = Some((directory.into(), self.below.level(directory)));
        }
        if self.is_cut(directory) {
            return None;
        }
        self.level
            .as_ref()
            .and_then(|(_, level)| level.child(name(path)))
    }

    fn is_cut(&self, directory: &[u8]) -> bool {
        let mut above = if self.cut.is_empty() {
            None
        } else {
            Some(directory)
        };
        while let Some(directory) = above {
            if self.cut.contains(directory) {
                return true;
            }
            above = parent(directory);
        }
        false
    }
}

fn like(below: &Entry, meta: &Meta) -> bool {
    like_but_for_time(below, meta) && below.mtime == meta.mtime
}

fn like_but_for_time(below: &Entry, meta: &Meta) -> bool {
    (below.mode, below.uid, below.gid) == (meta.mode, meta.uid, meta.gid)
}

fn plain_kind(kind: &UpperKind) -> Option<EntryKind> {
    Some(match kind {
        UpperKind::Symlink { target } => EntryKind::Symlink {
            target: target.as_slice().into(),
        },
        UpperKind::Char { major, minor } => EntryKind::Char {
            major: *major,
            minor: *minor,
        },
        UpperKind::Block { major, minor } => EntryKind::Block {
            major: *major,
            minor: *minor,
        },
        UpperKind::Fifo => EntryKind::Fifo,
        _ => return None,
    })
}

fn digest(file: &mut std::fs::File) -> std::io::Result<ContentDigest> {
    let mut hasher = ContentHasher::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match std::io::Read::read(file, &mut buffer)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}
