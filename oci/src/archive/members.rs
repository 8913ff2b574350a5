//! The files of an archive by name, whether it is a tar or a directory: what is there, links
//! resolved, and readers. Unaware of images. Names are keys of a map; the file system is asked only
//! for a directory's own files, and nothing is ever unpacked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::input::Seekable;
use super::receive::Received;
use super::volumes::Volumes;
use super::{LoadError, MAX_ENTRIES, MAX_LINKS, MAX_NAMES};
use crate::digest::Digest;
use crate::tarfile::{Entries, Entry, Kind};

/// How deep directories are searched: `blobs/sha256/<hex>` and `<id>/layer.tar` are all there is.
const MAX_DEPTH: usize = 3;

/// The files of an archive.
#[derive(Debug, Default)]
pub(super) struct Members {
    source: Option<Seekable>,
    /// What a stream had, as far as it is kept: small files by name.
    passed: BTreeMap<String, Vec<u8>>,
    /// Layers that were taken, by name.
    received: BTreeMap<String, Received>,
    /// Layers that the receiver has although the archive does not, by diff ID.
    held: BTreeMap<Digest, Received>,
    /// Other blobs that were taken, by name.
    taken: BTreeSet<String>,
    files: BTreeMap<String, Member>,
    name_bytes: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Member {
    File {
        offset: u64,
        size: u64,
    },
    /// Another name, from the root of the archive.
    Link(String),
}

/// A file of the archive, links resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob {
    name: String,
    offset: u64,
    /// Its size in bytes.
    pub(super) size: u64,
}

impl Blob {
    /// Its own name, from the root of the archive.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Members {
    /// Finds the files of `source` without reading them.
    pub(super) fn index(source: Seekable) -> Result<Self, LoadError> {
        let mut members = Self::default();
        match &source {
            Seekable::Tar(volumes) => members.index_tar(volumes)?,
            Seekable::Directory(root) => members.index_directory(root, "", MAX_DEPTH)?,
        }
        members.source = Some(source);
        Ok(members)
    }

    /// Adds an entry of a stream, named `name`, whose content is kept when it is given.
    pub(super) fn pass(
        &mut self,
        name: String,
        entry: &Entry,
        content: Option<Vec<u8>>,
    ) -> Result<(), LoadError> {
        let refuse = |reason| LoadError::Entry {
            name: name.escape_default().to_string(),
            reason,
        };
        if let Some(member) = member(entry, &name).map_err(refuse)? {
            self.add(name.clone(), member)?;
        }
        if let Some(content) = content {
            self.passed.insert(name, content);
        }
        Ok(())
    }

    /// Remembers a layer that was taken.
    pub(super) fn receive(&mut self, name: String, received: Received) {
        self.received.insert(name, received);
    }

    /// The layer that was taken from a file.
    pub(super) fn received(&self, blob: &Blob) -> Option<&Received> {
        self.received.get(&blob.name)
    }

    /// Remembers a layer that the receiver has.
    pub(super) fn hold(&mut self, received: Received) {
        self.held.insert(received.diff_id, received);
    }

    /// The layer that the receiver has, by its diff ID.
    pub(super) fn held(&self, diff_id: &Digest) -> Option<&Received> {
        self.held.get(diff_id)
    }

    /// Remembers another blob that was taken.
    pub(super) fn take(&mut self, name: String) {
        self.taken.insert(name);
    }

