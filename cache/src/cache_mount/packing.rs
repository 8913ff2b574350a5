//! Looking at what a cache mount holds, and putting into packs what a shared cache lacks of it. Unaware of where packs go.
//!
//! A pack that a cache has stays as long as half of it is needed; what is left of others goes into new ones. So an export sends what has
//! changed, and at most as much again.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::Path;

use super::listing::{MountError, MountListing, harmless, leads_out};
use crate::layer::upper::{UpperDir, UpperEntry, UpperKind, read_error};
use crate::path::display;
use crate::{
    CacheMounts, CommitError, ContentDigest, ContentHasher, Entry, EntryKind, Meta, StoreError,
    Xattrs, try_parallel,
};

/// A pack is closed when it has so many bytes; a larger file has one of its own.
const PACK: u64 = 8 << 20;
/// Packs of less than this are small; more than so many of them are packed together again.
const SMALL: u64 = PACK / 4;
const MANY_SMALL: usize = 8;
/// Files that one thread digests before it takes the next ones.
const BATCH: usize = 64;
/// How much is read at once.
const PIECE: usize = 256 << 10;

/// The packs of a mount, laid end to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packs {
    /// Where each one ends.
    ends: Vec<u64>,
}

impl Packs {
    /// Packs of so many bytes each; `None` for more than there can be.
    pub fn of(sizes: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut ends: Vec<u64> = Vec::new();
        for size in sizes {
            ends.push(ends.last().copied().unwrap_or(0).checked_add(size)?);
        }
        Some(Self { ends })
    }

    /// Bytes of all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Bytes of one.
    #[must_use]
    pub fn size(&self, pack: usize) -> u64 {
        let end = self.ends.get(pack).copied();
        end.map_or(0, |end| end - self.begin(pack))
    }

    fn begin(&self, pack: usize) -> u64 {
        let before = pack.checked_sub(1).map(|before| self.ends[before]);
        before.unwrap_or(0)
    }

    /// The pack that has this offset, and the place in it.
    pub(super) fn find(&self, offset: u64) -> Option<(usize, u64)> {
        let pack = self.ends.partition_point(|end| *end <= offset);
        (pack < self.ends.len()).then(|| (pack, offset - self.begin(pack)))
    }
}

/// How a mount gets into a shared cache.
#[derive(Debug)]
pub struct Packing {
    /// What the cache is to say.
    pub listing: MountListing,
    /// The numbers of the packs that it has and that stay.
    pub kept: Vec<usize>,
    /// What is to be sent; these come after those that stay.
    pub new: Vec<NewPack>,
}

/// A pack that is to be made.
#[derive(Debug, Default)]
pub struct NewPack {
    /// Its bytes, not compressed.
    pub bytes: u64,
    files: Vec<Entry>,
}

/// Where content is: by digest, an offset in the packs.
type Places = HashMap<ContentDigest, u64>;

impl CacheMounts<'_> {
    /// What a directory of a cache mount holds. Every file is read.
    ///
    /// # Errors
    /// It cannot be read, or changes meanwhile.
    pub fn look(&self, folder: &Path) -> Result<MountListing, MountError> {
        let found = UpperDir::open_unmarked(folder)?.walk()?;
        let batches: Vec<_> = found.chunks(BATCH).collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let entries = try_parallel(&batches, threads, |batch| {
            let mut reading = UpperDir::open_unmarked(folder)?;
            let entries = batch.iter().map(|entry| self.entry(entry, &mut reading));
            entries.collect::<Result<Vec<_>, _>>()
        })?;
        let entries = entries.into_iter().flatten().flatten().collect();
        Ok(MountListing::new(entries, 0))
    }

    /// What travels of something that was found; nothing of what does not.
    fn entry(
        &self,
        found: &UpperEntry,
        folder: &mut UpperDir,
    ) -> Result<Option<Entry>, CommitError> {
        let kind = kind(found, folder)?;
        let has_one_id = self.store.inner.options.single_id;
        let id = |id| if has_one_id { 0 } else { id };
        let meta = Meta {
            mode: found.mode,
            uid: id(found.uid),
            gid: id(found.gid),
            mtime: found.mtime,
            xattrs: Xattrs::new(),
        };
        Ok(kind.map(|kind| harmless(&Entry::new(&found.path, kind, meta))))
    }

    /// Writes a pack of what is in a directory.
    ///
    /// # Errors
    /// A file is not what it was, or `out` fails.
    pub fn pack(
        &self,
        folder: &Path,
        pack: &NewPack,
        out: &mut dyn Write,
    ) -> Result<(), MountError> {
        let mut reading = UpperDir::open_unmarked(folder)?;
        for entry in &pack.files {
            let (file, _) = reading.open_file(&entry.path)?;
            let copied = copy(file.take(entry.size()), out);
            let found = copied.map_err(|source| StoreError::io("pack", folder, source))?;
            if !matches!(&entry.kind, EntryKind::File { content, .. } if *content == found) {
                let path = display(&entry.path);
                return Err(MountError::Changed { path });
            }
        }
        Ok(())
    }
}

