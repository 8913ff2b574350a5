//! Writing canonical layers: sorted by path, numeric ids, PAX records only where needed, no holes.
//!
//! The bytes depend on the entries alone. Content is digested while it is copied; nothing is read twice.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};

use kiln_oci::tarfile::{HeaderFields, Kind, TarError, write_end, write_header, write_padding};

use crate::entry::keeps_xattr;
use crate::path::{MAX_NAME, MAX_PATH, components, display, join, name, parent};
use crate::store::sink::Sink;
use crate::{
    Chain, ContentDigest, ContentHasher, Entry, EntryKind, Found, Layer, LayerError, LayerIndex,
    Meta, SmallFile, Store, StoreError, Tree,
};

/// Writes a canonical layer.
///
/// Paths must come in the order of their bytes. Parents that are not given are written with what they have in the chain below,
/// or as 0755 root's where that has none, so that the layer means the same to every tool. A whiteout stands at the path that
/// it hides. A writer that is dropped leaves nothing.
#[derive(Debug)]
pub struct LayerWriter {
    store: Store,
    below: Chain,
    sink: Sink,
    entries: Vec<Entry>,
    /// Directories of this layer.
    directories: HashSet<Box<[u8]>>,
    /// The last path that was given.
    last: Option<Box<[u8]>>,
    /// Positions of entries by path; filled with the first hard link.
    positions: Option<HashMap<Box<[u8]>, usize>>,
    link_groups: u32,
}

impl LayerWriter {
    pub(crate) fn new(store: &Store, below: &Chain) -> Result<Self, StoreError> {
        Ok(Self {
            store: store.clone(),
            below: below.clone(),
            sink: store.blobs().sink("layer")?,
            entries: Vec::new(),
            directories: HashSet::new(),
            last: None,
            positions: None,
            link_groups: 0,
        })
    }

    /// A directory; `""` is the root.
    ///
    /// # Errors
    /// As for every method here: the path is out of order, or the scratch file cannot be written.
    pub fn directory(&mut self, path: &[u8], meta: &Meta) -> Result<(), LayerError> {
        self.begin(path)?;
        self.add_directory(path, meta)
    }

    /// Makes the directory that was just given hide what lower layers have in it.
    ///
    /// # Errors
    /// `path` is not the last entry or is no directory.
    pub fn opaque(&mut self, path: &[u8]) -> Result<(), LayerError> {
        let Some(Entry {
            kind: EntryKind::Directory { opaque },
            ..
        }) = self.entries.last_mut().filter(|entry| *entry.path == *path)
        else {
            return Err(order(
                path,
                "as opaque: it is not the directory that was just added",
            ));
        };
        *opaque = true;
        self.marker(&join(path, b".wh..wh..opq"))
    }

    /// A regular file; `content` must give exactly `size` bytes.
    ///
    /// # Errors
    /// [`LayerError::FileSize`] when it does not; [`LayerError::Source`] when it cannot be read.
    pub fn file(
        &mut self,
        path: &[u8],
        meta: &Meta,
        size: u64,
        content: &mut dyn Read,
    ) -> Result<ContentDigest, LayerError> {
        self.begin(path)?;
        let file = |offset, content| EntryKind::File {
            size,
            offset,
            content,
        };
        let mut entry = Entry::new(path, file(0, ContentDigest::NONE), kept(meta));
        self.header(&entry, Kind::File, b"")?;
        let offset = self.sink.position();
        let digest = self.content(path, size, content)?;
        entry.kind = file(offset, digest);
        self.push(entry);
        Ok(digest)
    }

    /// A regular file that was read before its turn.
    ///
    /// # Errors
    /// As for [`Self::directory`].
    pub fn small(&mut self, path: &[u8], meta: &Meta, file: &SmallFile) -> Result<(), LayerError> {
        self.begin(path)?;
        let mut entry = Entry::new(path, file.kind(0), kept(meta));
        self.header(&entry, Kind::File, b"")?;
        entry.kind = file.kind(self.sink.position());
        let written = self.sink.write_all(file.bytes());
        let written = written.and_then(|()| write_padding(&mut self.sink, entry.size()));
        written.map_err(|source| self.failed(source))?;
        self.push(entry);
        Ok(())
    }

    /// Copies exactly `size` bytes, with padding behind them.
    fn content(
        &mut self,
        path: &[u8],
        size: u64,
        content: &mut dyn Read,
    ) -> Result<ContentDigest, LayerError> {
        let path = || display(path);
        let mut hasher = ContentHasher::new();
        let copied = self.sink.copy_from(content, size, &mut hasher);
        let copied = copied.map_err(|source| self.failed(source))?;
        let mut found = copied.map_err(|source| LayerError::Source {
            path: path(),
            source,
        })?;
        if found == size {
            found += content.read(&mut [0]).unwrap_or(0) as u64;
        }
        if found != size {
            return Err(LayerError::FileSize {
                path: path(),
                expected: size,
                found,
            });
        }
        write_padding(&mut self.sink, size).map_err(|source| self.failed(source))?;
        Ok(hasher.finish())
    }

