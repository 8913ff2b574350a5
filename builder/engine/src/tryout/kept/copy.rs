//! Files between a container and this machine, or two containers, by the rules of `docker cp`. Each side is a root and a path in it, whose links
//! are followed inside that root only; links that are copied stay links. What is copied belongs to whoever copies, and gives nobody rights by
//! its mode. Unaware of which side is which.

use super::line::Line;
use super::{Held, Kept};
use crate::execute::is_supervised;
use crate::execute::live::Live;
use crate::execute::runner::Below;
use crate::execute::runner::local::rootfs::Space;
use crate::failure::{ContainerError, KeptError};
use crate::plan::output::Stack;
use crate::session::Session;
use kiln_sandbox::RootMount;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, fchmod, fstat,
    fstatfs, futimens, mkdirat, openat, openat2, readlinkat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Folders in each other; more are nobody's files.
const DEEPEST: usize = 256;
/// Modes that are copied.
const MODES: u32 = 0o1777;
pub(super) const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// A root file system that is looked into.
#[derive(Debug)]
pub enum Root {
    /// Of this machine, or of a container that runs.
    Open(OwnedFd),
    /// Of a container that does not run, and cannot be started meanwhile.
    Mounted(RootMount, Box<Held>),
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Root::Open(root) => root.as_fd(),
            Root::Mounted(root, _) => root.as_fd(),
        }
    }
}

impl Kept {
    /// Its root file system.
    ///
    /// # Errors
    /// It cannot be mounted, or has none of its own.
    pub fn root(&self, session: &Session) -> Result<Root, ContainerError> {
        let store = &session.store;
        if self.runs() {
            return Ok(Root::Open(Line::to(store, self)?.root()?));
        }
        if is_supervised(session) || session.refused.is_some() {
            let why = "files of a container are seen in namespaces only: without them, `kiln commit` makes an image, and `kiln export` a tar of it";
            return Err(KeptError::Refused(why.to_owned()).into());
        }
        let held = self.clone().hold(store)?;
        let layers = store.containers().layers(&self.record.id)?;
        let live = Live::finished(Stack::of_image(&layers));
        let written = || Ok(layers.clone());
        let below = Below::new(&live, &written);
        let container = Some((self.record.id.as_str(), true));
        let (root, _) = Space::Store.root(session, &below, container)?;
        Ok(Root::Mounted(root, Box::new(held)))
    }
}

/// Copies what a path of one root leads to, with a link at its end only where `follows` says so, to a path of another one. Returns how many
/// devices, pipes and sockets were left out.
///
/// # Errors
/// There is no such path, or it cannot be copied there.
pub fn copy(
    (from, source): (&Root, &Path),
    (to, target): (&Root, &Path),
    follows: bool,
) -> Result<usize, KeptError> {
    let found = find(from, source, follows)?;
    let copied = Target::find(to, target, (&found, source)).and_then(|target| target.take(&found));
    copied.map_err(failed("copy to", target))
}

/// Opens what a path leads to, by its path alone.
pub(super) fn find(root: &Root, source: &Path, follows: bool) -> Result<OwnedFd, KeptError> {
    let flags = match follows || is_of_content(source) {
        true => OFlags::PATH,
        false => OFlags::PATH | OFlags::NOFOLLOW,
    };
    inside(root, source, flags).map_err(failed("read", source))
}

