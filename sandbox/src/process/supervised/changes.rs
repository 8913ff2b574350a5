//! Changes what a served name leads to, with the caller's rights: its mode, its owner, its times, its length; and gives it another name. The C
//! library reaches an open file so (`chmod` of `/proc/self/fd/3`). Unaware of which names are served.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, Uid, chmodat, chownat, ftruncate,
    linkat, open, utimensat,
};
use rustix::io::Errno;

use super::call::{Change, Links};
use super::files::{Asked, Reply};
use super::procfs::Found;
use crate::path::{Missing, open_parent};
use crate::sys::notify::Answer;

/// What a call changes. The descriptor, if there is one, is what the path names.
struct Target(PathBuf, Option<OwnedFd>);

impl Asked<'_> {
    /// Carries it out.
    pub(super) fn change(&self, found: Found, change: Change, links: Links) -> io::Result<Reply> {
        let is_link = matches!(found, Found::Link(..) | Found::Magic(_));
        if is_link && !self.follows(links) {
            return Err(Errno::PERM.into());
        }
        let Some(target) = self.target(self.followed(found))? else {
            return Ok(Reply::Answer(Answer::Continue));
        };
        self.carry_out(&target.0, change)?;
        drop(target.1);
        Ok(Reply::Answer(Answer::Value(0)))
    }

    /// None: the kernel finds it by itself.
    fn target(&self, found: Found) -> io::Result<Option<Target>> {
        match found {
            Found::Magic(link) => Ok(Some(Target(link, None))),
            Found::Tree(path) => {
                let opened = self.open_in_tree(&path, OFlags::PATH)?;
                let path = format!("/proc/self/fd/{}", opened.as_raw_fd());
                Ok(Some(Target(path.into(), Some(opened))))
            }
            Found::Device(_) | Found::Unserved | Found::Link(..) => Ok(None),
            Found::Real(..) | Found::Text(..) => Err(Errno::PERM.into()),
            Found::Secret(_) => Err(Errno::ROFS.into()),
            Found::Nothing(number) => Err(io::Error::from_raw_os_error(number)),
        }
    }

    fn carry_out(&self, path: &Path, change: Change) -> io::Result<()> {
        let none = AtFlags::empty();
        let (caller, argument) = (self.caller, |at| self.argument(at));
        // the number -1 leaves an owner
        let id = |at| Some(argument(at) as u32).filter(|id| *id != u32::MAX);
        match change {
            Change::Mode(at) => {
                let mode = Mode::from_raw_mode(argument(at) as u32);
                caller.with_its_rights(|| chmodat(CWD, path, mode, none))?;
            }
            Change::Owner(at) => {
                let (uid, gid) = (id(at).map(Uid::from_raw), id(at + 1).map(Gid::from_raw));
                caller.with_its_rights(|| chownat(CWD, path, uid, gid, none))?;
            }
            Change::Times(at) => {
                let times = self.times(at)?;
                caller.with_its_rights(|| utimensat(CWD, path, &times, none))?;
            }
            Change::Length(at) => caller.with_its_rights(|| cut(path, argument(at)))?,
            Change::Name(at) => self.link(path, at)?,
        }
        Ok(())
    }

    /// Two `struct timespec`, or none for now.
    fn times(&self, at: usize) -> io::Result<Timestamps> {
        let address = self.argument(at);
        let time = |offset| -> io::Result<Timespec> {
            if address == 0 {
                let (tv_sec, tv_nsec) = (0, rustix::fs::UTIME_NOW);
                return Ok(Timespec { tv_sec, tv_nsec });
            }
            let number = |at: u64| Ok::<_, io::Error>(self.caller.number(at)?.cast_signed());
            Ok(Timespec {
                tv_sec: number(address + offset)?,
                tv_nsec: number(address + offset + 8)?,
            })
        };
        Ok(Timestamps {
            last_access: time(0)?,
            last_modification: time(16)?,
        })
    }

    /// The second folder and path of linkat(2) begin at the argument of this number, and the flags are two after it.
    fn link(&self, path: &Path, at: usize) -> io::Result<()> {
        let follow = u64::from(AtFlags::SYMLINK_FOLLOW.bits());
        if self.argument(at + 2) & follow == 0 {
            return Err(Errno::XDEV.into());
        }
        let text = self.caller.text(self.argument(at + 1))?;
        let new = self.path_in_tree(self.argument(at) as i32, &text)?;
        let root = self.tree.root.as_fd();
        self.caller.with_its_rights(|| {
            let mut missing = |_: &Missing<'_>| Err(Errno::NOENT.into());
            let (folder, name) = open_parent(root, &new, &mut missing)?;
            Ok(linkat(CWD, path, folder, name, AtFlags::SYMLINK_FOLLOW)?)
        })
    }

    /// A path as the caller means it, from the tree's root.
    fn path_in_tree(&self, descriptor: i32, text: &[u8]) -> io::Result<PathBuf> {
        let path = Path::new(std::ffi::OsStr::from_bytes(text));
        if path.is_absolute() {
            return Ok(path.to_owned());
        }
        let folder = self.tree.inside(&self.caller.folder(descriptor)?);
        Ok(folder.ok_or(Errno::XDEV)?.join(path))
    }
}

/// As truncate(2), which waits for nobody.
fn cut(path: &Path, length: u64) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(ftruncate(open(path, flags, Mode::empty())?, length)?)
}
