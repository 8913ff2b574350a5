//! Files of a container as a tar, and files out of one, by the rules of `docker cp`: names in a tar begin with what was asked for, or are what is
//! in it. Links are followed inside the container's root only. What is unpacked belongs to the user who unpacks, and gives nobody rights by its
//! mode. Unaware of where a tar goes and comes from.

use super::copy::{FOLDER, Root, failed, find, finish, has_files, inside, is_of_content, make_way};
use crate::failure::KeptError;
use kiln_oci::tarfile::{
    Entries, Entry, HeaderFields, Kind, write_end, write_header, write_padding,
};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, linkat, mkdirat, openat, readlinkat,
    symlinkat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// Writes what a path leads to, with a link at its end only where `follows` says so. Returns how many devices, pipes and sockets were left
/// out.
///
/// # Errors
/// There is no such path, or it cannot be read or written.
pub fn pack(
    (root, source): (&Root, &Path),
    follows: bool,
    out: &mut dyn Write,
) -> Result<usize, KeptError> {
    let found = find(root, source, follows)?;
    let name = source.file_name().filter(|_| !is_of_content(source));
    let name = name.unwrap_or(OsStr::new(".")).as_bytes();
    let packed = pack_entry(&found, name, 0, out).and_then(|left_out| {
        write_end(out)?;
        Ok(left_out)
    });
    packed.map_err(failed("pack", source))
}

fn pack_entry(
    found: &OwnedFd,
    path: &[u8],
    depth: usize,
    out: &mut dyn Write,
) -> io::Result<usize> {
    let stat = fstat(found)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            header(out, &fields(&stat, path, Kind::Directory))?;
            return pack_content(found, path, depth, out);
        }
        FileType::RegularFile => pack_file(found, &stat, path, out)?,
        FileType::Symlink => {
            let link = readlinkat(found, "", Vec::new())?;
            let link = link.to_bytes();
            let fields = fields(&stat, path, Kind::Symlink);
            header(out, &HeaderFields { link, ..fields })?;
        }
        _ => return Ok(1),
    }
    Ok(0)
}

fn fields<'p>(stat: &Stat, path: &'p [u8], kind: Kind) -> HeaderFields<'p> {
    HeaderFields {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: stat.st_mtime,
        ..HeaderFields::new(path, kind)
    }
}

fn header(out: &mut dyn Write, fields: &HeaderFields<'_>) -> io::Result<()> {
    write_header(out, fields)
        .map(drop)
        .map_err(io::Error::other)
}

fn pack_content(
    found: &OwnedFd,
    path: &[u8],
    depth: usize,
    out: &mut dyn Write,
) -> io::Result<usize> {
    if !has_files(found, depth)? {
        return Ok(0);
    }
    let opened = openat(found, ".", FOLDER | OFlags::CLOEXEC, Mode::empty())?;
    let named = Dir::read_from(&opened)?.collect::<Result<Vec<_>, _>>()?;
    let mut names: Vec<_> = named.iter().map(|named| named.file_name()).collect();
    names.retain(|name| !matches!(name.to_bytes(), b"." | b".."));
    names.sort();
    let mut left_out = 0;
    for name in names {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let child = openat(&opened, name, flags, Mode::empty())?;
        let path = [path, b"/", name.to_bytes()].concat();
        left_out += pack_entry(&child, &path, depth + 1, out)?;
    }
    Ok(left_out)
}

fn pack_file(found: &OwnedFd, stat: &Stat, path: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    let fields = fields(stat, path, Kind::File);
    header(out, &HeaderFields { size, ..fields })?;
    let file = File::open(format!("/proc/self/fd/{}", found.as_raw_fd()))?;
    if io::copy(&mut file.take(size), out)? < size {
        return Err(io::Error::other("it became shorter meanwhile"));
    }
    write_padding(out, size)
}

