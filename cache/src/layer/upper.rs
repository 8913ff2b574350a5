//! What a RUN left in its upper: one walk with getdents and stat, nothing of the lower file system is touched.
//!
//! Knows overlayfs's own marks (kernel documentation, filesystems/overlayfs): character device 0:0 or an `overlay.whiteout`
//! attribute on an empty file is a deletion, `overlay.opaque` = `y` a directory that hides what is below. Unaware of what is below.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{AtFlags, FileType, Stat, fstat, major, minor, readlinkat, statat};

use crate::beneath;
use crate::listing::{kept_xattrs, names, xattr, xattr_names};
use crate::path::{MAX_PATH, display, join, name, parent};
use crate::sparse::SparseReader;
use crate::{CommitError, Xattrs};

/// Something in an upper.
#[derive(Debug)]
pub(crate) struct UpperEntry {
    pub(crate) path: Box<[u8]>,
    pub(crate) kind: UpperKind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: i64,
    /// Device and inode.
    pub(crate) inode: (u64, u64),
    /// Whether the inode may have several names in a layer.
    pub(crate) many_names: bool,
    pub(crate) stamp: Stamp,
}

/// What is another as soon as somebody has changed a file, or its names, owner, mode or attributes: the time of the last change is the clock's,
/// and no call sets it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Device and inode.
    pub(crate) inode: (u64, u64),
    size: i64,
    /// When the content was changed last, in seconds and nanoseconds.
    pub(crate) modified: (i64, u64),
    /// When anything was changed last.
    pub(crate) changed: (i64, u64),
}

