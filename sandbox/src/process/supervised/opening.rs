//! Opens what stands at a served name for a command: a file, or a folder of its own tree. Unaware of which names are served.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    CWD, FileType, MemfdFlags, Mode, OFlags, ResolveFlags, SeekFrom, fcntl_getfl, fcntl_setfl,
    memfd_create, open, openat2, seek,
};

use super::files::{Asked, Reply, fails};
use super::made_up;
use super::procfs::Found;
use crate::path::open_in_root;
use crate::sys::notify::{self, Answer};

impl Asked<'_> {
    pub(super) fn open(&self, found: Found, bits: u32) -> io::Result<Reply> {
        let asked = OFlags::from_bits_retain(bits);
        let is_link = matches!(found, Found::Link(..) | Found::Magic(_));
        if is_link && asked.contains(OFlags::NOFOLLOW) {
            return fails(libc::ELOOP);
        }
        let opened = match self.followed(found) {
            Found::Real(real, writable) => self.open_real(&real, writable, asked)?,
            Found::Text(_, text) => anonymous(&text)?,
            Found::Magic(link) => self.open_magic(&link, asked)?,
            Found::Tree(path) => self.open_in_tree(&path, asked)?,
            Found::Secret(file) => self.open_secret(&file, asked)?,
            Found::Device(_) if self.tree.has_devices => {
                return Ok(Reply::Answer(Answer::Continue));
            }
            Found::Device(name) => self.open_magic(&Path::new("/dev").join(name), asked)?,
            Found::Nothing(number) => return fails(number),
            Found::Unserved | Found::Link(..) => return Ok(Reply::Answer(Answer::Continue)),
        };
        let close = asked.contains(OFlags::CLOEXEC);
        // The kernel closes what it cannot give: the thread was killed meanwhile.
        let _ = notify::give(self.listener, self.notification.id, opened.as_fd(), close);
        Ok(Reply::Done)
    }

    fn open_real(&self, real: &Path, writable: bool, asked: OFlags) -> io::Result<OwnedFd> {
        let access = asked & (OFlags::RDONLY | OFlags::WRONLY | OFlags::RDWR | OFlags::PATH);
        let kind = FileType::from_raw_mode(self.look(real, true)?.st_mode);
        if kind == FileType::Directory {
            return match access.intersects(OFlags::WRONLY | OFlags::RDWR) {
                true => Err(io::Error::from_raw_os_error(libc::EISDIR)),
                false => self.open_list(real),
            };
        }
        if asked.contains(OFlags::DIRECTORY) {
            return Err(io::Error::from_raw_os_error(libc::ENOTDIR));
        }
        if access.intersects(OFlags::WRONLY | OFlags::RDWR) && !writable {
            return Err(io::Error::from_raw_os_error(libc::EROFS));
        }
        let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = self.caller.with_its_rights(|| open_real(real, flags))?;
        as_asked(opened, asked)
    }

    pub(super) fn open_list(&self, real: &Path) -> io::Result<OwnedFd> {
        self.gives_folder.set(true);
        made_up::list(self.tree.root.as_fd(), real, self.caller.process()?)
    }

    /// A descriptor of the caller's, its program, a device: what is behind it the caller has, or may have. Never a folder outside of its tree.
    fn open_magic(&self, link: &Path, asked: OFlags) -> io::Result<OwnedFd> {
        let made = OFlags::CREATE | OFlags::EXCL;
        let flags = asked.difference(made) | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = self
            .caller
            .with_its_rights(|| open(link, flags, Mode::empty()))?;
        let stat = rustix::fs::fstat(&opened)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let place = super::planting::path_of(opened.as_fd())?;
            let inside = self.tree.inside(&place);
            inside.ok_or_else(|| io::Error::from_raw_os_error(libc::EACCES))?;
        }
        as_asked(opened, asked)
    }

    pub(super) fn open_secret(&self, file: &Path, asked: OFlags) -> io::Result<OwnedFd> {
        if asked.intersects(OFlags::WRONLY | OFlags::RDWR) {
            return Err(io::Error::from_raw_os_error(libc::EROFS));
        }
        if asked.contains(OFlags::DIRECTORY) {
            return Err(io::Error::from_raw_os_error(libc::ENOTDIR));
        }
        let flags = (asked & OFlags::PATH) | OFlags::CLOEXEC;
        let open = || open(file, flags, Mode::empty());
        Ok(self.caller.with_its_rights(open)?)
    }

    pub(super) fn open_in_tree(&self, path: &Path, asked: OFlags) -> io::Result<OwnedFd> {
        let Some(inside) = self.tree.inside(path) else {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        };
        let (root, mode) = (self.tree.root.as_fd(), Mode::from_raw_mode(0o666));
        let flags = asked | OFlags::NONBLOCK;
        let open = || open_in_root(root, &inside, flags, mode, self.tree.disabled);
        as_asked(self.caller.with_its_rights(open)?, asked)
    }
}

/// Opens a real name without following a link that only the kernel can: it could lead anywhere.
fn open_real(real: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::NO_MAGICLINKS;
    match openat2(CWD, real, flags, Mode::empty(), resolve) {
        Err(rustix::io::Errno::NOSYS) => Ok(open(real, flags | OFlags::NOFOLLOW, Mode::empty())?),
        opened => Ok(opened?),
    }
}

/// It was opened so that this process does not wait; the caller may want to.
fn as_asked(opened: OwnedFd, asked: OFlags) -> io::Result<OwnedFd> {
    if !asked.intersects(OFlags::NONBLOCK | OFlags::PATH) {
        let flags = fcntl_getfl(&opened)?;
        fcntl_setfl(&opened, flags.difference(OFlags::NONBLOCK))?;
    }
    Ok(opened)
}

/// A file that holds a text and is in no folder.
fn anonymous(text: &str) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("made-up", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    seek(&file, SeekFrom::Start(0))?;
    Ok(file.into())
}