/// Unpacks a tar into a folder. Returns how many devices and pipes were left out.
///
/// # Errors
/// There is no such folder, the tar is damaged, or it cannot be unpacked there.
pub fn unpack((root, target): (&Root, &Path), tar: impl Read) -> Result<usize, KeptError> {
    let unpacked = inside(root, target, FOLDER).map_err(io::Error::from);
    let unpacked = unpacked.and_then(|_| Unpacking::new(root, target).all(Entries::new(tar)));
    unpacked.map_err(failed("unpack into", target))
}

struct Unpacking<'a> {
    root: &'a Root,
    target: &'a Path,
    /// Folders, which get their modes and times last.
    folders: Vec<(PathBuf, Entry)>,
    left_out: usize,
}

impl<'a> Unpacking<'a> {
    fn new(root: &'a Root, target: &'a Path) -> Self {
        let (folders, left_out) = (Vec::new(), 0);
        Unpacking {
            root,
            target,
            folders,
            left_out,
        }
    }

    fn all(mut self, mut entries: Entries<impl Read>) -> io::Result<usize> {
        while let Some(entry) = entries.next_entry().map_err(io::Error::other)? {
            let path = self.place(&entry.path)?;
            match entry.kind {
                Kind::Directory => {
                    self.folder(&path)?;
                    self.folders.push((path, entry));
                }
                _ => self.file(&path, &entry, &mut entries)?,
            }
        }
        for (path, entry) in self.folders.iter().rev() {
            finish(
                &inside(self.root, path, FOLDER)?,
                (entry.mode, entry.mtime, 0),
            )?;
        }
        Ok(self.left_out)
    }

    /// Where a name of the tar is in the container.
    fn place(&self, name: &[u8]) -> io::Result<PathBuf> {
        let mut path = self.target.to_owned();
        for part in Path::new(OsStr::from_bytes(name)).components() {
            match part {
                Component::Normal(name) => path.push(name),
                Component::RootDir | Component::CurDir => {}
                Component::ParentDir | Component::Prefix(_) => {
                    return Err(io::Error::other("a name in the tar leads upwards"));
                }
            }
        }
        Ok(path)
    }

    /// A folder, which is made if it is missing.
    fn folder(&self, path: &Path) -> io::Result<OwnedFd> {
        match inside(self.root, path, FOLDER) {
            Err(Errno::NOENT) => {}
            opened => return Ok(opened?),
        }
        let (parent, name) = self.parent(path)?;
        match mkdirat(&parent, &name, Mode::from_raw_mode(0o755)) {
            Err(Errno::EXIST) | Ok(()) => Ok(inside(self.root, path, FOLDER)?),
            Err(errno) => Err(errno.into()),
        }
    }

    fn parent(&self, path: &Path) -> io::Result<(OwnedFd, OsString)> {
        let (parent, name) = path.parent().zip(path.file_name()).ok_or(Errno::INVAL)?;
        Ok((
            self.folder(parent)?,
            OsString::from_vec(name.as_bytes().to_vec()),
        ))
    }

    fn file(
        &mut self,
        path: &Path,
        entry: &Entry,
        entries: &mut Entries<impl Read>,
    ) -> io::Result<()> {
        if !matches!(entry.kind, Kind::File | Kind::Symlink | Kind::HardLink) {
            self.left_out += 1;
            return Ok(());
        }
        let (folder, name) = self.parent(path)?;
        make_way((&folder, &name))?;
        match entry.kind {
            Kind::Symlink => Ok(symlinkat(&*entry.link, &folder, &name)?),
            Kind::HardLink => {
                let (other, first) = self.parent(&self.place(&entry.link)?)?;
                Ok(linkat(&other, &first, &folder, &name, AtFlags::empty())?)
            }
            _ => write(&mut entries.content(), entry, (&folder, &name)),
        }
    }
}

fn write(content: &mut impl Read, entry: &Entry, to: (&OwnedFd, &OsStr)) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let made = openat(to.0, to.1, flags, Mode::RUSR | Mode::WUSR)?;
    let mut made = File::from(made);
    io::copy(content, &mut made)?;
    Ok(finish(&made.into(), (entry.mode, entry.mtime, 0))?)
}