pub(super) fn failed<E: Into<io::Error>>(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(E) -> KeptError {
    let path = path.to_owned();
    move |error| KeptError::Io {
        action,
        path,
        source: error.into(),
    }
}

/// Opens a path inside a root.
pub(super) fn inside(root: &Root, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::CLOEXEC;
    loop {
        // a folder was moved meanwhile
        match openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
}

/// Whether a path means what is in a folder, and not the folder.
pub(super) fn is_of_content(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.ends_with(b"/.") || bytes == b"." || path.file_name().is_none()
}

fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Where something is copied to.
enum Target<'a> {
    /// Under a name in a folder.
    Named(OwnedFd, &'a OsStr),
    /// All that is in it into a folder.
    Content(OwnedFd),
}

impl<'a> Target<'a> {
    fn find(
        root: &Root,
        path: &'a Path,
        (found, source): (&OwnedFd, &'a Path),
    ) -> Result<Self, Errno> {
        let has_folder = is_folder(&fstat(found)?);
        match inside(root, path, FOLDER) {
            Ok(folder) if has_folder && is_of_content(source) => return Ok(Self::Content(folder)),
            Ok(folder) => {
                let name = source.file_name().ok_or(Errno::INVAL)?;
                return Ok(Self::Named(folder, name));
            }
            Err(Errno::NOTDIR) if has_folder => return Err(Errno::NOTDIR),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => return Err(errno),
        }
        if path.as_os_str().as_bytes().ends_with(b"/") && !has_folder {
            return Err(Errno::NOENT);
        }
        let parent = path.parent().ok_or(Errno::INVAL)?;
        let name = path.file_name().ok_or(Errno::INVAL)?;
        Ok(Self::Named(inside(root, parent, FOLDER)?, name))
    }

    fn take(&self, found: &OwnedFd) -> Result<usize, Errno> {
        match self {
            Self::Named(folder, name) => entry(found, (folder, name), 0),
            Self::Content(folder) => content(found, folder, 0),
        }
    }
}

/// Copies something that is open by its path alone; how much of it was left out.
fn entry(found: &OwnedFd, to: (&OwnedFd, &OsStr), depth: usize) -> Result<usize, Errno> {
    let stat = fstat(found)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => return folder(found, &stat, to, depth),
        FileType::RegularFile => file(found, &stat, to)?,
        FileType::Symlink => {
            let link = readlinkat(found, "", Vec::new())?;
            make_way(to)?;
            symlinkat(link, to.0, to.1)?;
        }
        _ => return Ok(1),
    }
    Ok(0)
}

fn folder(
    found: &OwnedFd,
    stat: &Stat,
    (parent, name): (&OwnedFd, &OsStr),
    depth: usize,
) -> Result<usize, Errno> {
    let is_new = match mkdirat(parent, name, Mode::RWXU) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(errno) => return Err(errno),
    };
    let flags = FOLDER | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(parent, name, flags, Mode::empty())?;
    let left_out = content(found, &made, depth)?;
    if is_new {
        finish(&made, looks(stat))?;
    }
    Ok(left_out)
}

/// Of statfs(2): the file systems that show the kernel.
const PROC: i64 = 0x9fa0;
const SYSFS: i64 = 0x6265_6572;

/// Whether a folder at a depth below what was asked for has files in it: `/proc` and `/sys` have none.
pub(super) fn has_files(found: &OwnedFd, depth: usize) -> Result<bool, Errno> {
    match depth {
        0 => Ok(true),
        1..=DEEPEST => Ok(!matches!(fstatfs(found)?.f_type, PROC | SYSFS)),
        _ => Err(Errno::LOOP),
    }
}

fn content(found: &OwnedFd, to: &OwnedFd, depth: usize) -> Result<usize, Errno> {
    if !has_files(found, depth)? {
        return Ok(0);
    }
    let mut left_out = 0;
    let opened = openat(found, ".", FOLDER | OFlags::CLOEXEC, Mode::empty())?;
    for named in Dir::read_from(&opened)? {
        let named = named?;
        let name = named.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let child = openat(&opened, name, flags, Mode::empty())?;
        let name = OsStr::from_bytes(name.to_bytes());
        left_out += entry(&child, (to, name), depth + 1)?;
    }
    Ok(left_out)
}

fn file(found: &OwnedFd, stat: &Stat, to: (&OwnedFd, &OsStr)) -> Result<(), Errno> {
    let errno = |error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    let mut from = File::open(path).map_err(errno)?;
    make_way(to)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut made = File::from(openat(to.0, to.1, flags, Mode::RUSR | Mode::WUSR)?);
    io::copy(&mut from, &mut made).map_err(errno)?;
    finish(&made.into(), looks(stat))
}

/// Removes what a file or link takes the place of; not a folder.
pub(super) fn make_way((parent, name): (&OwnedFd, &OsStr)) -> Result<(), Errno> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        removed => removed,
    }
}

/// The mode, and the seconds and nanoseconds of the last change.
fn looks(stat: &Stat) -> (u32, i64, i64) {
    let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or_default();
    (stat.st_mode, stat.st_mtime, nanos)
}

/// Gives what was copied its mode and time.
pub(super) fn finish(
    made: &OwnedFd,
    (mode, tv_sec, tv_nsec): (u32, i64, i64),
) -> Result<(), Errno> {
    fchmod(made, Mode::from_raw_mode(mode & MODES))?;
    let time = Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    futimens(made, &times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn root(path: &Path) -> Root {
        Root::Open(File::open(path).unwrap().into())
    }

    #[test]
    fn paths_are_taken_as_docker_does_and_no_link_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
        fs::create_dir_all(from.join("dir/sub")).unwrap();
        fs::create_dir_all(to.join("there")).unwrap();
        fs::write(from.join("dir/sub/file"), "text").unwrap();
        fs::set_permissions(
            from.join("dir/sub/file"),
            fs::Permissions::from_mode(0o4755),
        )
        .unwrap();
        symlink("../../../to/there", from.join("dir/out")).unwrap();
        symlink("/etc", to.join("etc")).unwrap();
        let put = |source: &str, target: &str| {
            let (source, target) = (Path::new(source), Path::new(target));
            copy((&root(&from), source), (&root(&to), target), false)
        };
        put("/dir", "/new").unwrap();
        assert_eq!(fs::read_to_string(to.join("new/sub/file")).unwrap(), "text");
        let mode = fs::metadata(to.join("new/sub/file")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o7777, 0o755);
        assert!(
            fs::symlink_metadata(to.join("new/out"))
                .unwrap()
                .is_symlink()
        );
        put("/dir", "/there").unwrap();
        assert!(to.join("there/dir/sub/file").exists());
        put("/dir/sub/.", "/there").unwrap();
        put("/dir/sub/file", "/there/other").unwrap();
        put("/dir/sub/file", "/there").unwrap();
        assert!(to.join("there/file").exists() && to.join("there/other").exists());
        for (source, target) in [
            ("/none", "/there"),
            ("/dir", "/there/file"),
            ("/dir/sub/file", "/none/"),
            ("/dir/sub/file", "/none/file"),
            // a link of the root leads to its own /etc, which is not there
            ("/dir/sub/file", "/etc/"),
        ] {
            assert!(put(source, target).is_err(), "{source} {target}");
        }
        assert!(put("/dir/out/x", "/there").is_err());
    }
}
