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
    Chain, CommitError, ContentDigest, Entry, EntryKind, Found, Layer, LayerWriter, Layers, Meta,
    Xattrs,
};

/// How an upper becomes a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitOptions {
    /// What becomes of the times of files.
    pub times: Times,
    /// The user namespace has a single id, so the owners on disk mean nothing: a path that exists below keeps the owner that
    /// it has there, a new one is 0:0.
    pub single_id: bool,
}

/// What becomes of the times of files, in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// They stay.
    #[default]
    Kept,
    /// None is later than this (`SOURCE_DATE_EPOCH`).
    Clamped(i64),
    /// All are this (`--timestamp`).
    Set(i64),
}

impl Times {
    /// What becomes of this time.
    fn of(self, own: i64) -> i64 {
        match self {
            Times::Kept => own,
            Times::Clamped(latest) => own.min(latest),
            Times::Set(time) => time,
        }
    }

    /// Whether a file with the time `own` looks as one of a layer below. A lower that is mounted while its layer is written shows
    /// times as they were, one that is a layer shows what became of them: both are the same file.
    fn is_same(self, own: i64, below: i64) -> bool {
        below == own || below == self.of(own)
    }
}

/// What became of an upper.
#[derive(Clone, Debug)]
pub struct CommittedUpper {
    /// The layer; `None` when the step changed nothing. Times of directories alone are nothing.
    pub layer: Option<Layer>,
    /// What the upper shows beside the layer, children first: without it, [`crate::Views::adopt`] may make the upper the
    /// layer's view. `None` where times were changed, so that it never shows the layer.
    pub excess: Option<Vec<Excess>>,
}

/// Something that overlayfs copied up and nobody changed, or that a layer cannot hold. The layer lies on other files elsewhere,
/// where this must not appear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    pub(crate) path: Box<[u8]>,
    pub(crate) is_directory: bool,
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
        let verdicts = entries.iter().map(|entry| commit.verdict(directory, entry));
        let mut verdicts = verdicts.collect::<Result<Vec<_>, _>>()?;
        let mut layer = None;
        if verdicts.contains(&Verdict::Keep) {
            settle(entries, &mut verdicts);
            let kept = entries.iter().zip(&verdicts);
            let kept = kept.filter(|(_, verdict)| **verdict == Verdict::Keep);
            let mut writer = self.writer(commit.below)?;
            commit.write_all(directory, kept.map(|(entry, _)| entry), &mut writer)?;
            layer = writer.finish()?;
        }
        let excess = (commit.options.times == Times::Kept).then(|| excess(entries, &verdicts));
        Ok(CommittedUpper { layer, excess })
    }
}

/// What no layer has, children first. The root is never part of a view.
fn excess(entries: &[UpperEntry], verdicts: &[Verdict]) -> Vec<Excess> {
    let entries = entries.iter().zip(verdicts).rev();
    let left_out =
        entries.filter(|(entry, verdict)| **verdict != Verdict::Keep && !entry.path.is_empty());
    let left_out = left_out.map(|(entry, _)| Excess {
        path: entry.path.clone(),
        is_directory: matches!(entry.kind, UpperKind::Directory { .. }),
    });
    left_out.collect()
}

