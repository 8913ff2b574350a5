//! `type=local`: the files of the result in a folder, as the user who builds. Unaware of layers.
//!
//! Owners, extended attributes, and the set-user-ID and set-group-ID bits stay behind, devices and pipes too: nothing that an image
//! says gives anybody rights on this machine. No link below the destination is followed: a link that stands where the result has a
//! folder is replaced by the folder. Other files of the destination stay, but for `mode=delete`, which removes them last. Each file
//! appears whole.

use super::Kind;
use super::files::{self, File};
use super::others;
use super::whole::{self, TEMPORARY, Whole};
use crate::failure::ExportError;
use crate::request::{BuildResult, Exporter};
use kiln_cache::{Chain, EntryKind, beneath, path};
use rustix::fs::{AtFlags, FileType, Mode, Timespec, Timestamps};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// `type=local`.
pub(super) const KIND: Kind = Kind {
    name: "local",
    keys: &["dest", "mode", "platform-split", "rewrite-timestamp"],
    make: |mut attributes| {
        let destination = attributes
            .take("dest")
            .ok_or(ExportError::NoDestination { kind: "local" })?;
        if destination == "-" {
            return Err(ExportError::Unsupported(
                "a folder cannot be written to -: use type=tar".to_owned(),
            ));
        }
        attributes.flag("rewrite-timestamp", true)?;
        let split = attributes.choice("platform-split")?;
        let deletes = match attributes.take("mode").as_deref() {
            None | Some("copy") => false,
            Some("delete") => true,
            Some(mode) => return Err(ExportError::value("mode", mode, "expected copy or delete")),
        };
        Ok(Box::new(Local {
            destination: destination.into(),
            split,
            deletes,
        }))
    },
};

#[derive(Debug)]
struct Local {
    destination: PathBuf,
    split: Option<bool>,
    /// Whether files that the result does not have are removed.
    deletes: bool,
}

impl Exporter for Local {
    fn takes_away(&self) -> bool {
        true
    }

    fn deletes_in(&self) -> Option<&Path> {
        self.deletes.then_some(&*self.destination)
    }

    fn export(&self, result: &BuildResult<'_>) -> Result<(), ExportError> {
        let path = &self.destination;
        std::fs::create_dir_all(path).map_err(ExportError::io("make", path))?;
        let root = beneath::open_root(path).map_err(ExportError::io("open", path))?;
        whole::remove_left(root.as_fd());
        let mut folder = Folder {
            path,
            root,
            directories: Vec::new(),
            names: self.deletes.then(BTreeSet::new),
            written: 0,
            left_out: 0,
        };
        let written = files::each(result, self.split, |chain, file| folder.put(chain, file))
            .and_then(|()| folder.delete_others())
            .and_then(|()| folder.finish());
        written.map_err(|source| folder.partly(source))?;
        if folder.left_out > 0 {
            let (count, path) = (folder.left_out, path.display());
            let warning = format!("{count} devices and pipes are not in {path}");
            result.session.events.warn(warning);
        }
        Ok(())
    }
}

/// The destination while it is being written.
struct Folder<'a> {
    path: &'a Path,
    root: OwnedFd,
    /// Folders of the result with their mode and time, which are set last: a mode may forbid to write.
    directories: Vec<(Vec<u8>, u32, i64)>,
    /// All paths of the result that are there, if all others are to be removed.
    names: Option<BTreeSet<Vec<u8>>>,
    written: u64,
    left_out: u64,
}

