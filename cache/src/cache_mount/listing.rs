//! What a cache mount holds, as it travels between machines: a listing says which directories, files and symbolic links there are, packs
//! hold what is in the files. Unaware of where both are kept.
//!
//! A listing is encoded as the index of a layer (`layer/codec.rs`), whose tar is all packs of the mount laid end to end: the offset of a
//! file counts from the beginning of the first pack. A pack is the content of some files, one after the other; files that hold the
//! same share it. Listings and packs are compressed with zstd where they are kept.
//!
//! Times are whole seconds. Further names of one inode become files of their own. What is not kept: devices, FIFOs and sockets, setuid and
//! setgid bits, extended attributes, links that lead out of the mount.
//!
//! A listing may come from anybody: [`MountListing::decode`] refuses all that could reach out of the folder that it is unpacked to.

use std::collections::HashSet;
use std::sync::Arc;

use kiln_oci::Digest;

use super::packing::Packs;
use crate::layer::codec;
use crate::path::{MAX_NAME, display, join, leaves, parent};
use crate::{CommitError, Entry, EntryKind, LayerError, LayerIndex, StoreError, Tree, Xattrs};

/// Permission bits that travel.
const MODE: u32 = 0o1777;

/// Why the content of a cache mount cannot be taken or given.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory cannot be read.
    #[error(transparent)]
    Read(#[from] CommitError),
    /// The listing cannot be understood.
    #[error("its listing cannot be understood")]
    Listing(#[from] LayerError),
    /// The listing asks for what no cache mount of kiln holds.
    #[error("its listing has {path:?}, {why}")]
    Refused {
        /// The path.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It would fill the disk.
    #[error("it says that it has {bytes} bytes, for which the disk has no room")]
    TooLarge {
        /// What it says.
        bytes: u64,
    },
    /// Somebody writes to it.
    #[error("{path:?} in it changes meanwhile")]
    Changed {
        /// The file.
        path: String,
    },
}

impl MountError {
    /// Whether something is wrong with the listing, so that it may be replaced.
    #[must_use]
    pub fn is_about_listing(&self) -> bool {
        matches!(self, Self::Listing(_) | Self::Refused { .. })
    }
}

/// What a cache mount holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountListing {
    tree: Arc<Tree>,
    /// Bytes of all packs, as they are unpacked.
    packed: u64,
}

impl MountListing {
    /// `entries` begin with the directory itself.
    pub(crate) fn new(entries: Vec<Entry>, packed: u64) -> Self {
        let tree = Arc::new(Tree::new(entries));
        Self { tree, packed }
    }

    /// Digest of what is there; times do not count.
    #[must_use]
    pub fn tree(&self) -> Digest {
        self.tree.digest()
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let sizes = self.entries().iter().map(Entry::size);
        sizes.fold(0, u64::saturating_add)
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        self.tree.entries()
    }

    /// Its bytes, not compressed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&LayerIndex {
            // there is no tar
            diff_id: self.tree.digest(),
            tar_size: self.packed,
            tree: self.tree.clone(),
        })
    }

    /// Reads a listing of files that are in these packs.
    ///
    /// # Errors
    /// It is malformed, or has what could do harm.
    pub fn decode(bytes: &[u8], packs: &Packs) -> Result<Self, MountError> {
        let index = codec::decode(bytes)?;
        let mut entries = index.tree.entries().to_vec();
        let mut folders = HashSet::new();
        for entry in &mut entries {
            check(entry, packs, &folders).map_err(|why| MountError::Refused {
                path: display(&entry.path),
                why,
            })?;
            if entry.is_directory() {
                folders.insert(entry.path.clone());
            }
            *entry = harmless(entry);
        }
        Ok(Self::new(entries, packs.total()))
    }
}

/// The same without what does not travel.
pub(super) fn harmless(entry: &Entry) -> Entry {
    Entry {
        mode: entry.mode & MODE,
        xattrs: Xattrs::new(),
        links: 0,
        ..entry.clone()
    }
}

/// Whether a link leads out of the mount, as far as its text tells.
pub(super) fn leads_out(path: &[u8], target: &[u8]) -> bool {
    let folder = parent(path).unwrap_or_default();
    target.first() == Some(&b'/') || leaves(&join(folder, target))
}

/// What is wrong with an entry; `folders` are the directories before it.
fn check(entry: &Entry, packs: &Packs, folders: &HashSet<Box<[u8]>>) -> Result<(), &'static str> {
    match parent(&entry.path) {
        None if entry.is_directory() => {}
        None => return Err("which is no directory"),
        Some(parent) if folders.contains(parent) => check_name(&entry.path)?,
        Some(_) => return Err("which is in no directory"),
    }
    match &entry.kind {
        EntryKind::Directory { opaque: false } => Ok(()),
        EntryKind::File { size: 0, .. } => Ok(()),
        EntryKind::File { size, offset, .. } => match packs.find(*offset) {
            Some((pack, at)) if *size <= packs.size(pack) - at => Ok(()),
            _ => Err("whose content no pack has"),
        },
        EntryKind::Symlink { target } if target.is_empty() || target.contains(&0) => {
            Err("a link that cannot be one")
        }
        EntryKind::Symlink { target } if leads_out(&entry.path, target) => {
            Err("a link out of the mount")
        }
        EntryKind::Symlink { .. } => Ok(()),
        _ => Err("which is no directory, file or link"),
    }
}