/// Inodes with several names in the upper.
pub(super) fn link_groups(entries: &[UpperEntry]) -> HashSet<(u64, u64)> {
    let mut seen = HashSet::new();
    let has_inode =
        |kind: &UpperKind| !matches!(kind, UpperKind::Directory { .. } | UpperKind::Whiteout);
    let linked = entries
        .iter()
        .filter(|entry| entry.many_names && has_inode(&entry.kind));
    let again = linked.filter(|entry| !seen.insert(entry.inode));
    again.map(|entry| entry.inode).collect()
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
        let is_same = match &entry.kind {
            UpperKind::Socket => true,
            UpperKind::Whiteout => below.is_none(),
            UpperKind::Directory { opaque, xattrs } => {
                return Ok(self.directory_verdict(entry, *opaque, xattrs, below));
            }
            kind => match below {
                Some(found) if self.is_like(entry, found.entry) => match kind {
                    UpperKind::File { size } => has_content(upper, entry, *size, found.entry)?,
                    kind => plain_kind(kind).as_ref() == Some(&found.entry.kind),
                },
                _ => false,
            },
        };
        match is_same {
            true => Ok(Verdict::Drop),
            false => Ok(Verdict::Keep),
        }
    }

    /// Whether names, mode, owner and time are those of below.
    fn is_like(&mut self, entry: &UpperEntry, below: &Entry) -> bool {
        let meta = self.meta(entry, Xattrs::new());
        self.has_same_names(entry, below)
            && like_but_for_time(below, &meta)
            && self.options.times.is_same(meta.mtime, below.mtime)
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
        match below.map(|found| found.entry) {
            Some(below) if below.xattrs == meta.xattrs && like_but_for_time(below, &meta) => {
                if self.options.times.is_same(meta.mtime, below.mtime) || entry.path.is_empty() {
                    Verdict::Parent
                } else {
                    Verdict::TimeOnly
                }
            }
            _ => Verdict::Keep,
        }
    }

    /// Writes entries in the order of their paths; the first name of an inode has the content.
    fn write_all<'e>(
        &mut self,
        upper: &mut UpperDir,
        entries: impl Iterator<Item = &'e UpperEntry>,
        writer: &mut LayerWriter,
    ) -> Result<(), CommitError> {
        let mut first_names = HashMap::new();
        for entry in entries {
            match first_names.get(&entry.inode).filter(|_| entry.many_names) {
                Some(&first) => writer.hardlink(&entry.path, first)?,
                None => self.write(upper, entry, writer)?,
            }
            if self.groups.contains(&entry.inode) || self.intact.contains(&entry.inode) {
                first_names.entry(entry.inode).or_insert(&*entry.path);
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        upper: &mut UpperDir,
        entry: &UpperEntry,
        writer: &mut LayerWriter,
    ) -> Result<(), CommitError> {
        let path = &entry.path;
        let mut meta = self.meta(entry, Xattrs::new());
        meta.mtime = self.options.times.of(meta.mtime);
        match &entry.kind {
            UpperKind::Directory { xattrs, .. } => {
                meta.xattrs.clone_from(xattrs);
                writer.directory(path, &meta)?;
                if self.cut.contains(path) {
                    writer.opaque(path)?;
                }
            }
            UpperKind::File { size } => {
                let (mut file, xattrs) = upper.open_file(path)?;
                meta.xattrs = xattrs;
                writer.file(path, &meta, *size, &mut file)?;
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
        let cached = self.level.as_ref();
        if cached.is_none_or(|(cached, _)| **cached != *directory) {
            self.level = Some((directory.into(), self.below.level(directory)));
        }
        let level = self.level.as_ref().filter(|_| !self.is_cut(directory));
        level.and_then(|(_, level)| level.child(name(path)))
    }

    fn is_cut(&self, directory: &[u8]) -> bool {
        let mut above = std::iter::successors(Some(directory), |directory| parent(directory));
        !self.cut.is_empty() && above.any(|directory| self.cut.contains(directory))
    }
}

/// Whether a file's content and attributes are those of below.
fn has_content(
    upper: &mut UpperDir,
    entry: &UpperEntry,
    size: u64,
    below: &Entry,
) -> Result<bool, CommitError> {
    match below.kind {
        EntryKind::File {
            size: other,
            content,
            ..
        } if other == size => {
            let (mut file, xattrs) = upper.open_file(&entry.path)?;
            let digest = ContentDigest::of_reader(&mut file);
            let digest = digest.map_err(|source| read_error("read", &entry.path, source))?;
            Ok(xattrs == below.xattrs && digest == content)
        }
        _ => Ok(false),
    }
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