    /// A symbolic link.
    ///
    /// # Errors
    /// As for [`Self::directory`].
    pub fn symlink(&mut self, path: &[u8], meta: &Meta, target: &[u8]) -> Result<(), LayerError> {
        self.begin(path)?;
        let kind = EntryKind::Symlink {
            target: target.into(),
        };
        self.add(Entry::new(path, kind, kept(meta)), Kind::Symlink, target)
    }

    /// Another name for the entry `target`, which must be in this layer already and be no directory.
    ///
    /// # Errors
    /// [`LayerError::LinkTarget`] when it is not.
    pub fn hardlink(&mut self, path: &[u8], target: &[u8]) -> Result<(), LayerError> {
        self.begin(path)?;
        let entries = self.entries.iter().enumerate();
        let positions = self.positions.get_or_insert_with(|| {
            let positions = entries.map(|(at, entry)| (entry.path.clone(), at));
            positions.collect()
        });
        let first = positions
            .get(target)
            .and_then(|&at| self.entries.get_mut(at));
        let may_be_linked =
            |entry: &&mut Entry| !entry.is_directory() && entry.kind != EntryKind::Whiteout;
        let Some(first) = first.filter(may_be_linked) else {
            return Err(LayerError::LinkTarget {
                path: display(path),
                target: display(target),
            });
        };
        if first.links == 0 {
            self.link_groups += 1;
            first.links = self.link_groups;
        }
        let entry = Entry {
            path: path.into(),
            ..first.clone()
        };
        self.add(entry, Kind::HardLink, target)
    }

    /// A device or a FIFO.
    ///
    /// # Errors
    /// `kind` is something else.
    pub fn special(
        &mut self,
        path: &[u8],
        meta: &Meta,
        kind: &EntryKind,
    ) -> Result<(), LayerError> {
        let tar_kind = match kind {
            EntryKind::Char { .. } => Kind::CharDevice,
            EntryKind::Block { .. } => Kind::BlockDevice,
            EntryKind::Fifo => Kind::Fifo,
            _ => {
                return Err(LayerError::Unsupported {
                    path: display(path),
                    kind: "neither device nor FIFO".to_owned(),
                });
            }
        };
        self.begin(path)?;
        self.add(Entry::new(path, kind.clone(), kept(meta)), tar_kind, b"")
    }

    /// Hides `path` of lower layers.
    ///
    /// # Errors
    /// As for [`Self::directory`].
    pub fn whiteout(&mut self, path: &[u8]) -> Result<(), LayerError> {
        self.begin(path)?;
        let marker_name = [b".wh.", name(path)].concat();
        let marker_path = join(parent(path).unwrap_or_default(), &marker_name);
        self.marker(&marker_path)?;
        self.push(Entry::whiteout(path));
        Ok(())
    }