    /// Whether a blob was taken already.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        self.taken.contains(name) || self.received.contains_key(name)
    }

    /// Whether a file's bytes are still there, or were taken.
    pub(super) fn has(&self, blob: &Blob) -> bool {
        let is_kept = self.source.is_some() || self.passed.contains_key(&blob.name);
        is_kept || self.is_taken(&blob.name)
    }

    /// All names, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    fn index_tar(&mut self, volumes: &Volumes) -> Result<(), LoadError> {
        let mut entries = Entries::seeking(BufReader::with_capacity(4096, volumes.reader()));
        while let Some(entry) = entries.next_entry()? {
            let name = entry_name(&entry)?;
            self.pass(name, &entry, None)?;
        }
        Ok(())
    }

    fn index_directory(
        &mut self,
        directory: &Path,
        prefix: &str,
        depth: usize,
    ) -> Result<(), LoadError> {
        for item in fs::read_dir(directory).map_err(unreadable(directory))? {
            let path = item.map_err(unreadable(directory))?.path();
            let refuse = |reason| LoadError::Entry {
                name: path.display().to_string(),
                reason,
            };
            let base = path.file_name().unwrap_or_default().as_bytes();
            let name = resolve(prefix, base, false).map_err(refuse)?;
            let metadata = fs::symlink_metadata(&path).map_err(unreadable(&path))?;
            if metadata.is_dir() && depth > 1 {
                self.index_directory(&path, &name, depth - 1)?;
            } else if metadata.is_file() {
                let (offset, size) = (0, metadata.len());
                self.add(name, Member::File { offset, size })?;
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path).map_err(unreadable(&path))?;
                let target = resolve(prefix, target.as_os_str().as_bytes(), true);
                self.add(name, Member::Link(target.map_err(refuse)?))?;
            }
        }
        Ok(())
    }

    /// Adds a file. As when a tar is unpacked, the last of several counts; but readers of archives
    /// differ here, so this is only for blobs, whose content is verified anyway.
    fn add(&mut self, name: String, member: Member) -> Result<(), LoadError> {
        self.name_bytes += name.len();
        if self.files.len() >= MAX_ENTRIES {
            return Err(LoadError::too_large("entries", MAX_ENTRIES));
        }
        if self.name_bytes > MAX_NAMES {
            return Err(LoadError::too_large("bytes of names", MAX_NAMES));
        }
        let is_document =
            !name.starts_with("blobs/") && !name.ends_with(".tar") && !name.ends_with(".tar.gz");
        match self.files.insert(name.clone(), member) {
            Some(_) if is_document => Err(LoadError::Entry {
                name,
                reason: "it stands in the archive twice",
            }),
            _ => Ok(()),
        }
    }

    /// The file `name`, links resolved; `None` when there is none.
    pub(super) fn find(&self, name: &str) -> Result<Option<Blob>, LoadError> {
        let refuse = |reason| LoadError::Entry {
            name: name.escape_default().to_string(),
            reason,
        };
        let mut current = resolve("", name.as_bytes(), false).map_err(refuse)?;
        for _ in 0..=MAX_LINKS {
            match self.files.get(&current) {
                None => return Ok(None),
                Some(Member::File { offset, size }) => {
                    return Ok(Some(Blob {
                        name: current,
                        offset: *offset,
                        size: *size,
                    }));
                }
                Some(Member::Link(target)) => current.clone_from(target),
            }
        }
        Err(refuse("it goes through too many links"))
    }

    /// Reads a file's bytes as they are stored.
    pub(super) fn open(&self, blob: &Blob) -> Result<Box<dyn Read + Send + '_>, LoadError> {
        match &self.source {
            Some(Seekable::Tar(volumes)) => Ok(Box::new(Range {
                volumes,
                position: blob.offset,
                end: blob.offset + blob.size,
            })),
            Some(Seekable::Directory(root)) => {
                let path = root.join(&blob.name);
                let file = File::open(&path).map_err(|source| LoadError::Open { path, source })?;
                Ok(Box::new(file.take(blob.size)))
            }
            None => match self.passed.get(&blob.name) {
                Some(bytes) => Ok(Box::new(&bytes[..])),
                None => Err(LoadError::NotKept(blob.name.clone())),
            },
        }
    }
}

/// The normal form of an entry's name.
pub(super) fn entry_name(entry: &Entry) -> Result<String, LoadError> {
    resolve("", &entry.path, false).map_err(|reason| LoadError::Entry {
        name: entry.path.escape_ascii().to_string(),
        reason,
    })
}

/// A file that cannot be opened, for `map_err`.
pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> LoadError + use<> {
    let path = path.to_owned();
    move |source| LoadError::Open { path, source }
}

/// What an entry of a tar is to an archive; `None` for directories.
fn member(entry: &Entry, name: &str) -> Result<Option<Member>, &'static str> {
    let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
    match entry.kind {
        Kind::Directory => Ok(None),
        Kind::File if name.is_empty() => Err("it has no name"),
        Kind::File => Ok(Some(Member::File {
            offset: entry.offset,
            size: entry.size,
        })),
        Kind::Symlink => resolve(parent, &entry.link, true)
            .map(Member::Link)
            .map(Some),
        Kind::HardLink => resolve("", &entry.link, false).map(Member::Link).map(Some),
        Kind::CharDevice | Kind::BlockDevice | Kind::Fifo => {
            Err("image archives have no devices and pipes")
        }
    }
}

/// The normal form of `name` as seen from the directory `base`: components between single slashes.
/// An absolute one is seen from the root of the archive, as docker does it. `..` is for links and
/// may not leave the archive.
fn resolve(base: &str, name: &[u8], is_link: bool) -> Result<String, &'static str> {
    let name = std::str::from_utf8(name).map_err(|_| "its name is not UTF-8")?;
    let base = if name.starts_with('/') { "" } else { base };
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." if !is_link => return Err("`..` is not allowed in names"),
            ".." => drop(parts.pop().ok_or("the link leaves the archive")?),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// A part of a file. Several can be read at a time, for each has its own position.
struct Range<'a> {
    volumes: &'a Volumes,
    position: u64,
    end: u64,
}

impl Read for Range<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        if length == 0 {
            return Ok(0);
        }
        match self.volumes.read_at(&mut buffer[..length], self.position)? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the archive was cut off while it was read",
            )),
            n => {
                self.position += n as u64;
                Ok(n)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_and_stay_inside() {
        assert_eq!(
            resolve("", b"./blobs//sha256/./x", false),
            Ok("blobs/sha256/x".into())
        );
        assert_eq!(
            resolve("a/b", b"../c/layer.tar", true),
            Ok("a/c/layer.tar".into())
        );
        assert_eq!(
            resolve("a", b"../../x", true),
            Err("the link leaves the archive")
        );
        assert_eq!(
            resolve("a", b"b/../../../x/a", true),
            Err("the link leaves the archive")
        );
        assert_eq!(resolve("", b"//x.tar", false), Ok("x.tar".into()));
        assert_eq!(resolve("a/b", b"/c/x", true), Ok("c/x".into()));
        for bad in [&b"../x"[..], b"a/../b", b"/../x", b"\xff"] {
            assert!(resolve("", bad, false).is_err());
        }
    }
}