/// The digest of what was copied.
fn copy(mut from: impl Read, to: &mut dyn Write) -> io::Result<ContentDigest> {
    let (mut hasher, mut buffer) = (ContentHasher::new(), vec![0; PIECE]);
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
    }
}

/// What something is, if such things travel.
fn kind(found: &UpperEntry, folder: &mut UpperDir) -> Result<Option<EntryKind>, CommitError> {
    Ok(match &found.kind {
        UpperKind::Directory { .. } => Some(EntryKind::Directory { opaque: false }),
        UpperKind::Symlink { target } if !leads_out(&found.path, target) => {
            let target = target.as_slice().into();
            Some(EntryKind::Symlink { target })
        }
        UpperKind::File { size } => {
            let (mut file, _) = folder.open_file(&found.path)?;
            let content = ContentDigest::of_reader(&mut file);
            Some(EntryKind::File {
                size: *size,
                offset: 0,
                content: content.map_err(|source| read_error("read", &found.path, source))?,
            })
        }
        _ => None,
    })
}

impl MountListing {
    /// How this gets into a cache that has another listing, with these packs.
    #[must_use]
    pub fn packing(&self, there: Option<&Self>, packs: &Packs) -> Packing {
        let there = there.map_or_else(Places::new, Self::places);
        let kept = self.kept(&there, packs);
        let mut places = moved(there, packs, &kept);
        let mut end = kept.iter().map(|pack| packs.size(*pack)).sum();
        let mut new: Vec<NewPack> = Vec::new();
        for (entry, content, size) in self.contents() {
            if places.contains_key(&content) {
                continue;
            }
            let mut pack = new.pop().unwrap_or_default();
            if !pack.files.is_empty() && pack.bytes + size > PACK {
                new.push(std::mem::take(&mut pack));
            }
            pack.files.push(entry.clone());
            pack.bytes += size;
            new.push(pack);
            places.insert(content, end);
            end += size;
        }
        let listing = self.placed(&places, end);
        Packing { listing, kept, new }
    }

    /// Where the content of files is.
    fn places(&self) -> Places {
        let contents = self.contents();
        contents
            .map(|(entry, content, _)| (content, entry.offset()))
            .collect()
    }

    /// The packs of which enough is needed.
    fn kept(&self, there: &Places, packs: &Packs) -> Vec<usize> {
        let mut needed = vec![0; packs.ends.len()];
        let contents = self.contents();
        let sizes: HashMap<_, _> = contents.map(|(_, content, size)| (content, size)).collect();
        for (content, size) in sizes {
            if let Some((pack, _)) = there.get(&content).and_then(|at| packs.find(*at)) {
                needed[pack] += size;
            }
        }
        let all = 0..packs.ends.len();
        let mut kept: Vec<usize> = all
            .filter(|pack| needed[*pack] > 0 && needed[*pack] >= packs.size(*pack) / 2)
            .collect();
        let is_small = |pack: &usize| packs.size(*pack) < SMALL;
        if kept.iter().filter(|pack| is_small(pack)).count() > MANY_SMALL {
            kept.retain(|pack| !is_small(pack));
        }
        kept
    }

    /// The files that hold something.
    pub(super) fn contents(&self) -> impl Iterator<Item = (&Entry, ContentDigest, u64)> {
        self.entries().iter().filter_map(|entry| match entry.kind {
            EntryKind::File { size, content, .. } if size > 0 => Some((entry, content, size)),
            _ => None,
        })
    }

    /// The same with its files at these places.
    fn placed(&self, places: &Places, packed: u64) -> Self {
        let place = |entry: &Entry| {
            let mut entry = entry.clone();
            if let EntryKind::File {
                offset, content, ..
            } = &mut entry.kind
            {
                *offset = places.get(content).copied().unwrap_or(0);
            }
            entry
        };
        Self::new(self.entries().iter().map(place).collect(), packed)
    }
}