    /// What was `found` in a chain, at `path` with `meta`. The content of a file is checked against its entry while it is copied.
    /// Directories come without their content, hard links as files of their own (use [`Self::hardlink`] for the later names).
    ///
    /// # Errors
    /// [`LayerError::FileChanged`] when the content is no longer what was scanned.
    pub fn copy(
        &mut self,
        path: &[u8],
        meta: &Meta,
        from: &Chain,
        found: &Found<'_>,
    ) -> Result<(), LayerError> {
        match &found.entry.kind {
            EntryKind::Directory { .. } => self.directory(path, meta),
            EntryKind::Symlink { target } => self.symlink(path, meta, target),
            EntryKind::Whiteout => self.whiteout(path),
            EntryKind::Char { .. } | EntryKind::Block { .. } | EntryKind::Fifo => {
                self.special(path, meta, &found.entry.kind)
            }
            EntryKind::File { size, content, .. } => {
                let mut reader = match from.read_unchecked(found) {
                    Err(error) if error.is_gone() => return Err(changed(path, from, found)),
                    opened => opened.map_err(|error| LayerError::Source {
                        path: display(path),
                        source: std::io::Error::other(error),
                    })?,
                };
                match self.file(path, meta, *size, &mut reader) {
                    Ok(written) if written == *content => Ok(()),
                    Ok(_) | Err(LayerError::FileSize { .. }) => Err(changed(path, from, found)),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts the layer into the store and pins it for this process. `None` when nothing was written.
    ///
    /// # Errors
    /// The store cannot keep it.
    pub fn finish(mut self) -> Result<Option<Layer>, StoreError> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        write_end(&mut self.sink).map_err(|source| self.failed(source))?;
        let count = self.entries.len();
        let tree = Tree::new(self.entries);
        if tree.entries().len() != count {
            let problem = "twice: a path is a file and the parent of another";
            return Err(order(b"something", problem).into());
        }
        let tar = self.sink.finish()?;
        let index = LayerIndex::of(&tar, tree);
        self.store.layers().publish(&tar, index, None).map(Some)
    }

    /// Checks the path and writes its missing parents.
    fn begin(&mut self, path: &[u8]) -> Result<(), LayerError> {
        if self.last.as_deref().is_some_and(|last| last >= path) {
            return Err(order(path, "after a path that sorts behind it"));
        }
        let bad = |part: &[u8]| {
            matches!(part, b"" | b"." | b"..") || part.len() > MAX_NAME || part.contains(&0)
        };
        if path.len() > MAX_PATH || (!path.is_empty() && path.split(|&byte| byte == b'/').any(bad))
        {
            return Err(LayerError::bad_name(path));
        }
        let is_missing =
            |directory: &&[u8]| !directory.is_empty() && !self.directories.contains(*directory);
        if let Some(directory) = parent(path).filter(is_missing) {
            self.add_parents(directory)?;
        }
        self.last = Some(path.into());
        Ok(())
    }

    fn add_parents(&mut self, directory: &[u8]) -> Result<(), LayerError> {
        let mut path = Vec::with_capacity(directory.len());
        for part in components(directory) {
            path = join(&path, part);
            if self.directories.contains(&*path) {
                continue;
            }
            let below = self
                .below
                .lookup(&path)
                .filter(|found| found.entry.is_directory());
            let meta = below.map_or_else(|| Meta::root(0o755, 0), |found| found.entry.meta());
            self.add_directory(&path, &meta)?;
        }
        Ok(())
    }

    fn add_directory(&mut self, path: &[u8], meta: &Meta) -> Result<(), LayerError> {
        let entry = Entry::new(path, EntryKind::Directory { opaque: false }, kept(meta));
        self.directories.insert(path.into());
        self.add(entry, Kind::Directory, b"")
    }

    /// An empty file whose name says that something is hidden.
    fn marker(&mut self, path: &[u8]) -> Result<(), LayerError> {
        let marker = Entry::new(path, EntryKind::Fifo, Meta::root(0, 0));
        self.header(&marker, Kind::File, b"")
    }

    /// Writes an entry without content.
    fn add(&mut self, entry: Entry, kind: Kind, link: &[u8]) -> Result<(), LayerError> {
        self.header(&entry, kind, link)?;
        self.push(entry);
        Ok(())
    }

    fn push(&mut self, entry: Entry) {
        if let Some(positions) = &mut self.positions {
            positions.insert(entry.path.clone(), self.entries.len());
        }
        self.entries.push(entry);
    }

    fn header(&mut self, entry: &Entry, kind: Kind, link: &[u8]) -> Result<(), LayerError> {
        let device = match entry.kind {
            EntryKind::Char { major, minor } | EntryKind::Block { major, minor } => (major, minor),
            _ => (0, 0),
        };
        let xattrs = entry.xattrs.iter();
        let xattrs: Vec<_> = xattrs
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        let path: &[u8] = if entry.path.is_empty() {
            b"."
        } else {
            &entry.path
        };
        let fields = HeaderFields {
            path,
            kind,
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            // a hard link's content is that of its first name
            size: if kind == Kind::File { entry.size() } else { 0 },
            mtime: entry.mtime,
            link,
            device,
            xattrs: &xattrs,
        };
        match write_header(&mut self.sink, &fields) {
            Ok(_) => Ok(()),
            Err(TarError::Io(source)) => Err(self.failed(source)),
            Err(error) => Err(LayerError::Tar(error)),
        }
    }

    fn failed(&self, source: std::io::Error) -> LayerError {
        LayerError::Write {
            path: self.sink.path().to_owned(),
            source,
        }
    }
}

fn order(path: &[u8], problem: &'static str) -> LayerError {
    LayerError::Order {
        path: display(path),
        problem,
    }
}

/// What a layer holds of `meta`: sorted xattrs of the kept kinds, permission bits.
fn kept(meta: &Meta) -> Meta {
    let mut xattrs = meta.xattrs.clone();
    xattrs.retain(|(name, _)| keeps_xattr(name));
    xattrs.sort();
    Meta {
        mode: meta.mode & 0o7777,
        xattrs,
        ..meta.clone()
    }
}

/// A layer's tar does not change: other bytes in it are damage.
fn changed(path: &[u8], from: &Chain, found: &Found<'_>) -> LayerError {
    match from.tar(found) {
        None => LayerError::FileChanged {
            path: display(&found.entry.path),
        },
        Some(tar) => LayerError::Source {
            path: display(path),
            source: tar.damage(&found.entry.path),
        },
    }
}
