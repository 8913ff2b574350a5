//! Does for a command what it asks about a served name: says what it is, where it leads. Unaware of which names are served.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, OFlags, Stat, statat};

use super::call::{Act, Call, Layout, Links};
use super::caller::Caller;
use super::name::Name;
use super::procfs::{self, Found};
use super::tree::Tree;
use super::{made_up, stat};
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
            Act::Create => {
                let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC;
                self.open(found, flags.bits())
            }
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
            Act::Change(change, links) => self.change(found, change, links),
            _ => Ok(Reply::Answer(Answer::Continue)),
        };
        done.unwrap_or_else(|error| Reply::Answer(errno(&error)))
    }

    pub(super) fn argument(&self, number: usize) -> u64 {
        self.notification.arguments[number]
    }

    /// What a link leads to, if it is to be followed; ELOOP if it is to be opened itself.
    pub(super) fn followed(&self, mut found: Found) -> Found {
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

    /// What a real name is: of the container, seen with the caller's rights.
    pub(super) fn look(&self, real: &Path, follow: bool) -> io::Result<Stat> {
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
            Found::Secret(file) => self.look(file, true)?,
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

    /// Whether a link at the end of the name is followed.
    pub(super) fn follows(&self, links: Links) -> bool {
        match links {
            _ if self.is_folder => true,
            Links::Followed => true,
            Links::Taken => false,
            Links::Flag(flags) => {
                let no_follow = u64::from(AtFlags::SYMLINK_NOFOLLOW.bits());
                self.argument(flags) & no_follow == 0
            }
        }
    }

    fn stat(&self, found: Found, to: usize, layout: Layout, links: Links) -> io::Result<Reply> {
        let follow = self.follows(links);
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
        let writable = !matches!(
            found,
            Found::Real(_, false) | Found::Text(..) | Found::Secret(_)
        );
        let Some(_) = self.look_at(&found, true)? else {
            return Ok(Reply::Answer(Answer::Continue));
        };
        if let Found::Secret(file) = &found
            && mode & libc::R_OK.cast_unsigned() != 0
        {
            self.open_secret(file, OFlags::RDONLY)?;
        }
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
            Found::Real(..) | Found::Text(..) | Found::Secret(_) => return fails(libc::EINVAL),
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

pub(super) fn fails(number: i32) -> io::Result<Reply> {
    Err(io::Error::from_raw_os_error(number))
}