impl Stamp {
    fn of(stat: &Stat) -> Self {
        Self {
            inode: (stat.st_dev, stat.st_ino),
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

#[derive(Debug)]
pub(crate) enum UpperKind {
    Directory { opaque: bool, xattrs: Xattrs },
    File { size: u64 },
    Symlink { target: Vec<u8> },
    Char { major: u32, minor: u32 },
    Block { major: u32, minor: u32 },
    Fifo,
    Socket,
    Whiteout,
}

impl UpperEntry {
    /// A deletion.
    pub(crate) fn whiteout(path: &[u8]) -> Self {
        Self {
            path: path.into(),
            kind: UpperKind::Whiteout,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: 0,
            inode: (0, 0),
            many_names: false,
            stamp: Stamp::default(),
        }
    }

    pub(crate) fn is_directory(&self) -> bool {
        matches!(self.kind, UpperKind::Directory { .. })
    }
}

/// An upper that is being read.
#[derive(Debug)]
pub(crate) struct UpperDir {
    root: OwnedFd,
    /// Whether overlayfs's marks mean something: not in a tree that no overlay has written.
    has_marks: bool,
    /// The directory that was opened last: neighbours in path order mostly share it.
    last: Option<(Vec<u8>, OwnedFd)>,
}

impl UpperDir {
    pub(crate) fn open(path: &std::path::Path) -> Result<Self, CommitError> {
        let root = beneath::open_root(path)
            .map_err(|source| read_error("open", path.as_os_str().as_encoded_bytes(), source))?;
        Ok(Self {
            root,
            has_marks: true,
            last: None,
        })
    }

    /// Opens a tree that no overlay has written: what looks like a mark there is a file's own.
    pub(crate) fn open_unmarked(path: &std::path::Path) -> Result<Self, CommitError> {
        let opened = Self::open(path)?;
        let has_marks = false;
        Ok(Self {
            has_marks,
            ..opened
        })
    }

    /// Whether a directory with this state is the one that was opened.
    pub(crate) fn is_at(&self, stat: &std::fs::Metadata) -> bool {
        let opened = rustix::fs::fstat(&self.root);
        opened.is_ok_and(|opened| (opened.st_dev, opened.st_ino) == (stat.dev(), stat.ino()))
    }

    /// Everything in it, sorted by path; the root first.
    pub(crate) fn walk(&self) -> Result<Vec<UpperEntry>, CommitError> {
        let stat = rustix::fs::fstat(&self.root)
            .map_err(|errno| read_error("look at", b"", errno.into()))?;
        let mut out = vec![entry(Vec::new(), unread_directory(), &stat)];
        // positions of directories that were not read yet: no recursion, however deep the tree
        let mut pending = vec![0];
        while let Some(position) = pending.pop() {
            let first_child = out.len();
            self.read_directory(position, &mut out)?;
            pending.extend((first_child..out.len()).filter(|at| out[*at].is_directory()));
        }
        out.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(out)
    }

    /// Completes the directory at `position` and adds what is in it.
    fn read_directory(
        &self,
        position: usize,
        out: &mut Vec<UpperEntry>,
    ) -> Result<(), CommitError> {
        let path = out[position].path.clone();
        let failed = |action, source| read_error(action, &path, source);
        let directory = beneath::open_dir(self.root.as_fd(), &path);
        let directory = directory.map_err(|source| failed("open", source))?;
        let read = read_marks(&directory, self.has_marks);
        out[position].kind = read.map_err(|source| failed("read the attributes of", source))?;
        for (name, _) in names(directory.as_fd()).map_err(|source| failed("read", source))? {
            let child = join(&path, &name);
            if child.len() > MAX_PATH {
                return Err(CommitError::PathTooLong {
                    path: display(&child[..128]),
                });
            }
            let stat = statat(&directory, &*name, AtFlags::SYMLINK_NOFOLLOW);
            let stat = stat.map_err(|errno| read_error("look at", &child, errno.into()))?;
            let kind = self.kind(&directory, &name, &stat);
            let kind = kind.map_err(|source| read_error("read", &child, source))?;
            let is_kept = !matches!(kind, UpperKind::Whiteout | UpperKind::Socket);
            if is_kept && name.starts_with(b".wh.") {
                let path = display(&child);
                return Err(CommitError::WhiteoutName { path });
            }
            out.push(entry(child, kind, &stat));
        }
        Ok(())
    }

    fn kind(&self, directory: &OwnedFd, name: &[u8], stat: &Stat) -> io::Result<UpperKind> {
        match self.has_marks && is_whiteout(directory, name, stat)? {
            true => Ok(UpperKind::Whiteout),
            false => kind_of(directory, name, stat),
        }
    }

    /// Opens a regular file, with the attributes that layers keep.
    pub(crate) fn open_file(&mut self, path: &[u8]) -> Result<(SparseReader, Xattrs), CommitError> {
        let failed = |source| read_error("open", path, source);
        let directory = parent(path).unwrap_or_default();
        if self.last.as_ref().is_none_or(|(last, _)| last != directory) {
            let opened = beneath::open_dir(self.root.as_fd(), directory).map_err(failed)?;
            self.last = Some((directory.to_vec(), opened));
        }
        let last = self.last.as_ref();
        let at = last.map_or(self.root.as_fd(), |(_, directory)| directory.as_fd());
        let file = File::from(beneath::open_file(at, name(path)).map_err(failed)?);
        let found = fstat(&file).map_err(|errno| failed(errno.into()))?;
        let names = xattr_names(&file).map_err(failed)?;
        let xattrs = kept_xattrs(&file, &names).map_err(failed)?;
        Ok((SparseReader::new(file, &found), xattrs))
    }
}

fn unread_directory() -> UpperKind {
    UpperKind::Directory {
        opaque: false,
        xattrs: Xattrs::new(),
    }
}

/// What a directory is by its attributes.
fn read_marks(directory: &OwnedFd, has_marks: bool) -> io::Result<UpperKind> {
    let marks = xattr_names(directory)?;
    Ok(UpperKind::Directory {
        opaque: has_marks && is_opaque(directory, &marks)?,
        xattrs: kept_xattrs(directory, &marks)?,
    })
}

fn entry(path: Vec<u8>, kind: UpperKind, stat: &Stat) -> UpperEntry {
    // overlayfs makes one inode of many whiteouts
    let is_nameless = matches!(
        kind,
        UpperKind::Directory { .. } | UpperKind::Whiteout | UpperKind::Socket
    );
    UpperEntry {
        path: path.into(),
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: stat.st_mtime,
        inode: (stat.st_dev, stat.st_ino),
        many_names: stat.st_nlink > 1 && !is_nameless,
        stamp: Stamp::of(stat),
    }
}

/// Whether it carries one of overlayfs's marks of a deletion.
fn is_whiteout(directory: &OwnedFd, name: &[u8], stat: &Stat) -> io::Result<bool> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_size == 0 => is_whiteout_file(directory, name),
        _ => Ok(false),
    }
}

fn kind_of(directory: &OwnedFd, name: &[u8], stat: &Stat) -> io::Result<UpperKind> {
    let (major, minor) = (major(stat.st_rdev), minor(stat.st_rdev));
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => unread_directory(),
        FileType::RegularFile => UpperKind::File {
            size: u64::try_from(stat.st_size).unwrap_or(0),
        },
        FileType::Symlink => UpperKind::Symlink {
            target: readlinkat(directory, name, Vec::new())?.into_bytes(),
        },
        FileType::CharacterDevice if (major, minor) == (0, 0) => UpperKind::Whiteout,
        FileType::CharacterDevice => UpperKind::Char { major, minor },
        FileType::BlockDevice => UpperKind::Block { major, minor },
        FileType::Fifo => UpperKind::Fifo,
        FileType::Socket => UpperKind::Socket,
        FileType::Unknown => return Err(io::ErrorKind::Unsupported.into()),
    })
}

/// Whether an empty file carries overlayfs's other mark of a deletion.
fn is_whiteout_file(directory: &OwnedFd, name: &[u8]) -> io::Result<bool> {
    let file = beneath::open_file(directory.as_fd(), name)?;
    Ok(xattr_names(&file)?
        .iter()
        .any(|name| is_mark(name, b"whiteout")))
}

fn is_opaque(directory: &OwnedFd, marks: &[Vec<u8>]) -> io::Result<bool> {
    if marks.iter().any(|mark| is_mark(mark, b"redirect")) {
        return Err(io::Error::other(
            "it was renamed by overlayfs, which must be mounted with redirect_dir=off",
        ));
    }
    for mark in marks.iter().filter(|mark| is_mark(mark, b"opaque")) {
        if xattr(directory, mark)?.as_deref() == Some(b"y") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_mark(name: &[u8], mark: &[u8]) -> bool {
    let rest = name
        .strip_prefix(b"trusted.overlay.")
        .or_else(|| name.strip_prefix(b"user.overlay."));
    rest == Some(mark)
}

pub(crate) fn read_error(action: &'static str, path: &[u8], source: io::Error) -> CommitError {
    CommitError::Read {
        action,
        path: format!("/{}", display(path)),
        source,
    }
}
