//! Writing in a layout's folder. Others who may write there must not choose what kiln writes or deletes on this machine: each
//! folder is opened beneath the one that the user named, and no symbolic link in it is followed. Unaware of what files hold.

use crate::failure::BackendError;
use kiln_cache::beneath;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where blobs are.
pub(super) const BLOBS: &str = "blobs/sha256";
/// How the names of files begin while they are written.
const TEMPORARY: &str = ".kiln-cache";
/// All who may read the folder may read its files.
const READABLE: u32 = 0o644;

/// The folder of a layout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folder<'a>(pub(super) &'a Path);

impl Folder<'_> {
    /// Makes the folders of a layout where they are missing. Links in place of them, or of these files, are refused.
    pub(super) fn make(self, files: &[&str]) -> Result<(), BackendError> {
        std::fs::create_dir_all(self.0).map_err(BackendError::io("make", self.0))?;
        let root = self.open("")?;
        for path in ["blobs", BLOBS] {
            self.refuse_link(&root, path)?;
            match mkdirat(&root, path, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => {
                    return Err(BackendError::io("make", self.0.join(path))(error.into()));
                }
            }
        }
        files
            .iter()
            .try_for_each(|file| self.refuse_link(&root, file))
    }

    fn refuse_link(self, root: &OwnedFd, path: &str) -> Result<(), BackendError> {
        let found = statat(root, path, AtFlags::SYMLINK_NOFOLLOW);
        let is_link =
            found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink);
        match is_link {
            true => Err(BackendError::Link(self.0.join(path))),
            false => Ok(()),
        }
    }

    /// A folder of it; `""` is the layout's own.
    fn open(self, path: &str) -> Result<OwnedFd, BackendError> {
        let root = beneath::open_root(self.0).map_err(BackendError::io("open", self.0))?;
        let opened = beneath::open_dir(root.as_fd(), path.as_bytes());
        opened.map_err(BackendError::io("open", self.0.join(path)))
    }

    /// Opens a regular file of the layout's own folder, to lock it; makes an empty one where none is. It is never another file afterwards:
    /// who waits for a lock waits for that of this very file.
    pub(super) fn file(self, name: &str) -> Result<File, BackendError> {
        let failed = |error: io::Error| BackendError::io("open", self.0.join(name))(error);
        let folder = self.open("")?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = |flags| openat(&folder, name, flags, Mode::from_raw_mode(READABLE));
        let opened = match open(flags) {
            Err(Errno::NOENT) => open(flags | OFlags::CREATE),
            opened => opened,
        };
        let file = File::from(opened.map_err(|error| failed(error.into()))?);
        match file.metadata() {
            Ok(found) if found.is_file() => Ok(file),
            Ok(_) => Err(failed(io::Error::other("it is not a regular file"))),
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes into a file of the layout's own folder that is there.
    pub(super) fn fill(self, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let folder = self.open("")?;
        let fill = || -> io::Result<()> {
            let mut file = File::from(openat(&folder, name, flags, Mode::empty())?);
            rustix::fs::fchmod(&file, Mode::from_raw_mode(READABLE))?;
            file.write_all(bytes)
        };
        fill().map_err(BackendError::io("write", self.0.join(name)))
    }

    /// Writes a file beside its place, then renames it: a reader of the name sees the whole or what was there before.
    pub(super) fn write(
        self,
        within: &str,
        name: &str,
        bytes: &mut dyn Read,
        durably: bool,
    ) -> Result<(), BackendError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = format!("{TEMPORARY}-{}-{number}", std::process::id());
        let folder = self.open(within)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(READABLE);
        let mut write = || -> io::Result<()> {
            let mut file = File::from(openat(&folder, &*temporary, flags, mode)?);
            rustix::fs::fchmod(&file, mode)?;
            io::copy(bytes, &mut file)?;
            if durably {
                file.sync_all()?;
            }
            Ok(renameat(&folder, &*temporary, &folder, name)?)
        };
        write().map_err(|error| {
            // the next writer sweeps it away if this fails
            let _ = unlinkat(&folder, &*temporary, AtFlags::empty());
            BackendError::io("write", self.0.join(within).join(name))(error)
        })
    }

    /// Adds a line to a file of the layout's own folder.
    pub(super) fn append(self, name: &str, line: &str) -> Result<(), BackendError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(self.open("")?, name, flags, Mode::from_raw_mode(READABLE));
        let written = opened
            .map_err(io::Error::from)
            .and_then(|file| writeln!(File::from(file), "{line}"));
        written.map_err(BackendError::io("write", self.0.join(name)))
    }

    /// Removes a file; a link is removed itself.
    pub(super) fn remove(self, within: &str, name: &str) -> Result<(), BackendError> {
        match unlinkat(self.open(within)?, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(BackendError::io("remove", self.0.join(within).join(name))(
                error.into(),
            )),
        }
    }

    /// Removes the beginnings of files that a killed writer left.
    pub(super) fn sweep(self) -> Result<(), BackendError> {
        for within in ["", BLOBS] {
            let folder = self.open(within)?;
            let failed = |error: Errno| BackendError::io("read", self.0.join(within))(error.into());
            for entry in rustix::fs::Dir::read_from(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                if entry
                    .file_name()
                    .to_bytes()
                    .starts_with(TEMPORARY.as_bytes())
                {
                    // its writer may have removed it meanwhile
                    let _ = unlinkat(&folder, entry.file_name(), AtFlags::empty());
                }
            }
        }
        Ok(())
    }
}