/// The places in those packs that stay.
fn moved(there: Places, packs: &Packs, kept: &[usize]) -> Places {
    let (mut end, mut begins) = (0, HashMap::new());
    for pack in kept {
        begins.insert(*pack, end);
        end += packs.size(*pack);
    }
    let places = there.into_iter().filter_map(|(content, offset)| {
        let (pack, at) = packs.find(offset)?;
        Some((content, begins.get(&pack)? + at))
    });
    places.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &str, size: u64) -> Entry {
        let content = ContentDigest::of(content.as_bytes());
        let kind = EntryKind::File {
            size,
            offset: 0,
            content,
        };
        Entry::new(path.as_bytes(), kind, Meta::root(0o644, 0))
    }

    fn listing(files: &[(&str, u64)]) -> MountListing {
        let files = files.iter().map(|(name, size)| file(name, name, *size));
        MountListing::new(files.collect(), 0)
    }

    fn sizes(packing: &Packing) -> Vec<u64> {
        packing.new.iter().map(|pack| pack.bytes).collect()
    }

    #[test]
    fn small_files_share_a_pack_and_large_ones_have_their_own() {
        let found = listing(&[("a", 5), ("b", PACK + 1), ("c", 3), ("d", 4), ("e", 0)]);
        let packing = found.packing(None, &Packs::default());
        assert_eq!(sizes(&packing), [5, PACK + 1, 7]);
        let copies = [file("a", "same", 9), file("b", "same", 9)];
        let packing = MountListing::new(copies.into(), 0).packing(None, &Packs::default());
        assert_eq!(sizes(&packing), [9]);
    }

    #[test]
    fn what_is_there_is_not_sent_again() {
        let first = listing(&[("a", PACK), ("b", PACK), ("c", PACK)]);
        let first = first.packing(None, &Packs::default()).listing;
        let packs = Packs::of([PACK; 3]).unwrap();
        // one is gone, one is new
        let second = listing(&[("a", PACK), ("c", PACK), ("d", 7)]);
        let second = second.packing(Some(&first), &packs);
        assert_eq!((&*second.kept, sizes(&second)), (&[0, 2][..], vec![7]));
        let offsets = second.listing.places();
        let at = |name: &str| offsets[&ContentDigest::of(name.as_bytes())];
        assert_eq!((at("a"), at("c"), at("d")), (0, PACK, 2 * PACK));
        assert_eq!(
            second.listing.tree(),
            listing(&[("a", PACK), ("c", PACK), ("d", 7)]).tree()
        );
    }

    #[test]
    fn packs_of_which_little_is_left_are_made_anew() {
        let first = listing(&[("a", SMALL), ("b", SMALL), ("c", SMALL)]);
        let first = first.packing(None, &Packs::default()).listing;
        let packs = Packs::of([3 * SMALL]).unwrap();
        let less = listing(&[("a", SMALL)]).packing(Some(&first), &packs);
        assert_eq!((less.kept.len(), sizes(&less)), (0, vec![SMALL]));
        let more = listing(&[("a", SMALL), ("b", SMALL)]).packing(Some(&first), &packs);
        assert_eq!((more.kept.len(), sizes(&more)), (1, vec![]));
    }

    #[test]
    fn many_small_packs_become_few() {
        let names: Vec<String> = (0..=MANY_SMALL).map(|number| number.to_string()).collect();
        let files: Vec<(&str, u64)> = names.iter().map(|name| (&**name, 10)).collect();
        let there = listing(&files).packing(None, &Packs::default()).listing;
        let packs = Packs::of(vec![10; files.len()]).unwrap();
        let packing = listing(&files).packing(Some(&there), &packs);
        assert_eq!((packing.kept.len(), sizes(&packing)), (0, vec![90]));
    }

    #[test]
    fn packs_are_laid_end_to_end() {
        let packs = Packs::of([3, 0, 4]).unwrap();
        let found: Vec<_> = [0, 2, 3, 6, 7].map(|offset| packs.find(offset)).into();
        assert_eq!(
            found,
            [Some((0, 0)), Some((0, 2)), Some((2, 0)), Some((2, 3)), None]
        );
        assert!(Packs::of([u64::MAX, 1]).is_none());
    }
}
