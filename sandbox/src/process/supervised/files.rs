//! Does for a command what it asks about a served name: opens it, says what it is, where it leads. What it gets is a file, or a folder of its
//! own tree. Unaware of which names are served.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, MemfdFlags, Mode, OFlags, ResolveFlags, SeekFrom, Stat, fcntl_getfl,
    fcntl_setfl, memfd_create, open, openat2, seek, statat,
};

use super::call::{Act, Call, Layout, Links};
use super::caller::Caller;
use super::name::Name;
use super::procfs::{self, Found};
use super::tree::Tree;
use super::{made_up, stat};
use crate::path::open_in_root;
use crate::sys::notify::{self, Answer, Notification};

/// As the kernel: more links than this are ELOOP.
const MAX_LINKS: usize = 8;

/// What became of a call.
#[derive(Debug)]
pub enum Reply {
    /// It is to be answered.
    Answer(Answer),
    /// It is answered: the caller has its descriptor.
    Done,
}

/// A call about a served name.
#[derive(Debug)]
pub struct Asked<'a> {
    pub listener: &'a OwnedFd,
    pub tree: &'a Tree,
    pub notification: &'a Notification,
    pub call: Call,
    pub caller: &'a Caller,
    /// Whether the name ends with a slash: then a link at its end is followed.
    pub is_folder: bool,
    /// Whether the caller gets a served folder.
    pub gives_folder: Cell<bool>,
}

fn errno(error: &io::Error) -> Answer {
    Answer::Errno(error.raw_os_error().unwrap_or(libc::EIO))
}