impl Folder<'_> {
    fn put(&mut self, chain: &Chain, file: &File<'_>) -> Result<(), ExportError> {
        let shown = self.path.join(OsStr::from_bytes(&file.path));
        let put = self.try_put(chain, file);
        put.map_err(ExportError::io("write", shown))
    }

    fn try_put(&mut self, chain: &Chain, file: &File<'_>) -> io::Result<()> {
        let (parent, name) = self.place(&file.path)?;
        match &file.found.entry.kind {
            EntryKind::Directory { .. } => {
                make_directory(&parent, name)?;
                let folder = (file.path.clone(), file.found.entry.mode, file.mtime);
                self.directories.push(folder);
            }
            EntryKind::File { .. } | EntryKind::Symlink { .. } => {
                self.replace(&parent, name, chain, file)?;
                self.written += 1;
            }
            _ => {
                self.left_out += 1;
                return Ok(());
            }
        }
        if let Some(names) = &mut self.names {
            names.insert(file.path.clone());
        }
        Ok(())
    }

    /// The folder in which a path is, and its name there.
    fn place<'p>(&self, path: &'p [u8]) -> io::Result<(OwnedFd, &'p [u8])> {
        let parent = path::parent(path).unwrap_or_default();
        let parent = beneath::open_dir(self.root.as_fd(), parent)?;
        Ok((parent, path::name(path)))
    }

    /// Writes a file under another name, then gives it its own.
    fn replace(
        &self,
        parent: &OwnedFd,
        name: &[u8],
        chain: &Chain,
        file: &File<'_>,
    ) -> io::Result<()> {
        whole::remove_left(parent.as_fd());
        let must_rename = match (&file.first_name, &file.found.entry.kind) {
            (Some(first), _) => self.link(first, parent).map(|()| true),
            (None, EntryKind::Symlink { target }) => {
                symlink(parent, target, file.mtime).map(|()| true)
            }
            (None, _) => write(parent, name, chain, file),
        };
        let placed = match must_rename {
            Ok(false) => return Ok(()),
            Ok(true) => self.rename(parent, name),
            Err(error) => Err(error),
        };
        // also after a rename onto another name of the same file, which leaves both names
        whole::remove_left(parent.as_fd());
        placed
    }

    fn rename(&self, parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
        let rename = || rustix::fs::renameat(parent, TEMPORARY, parent, name);
        match rename() {
            Err(Errno::ISDIR) if self.names.is_some() => {
                others::remove_folder(parent.as_fd(), name)?;
                Ok(rename()?)
            }
            renamed => Ok(renamed?),
        }
    }

    /// Removes what the result does not have, with `mode=delete`.
    fn delete_others(&self) -> Result<(), ExportError> {
        let Some(names) = &self.names else {
            return Ok(());
        };
        let removed = others::remove(self.root.as_fd(), &mut Vec::new(), names);
        removed.map_err(ExportError::io(
            "remove what the result does not have from",
            self.path,
        ))
    }

    fn link(&self, first: &[u8], parent: &OwnedFd) -> io::Result<()> {
        let (folder, name) = self.place(first)?;
        Ok(rustix::fs::linkat(
            &folder,
            name,
            parent,
            TEMPORARY,
            AtFlags::empty(),
        )?)
    }

    /// What went wrong, and how much was there before.
    fn partly(&self, source: ExportError) -> ExportError {
        match self.written {
            0 => source,
            written => ExportError::Partly {
                path: self.path.to_owned(),
                written,
                source: Box::new(source),
            },
        }
    }

    /// Modes and times of folders, the innermost first.
    fn finish(&mut self) -> Result<(), ExportError> {
        for (path, mode, mtime) in self.directories.drain(..).rev() {
            let shown = self.path.join(OsStr::from_bytes(&path));
            let opened = beneath::open_dir(self.root.as_fd(), &path);
            let set = opened.and_then(|folder| {
                // of an output that was killed, and had other files here
                whole::remove_left(folder.as_fd());
                rustix::fs::futimens(&folder, &times(mtime))?;
                Ok(rustix::fs::fchmod(
                    &folder,
                    Mode::from_raw_mode(mode & 0o1777),
                )?)
            });
            set.map_err(ExportError::io("set the mode of", shown))?;
        }
        Ok(())
    }
}

fn make_directory(parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let make = || rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700));
    match make() {
        Err(Errno::EXIST) => {}
        outcome => return Ok(outcome?),
    }
    let found = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
        return Ok(());
    }
    rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
    Ok(make()?)
}

fn symlink(parent: &OwnedFd, target: &[u8], mtime: i64) -> io::Result<()> {
    rustix::fs::symlinkat(target, parent, TEMPORARY)?;
    Ok(rustix::fs::utimensat(
        parent,
        TEMPORARY,
        &times(mtime),
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

/// Whether the file has the temporary name now.
fn write(parent: &OwnedFd, name: &[u8], chain: &Chain, file: &File<'_>) -> io::Result<bool> {
    let out = Whole::new(parent.as_fd())?;
    let entry = file.found.entry;
    let mut content = chain
        .read(&file.found)
        .map_err(|error| io::Error::other(crate::failure::chain_of_causes(&error)))?;
    if content.copy_to(&out.file, entry.size())? != entry.size() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    rustix::fs::fchmod(&out.file, Mode::from_raw_mode(entry.mode & 0o777))?;
    rustix::fs::futimens(&out.file, &times(file.mtime))?;
    out.link(parent.as_fd(), name)
}

fn times(seconds: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
