//! A RUN's upper becomes a layer: what differs from below, written canonically.
//!
//! Overlayfs copies a file up as soon as it is opened for writing, and its parents with it; so an upper holds more than what
//! changed. What is below is known from the chain's index.
//!
//! A layer says how the tree after the step differs from the tree before it, not how that came to be, so that it is the same however commands
//! are run: what a directory that was made anew does not hold any more is deleted by name, as in BuildKit (overlayfs hides it with one mark), and
//! that a file has fewer names than below is no change of the others (overlayfs takes a name from its inode by copying it up).

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::chain::level::Level;
use crate::layer::copied::state::TreeState;
use crate::layer::gone::{cut, hidden};
use crate::layer::stubs;
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
    /// layer's view. `None` where times were changed or a mark hides what the layer deletes by name, so that it never shows the layer.
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
        self.commit_upper_in_use((upper, &[]), below, options)
    }

    /// The same with an upper on which a command still works, and the paths, without a slash at their beginning, on which something is mounted
    /// for it: what is there only for that is left out.
    ///
    /// # Errors
    /// As of [`Self::commit_upper`].
    pub fn commit_upper_in_use(
        &self,
        (upper, mount_points): (&Path, &[Vec<u8>]),
        below: &Chain,
        options: &CommitOptions,
    ) -> Result<CommittedUpper, CommitError> {
        let mut directory = UpperDir::open(upper)?;
        let mut entries = directory.walk()?;
        stubs::leave_out(&mut entries, mount_points, below);
        let cut = cut(&entries, below);
        entries.extend(hidden(&entries, &cut, below));
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let mut commit = Commit::new(below, options);
        let committed = self.commit_entries(&mut directory, &entries, &mut commit)?;
        let excess = committed.excess.filter(|_| cut.is_empty());
        Ok(CommittedUpper {
            excess,
            ..committed
        })
    }

    /// Writes what differs; `entries` are sorted by path.
    pub(super) fn commit_entries(
        &self,
        directory: &mut UpperDir,
        entries: &[UpperEntry],
        commit: &mut Commit<'_>,
    ) -> Result<CommittedUpper, CommitError> {
        let verdicts = entries.iter().map(|entry| commit.verdict(directory, entry));
        let mut verdicts = verdicts.collect::<Result<Vec<_>, _>>()?;
        commit.join_names(entries, &mut verdicts);
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

/// Names of one inode that has several.
#[derive(Default)]
struct Names {
    /// Where those are that go together.
    joined: Vec<usize>,
    has_others: bool,
}

pub(super) struct Commit<'a> {
    below: &'a Chain,
    options: &'a CommitOptions,
    /// When the tree was like the chain; of an upper nothing is known.
    since: Option<&'a TreeState>,
    /// Whether names of one inode are of several in the layer.
    pub(super) splits_names: bool,
    /// The directory below that was looked at last.
    level: Option<(Box<[u8]>, Level<'a>)>,
}

impl<'a> Commit<'a> {
    pub(super) fn new(below: &'a Chain, options: &'a CommitOptions) -> Self {
        Self {
            below,
            options,
            since: None,
            splits_names: false,
            level: None,
        }
    }

    /// For a tree that was like the chain then.
    pub(super) fn since(self, state: &'a TreeState) -> Self {
        let since = Some(state);
        Self { since, ..self }
    }

    fn is_untouched(&self, entry: &UpperEntry) -> bool {
        self.since.is_some_and(|since| since.is_untouched(entry))
    }

    /// Writes all names of an inode that has several, if one is written or they were others below. Names that look as below stay out of it
    /// where a name of below has gone its own way.
    fn join_names(&mut self, entries: &[UpperEntry], verdicts: &mut [Verdict]) {
        let mut inodes: HashMap<(u64, u64), Names> = HashMap::new();
        for (at, entry) in entries.iter().enumerate() {
            if !entry.many_names || self.is_untouched(entry) {
                continue;
            }
            let found = self.found(&entry.path);
            let was_linked = found.is_some_and(|found| found.entry.links != 0);
            let names = inodes.entry(entry.inode).or_default();
            match verdicts[at] == Verdict::Drop && was_linked {
                true => names.has_others = true,
                false => names.joined.push(at),
            }
        }
        for names in inodes.into_values() {
            self.splits_names |= names.has_others && !names.joined.is_empty();
            if let [_, _, ..] = *names.joined {
                names
                    .joined
                    .iter()
                    .for_each(|at| verdicts[*at] = Verdict::Keep);
            }
        }
    }

    fn verdict(
        &mut self,
        upper: &mut UpperDir,
        entry: &UpperEntry,
    ) -> Result<Verdict, CommitError> {
        let is_untouched = self.is_untouched(entry);
        let below = self.found(&entry.path);
        Ok(match &entry.kind {
            UpperKind::Directory { .. } if is_untouched => Verdict::Parent,
            UpperKind::Directory { xattrs, .. } => self.directory_verdict(entry, xattrs, below),
            _ if is_untouched || self.is_same(upper, entry, below)? => Verdict::Drop,
            _ => Verdict::Keep,
        })
    }

    /// Whether it is as below, or cannot be in an image.
    fn is_same(
        &mut self,
        upper: &mut UpperDir,
        entry: &UpperEntry,
        below: Option<Found<'a>>,
    ) -> Result<bool, CommitError> {
        let below = below.map(|found| found.entry);
        match (&entry.kind, below) {
            (UpperKind::Socket, _) => Ok(true),
            (UpperKind::Whiteout, below) => Ok(below.is_none()),
            (UpperKind::File { size }, Some(below)) if self.is_like(entry, below) => {
                has_content(upper, entry, *size, below)
            }
            (kind, Some(below)) if self.is_like(entry, below) => {
                Ok(plain_kind(kind).as_ref() == Some(&below.kind))
            }
            _ => Ok(false),
        }
    }

    /// Whether mode, owner and time are those of below.
    fn is_like(&mut self, entry: &UpperEntry, below: &Entry) -> bool {
        let meta = self.meta(entry, Xattrs::new());
        like_but_for_time(below, &meta) && self.has_time(entry, below)
    }

    fn has_time(&self, entry: &UpperEntry, below: &Entry) -> bool {
        self.options.times.is_same(entry.mtime, below.mtime)
            || self.since.is_some_and(|since| since.has_time(entry))
    }

    fn directory_verdict(
        &mut self,
        entry: &UpperEntry,
        xattrs: &Xattrs,
        below: Option<Found<'a>>,
    ) -> Verdict {
        let below = below.map(|found| found.entry);
        let meta = self.meta(entry, xattrs.clone());
        match below.filter(|below| below.is_directory()) {
            Some(below) if below.xattrs == meta.xattrs && like_but_for_time(below, &meta) => {
                if self.has_time(entry, below) || entry.path.is_empty() {
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
            match first_names.get(&entry.inode) {
                Some(&first) => writer.hardlink(&entry.path, first)?,
                None => self.write(upper, entry, writer)?,
            }
            if entry.many_names {
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

    /// What of the chain shows at `path`.
    fn found(&mut self, path: &[u8]) -> Option<Found<'a>> {
        let Some(directory) = parent(path) else {
            return Some(self.below.root());
        };
        let cached = self.level.as_ref();
        if cached.is_none_or(|(cached, _)| **cached != *directory) {
            self.level = Some((directory.into(), self.below.level(directory)));
        }
        let level = self.level.as_ref();
        level.and_then(|(_, level)| level.child(name(path)))
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