impl Asked<'_> {
    /// What becomes of it.
    pub fn reply(&self, found: Found) -> Reply {
        let done = match self.call.act {
            Act::Open(flags) => self.open(found, self.argument(flags) as u32),
            Act::OpenHow(how) => match self.caller.number(self.argument(how)) {
                Ok(flags) => self.open(found, flags as u32),
                Err(error) => Err(error),
            },
            Act::Stat(to, layout, links) => self.stat(found, to, layout, links),
            Act::Access(mode) => self.access(found, self.argument(mode) as u32),
            Act::ReadLink(to) => self.read_link(found, to),
            Act::ChangeFolder => self.change_folder(found),
            Act::Execute => self.execute(found),
            Act::Attributes => self.attributes(found),
            _ => Ok(Reply::Answer(Answer::Continue)),
        };
        done.unwrap_or_else(|error| Reply::Answer(errno(&error)))
    }

    fn argument(&self, number: usize) -> u64 {
        self.notification.arguments[number]
    }

    /// What a link leads to, if it is to be followed; ELOOP if it is to be opened itself.
    fn followed(&self, mut found: Found) -> Found {
        for _ in 0..MAX_LINKS {
            let Found::Link(real, text) = &found else {
                return found;
            };
            let target = match text {
                Some(text) => Path::new("/proc").join(text),
                None => match self.text_of(real) {
                    Some(text) => text,
                    None => return Found::Nothing(libc::EACCES),
                },
            };
            found = match Name::of(target.as_os_str().as_bytes()) {
                Some(name) => procfs::find(&name, self.caller),
                None => Found::Tree(
                    self.tree
                        .path
                        .join(target.strip_prefix("/").unwrap_or(&target)),
                ),
            };
        }
        Found::Nothing(libc::ELOOP)
    }

    /// Where a real link leads, as the command sees it.
    fn text_of(&self, real: &Path) -> Option<PathBuf> {
        let target = self.caller.link(real).ok()?;
        match target.is_absolute() {
            // a device that the command was started with
            true if target.starts_with("/dev") => Some(target),
            true => self.tree.inside(&target),
            false => Some(target),
        }
    }

    fn open(&self, found: Found, bits: u32) -> io::Result<Reply> {
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

    fn open_list(&self, real: &Path) -> io::Result<OwnedFd> {
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

    fn open_in_tree(&self, path: &Path, asked: OFlags) -> io::Result<OwnedFd> {
        let Some(inside) = self.tree.inside(path) else {
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        };
        let (root, mode) = (self.tree.root.as_fd(), Mode::from_raw_mode(0o666));
        let flags = asked | OFlags::NONBLOCK;
        let open = || open_in_root(root, &inside, flags, mode, self.tree.disabled);
        as_asked(self.caller.with_its_rights(open)?, asked)
    }

    /// What a real name is: of the container, seen with the caller's rights.
    fn look(&self, real: &Path, follow: bool) -> io::Result<Stat> {
        let flags = match follow {
            true => AtFlags::empty(),
            false => AtFlags::SYMLINK_NOFOLLOW,
        };
        Ok(self.caller.with_its_rights(|| statat(CWD, real, flags))?)
    }

    fn look_at(&self, found: &Found, follow: bool) -> io::Result<Option<Stat>> {
        Ok(Some(match found {
            Found::Real(path, _) | Found::Magic(path) | Found::Text(path, _) => {
                self.look(path, follow)?
            }
            Found::Link(path, _) => self.look(path, false)?,
            Found::Tree(path) => {
                let opened = self.open_in_tree(path, OFlags::PATH)?;
                rustix::fs::fstat(opened)?
            }
            Found::Device(_) if self.tree.has_devices => return Ok(None),
            Found::Device(name) => self.look(&Path::new("/dev").join(name), true)?,
            Found::Nothing(number) => return Err(io::Error::from_raw_os_error(*number)),
            Found::Unserved => return Ok(None),
        }))
    }

    fn stat(&self, found: Found, to: usize, layout: Layout, links: Links) -> io::Result<Reply> {
        let follow = match links {
            _ if self.is_folder => true,
            Links::Followed => true,
            Links::Taken => false,
            Links::Flag(flags) => {
                let no_follow = u64::from(AtFlags::SYMLINK_NOFOLLOW.bits());
                self.argument(flags) & no_follow == 0
            }
        };
        let found = if follow { self.followed(found) } else { found };
        let Some(stat) = self.look_at(&found, follow)? else {
            return Ok(Reply::Answer(Answer::Continue));
        };
        self.store(to, &stat::encode(&stat, layout))?;
        Ok(Reply::Answer(Answer::Value(0)))
    }

    /// Stores bytes for the caller, who waits: the memory is its own as long as it does.
    fn store(&self, to: usize, bytes: &[u8]) -> io::Result<()> {
        let memory: File = self.caller.writable()?;
        if !notify::is_waiting(self.listener, self.notification.id) {
            return Err(io::Error::from_raw_os_error(libc::EINTR));
        }
        let written = memory.write_all_at(bytes, self.argument(to));
        written.map_err(|_| io::Error::from_raw_os_error(libc::EFAULT))
    }

    fn access(&self, found: Found, mode: u32) -> io::Result<Reply> {
        let found = self.followed(found);
        let writable = !matches!(found, Found::Real(_, false) | Found::Text(..));
        let Some(_) = self.look_at(&found, true)? else {
            return Ok(Reply::Answer(Answer::Continue));
        };
        match mode & libc::W_OK.cast_unsigned() != 0 && !writable {
            true => fails(libc::EROFS),
            false => Ok(Reply::Answer(Answer::Value(0))),
        }
    }

    fn read_link(&self, found: Found, to: usize) -> io::Result<Reply> {
        let text = match found {
            Found::Link(_, Some(text)) => PathBuf::from(text),
            Found::Link(real, None) | Found::Magic(real) => match self.text_of(&real) {
                Some(text) => text,
                None => return fails(libc::EACCES),
            },
            Found::Nothing(number) => return fails(number),
            Found::Real(real, _) if self.look(&real, false).is_err() => return fails(libc::ENOENT),
            Found::Real(..) | Found::Text(..) => return fails(libc::EINVAL),
            _ => return Ok(Reply::Answer(Answer::Continue)),
        };
        let size = usize::try_from(self.argument(to + 1)).unwrap_or(0);
        let text = text.as_os_str().as_bytes();
        let text = &text[..text.len().min(size)];
        self.store(to, text)?;
        Ok(Reply::Answer(Answer::Value(
            i64::try_from(text.len()).unwrap_or(0),
        )))
    }

    /// Only the kernel can execute, and it finds names in the tree: the caller's own program has one there, as long as the name that the
    /// caller gave, which is replaced.
    fn execute(&self, found: Found) -> io::Result<Reply> {
        if let Found::Magic(real) = &found
            && real.ends_with("exe")
            && let Some(program) = self.text_of(real)
        {
            let mut name = made_up::program(self.tree.root.as_fd(), &program)?.into_bytes();
            name.push(0);
            self.store(self.call.path, &name)?;
        }
        Ok(Reply::Answer(Answer::Continue))
    }

    /// As of a file system that has none.
    fn attributes(&self, found: Found) -> io::Result<Reply> {
        match found {
            Found::Unserved | Found::Device(_) | Found::Tree(_) => {
                Ok(Reply::Answer(Answer::Continue))
            }
            Found::Nothing(number) => fails(number),
            _ => fails(libc::EOPNOTSUPP),
        }
    }

    /// The kernel changes to the list, which is in the tree at the same path.
    fn change_folder(&self, found: Found) -> io::Result<Reply> {
        if let Found::Real(real, _) = self.followed(found)
            && real.is_dir()
        {
            self.open_list(Path::new("/proc"))
                .and_then(|_| self.open_list(&real))?;
        }
        self.gives_folder.set(true);
        Ok(Reply::Answer(Answer::Continue))
    }
}

fn fails(number: i32) -> io::Result<Reply> {
    Err(io::Error::from_raw_os_error(number))
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