fn check_name(path: &[u8]) -> Result<(), &'static str> {
    let name = crate::path::name(path);
    let is_sound = !matches!(name, b"" | b"." | b"..") && !name.contains(&0) && path[0] != b'/';
    match is_sound && name.len() <= MAX_NAME {
        true => Ok(()),
        false => Err("which cannot be a name"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ContentDigest, Meta};

    fn folder(path: &str) -> Entry {
        let meta = Meta::root(0o755, 7);
        Entry::new(
            path.as_bytes(),
            EntryKind::Directory { opaque: false },
            meta,
        )
    }

    fn file(path: &str, offset: u64, size: u64) -> Entry {
        let kind = EntryKind::File {
            size,
            offset,
            content: ContentDigest::of(b"x"),
        };
        Entry::new(path.as_bytes(), kind, Meta::root(0o644, 7))
    }

    fn link(path: &str, target: &str) -> Entry {
        let target = target.as_bytes().into();
        Entry::new(
            path.as_bytes(),
            EntryKind::Symlink { target },
            Meta::root(0o777, 7),
        )
    }

    /// As somebody writes it who means harm: nothing is checked or completed.
    fn written(entries: Vec<Entry>) -> Vec<u8> {
        let tree = Tree::from_parts(Digest::of(b"any"), entries);
        let tree = Arc::new(tree);
        MountListing { tree, packed: 10 }.encode()
    }

    fn read(entries: Vec<Entry>) -> Result<MountListing, MountError> {
        MountListing::decode(&written(entries), &Packs::of([10]).unwrap())
    }

    #[test]
    fn a_listing_is_read_again() {
        let entries = vec![
            folder(""),
            folder("a"),
            file("a/b", 3, 7),
            link("a/c", "../a/b"),
            file("a-b", 0, 0),
        ];
        let mut sorted = entries.clone();
        sorted.sort_by(|a, b| a.path.cmp(&b.path));
        let listing = MountListing::new(entries, 10);
        let again = MountListing::decode(&listing.encode(), &Packs::of([10]).unwrap()).unwrap();
        assert_eq!(again, listing);
        assert_eq!((again.entries(), again.bytes()), (&*sorted, 7));
    }

    #[test]
    fn what_could_do_harm_is_refused() {
        let device = |kind| Entry::new(b"x", kind, Meta::root(0o600, 0));
        let (major, minor) = (1, 3);
        for (entries, why) in [
            (vec![folder(""), folder("..")], "name"),
            (vec![folder(""), folder("."), file("./x", 0, 1)], "name"),
            (vec![folder(""), folder("a"), file("a/..", 0, 1)], "name"),
            (vec![folder(""), file("a/../../b", 0, 1)], "in no directory"),
            (vec![folder(""), file("/etc", 0, 1)], "name"),
            (
                vec![folder(""), folder("a"), file("a//x", 0, 1)],
                "in no directory",
            ),
            (
                vec![folder(""), link("a", "b"), file("a/x", 0, 1)],
                "in no directory",
            ),
            (vec![folder(""), file("a\0b", 0, 1)], "name"),
            (vec![folder(""), file("x", 4, 7)], "no pack"),
            (vec![folder(""), file("x", u64::MAX, 2)], "no pack"),
            (vec![folder(""), file("x", 0, u64::MAX)], "no pack"),
            (
                vec![folder(""), link("a", "/etc/passwd")],
                "out of the mount",
            ),
            (vec![folder(""), link("a", "../x")], "out of the mount"),
            (vec![folder(""), link("a", "b/../../x")], "out of the mount"),
            (vec![file("", 0, 1)], "no directory"),
            (
                vec![folder(""), device(EntryKind::Char { major, minor })],
                "no directory, file",
            ),
            (
                vec![folder(""), device(EntryKind::Block { major, minor })],
                "no directory, file",
            ),
            (
                vec![folder(""), device(EntryKind::Fifo)],
                "no directory, file",
            ),
            (
                vec![folder(""), device(EntryKind::Whiteout)],
                "no directory, file",
            ),
            (
                vec![folder(""), device(EntryKind::Directory { opaque: true })],
                "no directory, file",
            ),
        ] {
            let error = read(entries).unwrap_err();
            assert!(
                matches!(error, MountError::Refused { .. }),
                "{why}: {error}"
            );
            assert!(error.to_string().contains(why), "{why}: {error}");
        }
        let twice = read(vec![folder(""), file("x", 0, 1), file("x", 1, 1)]);
        assert!(matches!(twice, Err(MountError::Listing(_))));
        assert!(MountListing::decode(b"kilnidx1", &Packs::default()).is_err());
    }

    #[test]
    fn what_does_not_travel_is_dropped() {
        let mut evil = file("x", 0, 1);
        evil.mode = 0o7755;
        evil.links = 3;
        evil.xattrs = vec![(
            b"security.capability".as_slice().into(),
            b"x".as_slice().into(),
        )];
        let listing = read(vec![folder(""), evil]).unwrap();
        let found = &listing.entries()[1];
        assert_eq!((found.mode, found.links), (0o1755, 0));
        assert!(found.xattrs.is_empty());
    }
}
