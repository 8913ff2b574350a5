//! Opening files below a directory without following a symbolic link on the way.
//!
//! Paths come from archives, contexts and RUN steps: none is ever resolved by string. openat2(2) does it in one call; where a
//! seccomp filter hides it, the path is walked component by component with `O_NOFOLLOW`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use crate::path::components;

/// How often a call that raced with a rename is tried again.
const RETRIES: usize = 16;

/// Opens `path` (as in `Entry::path`) below `root`. The last component is not followed either.
pub(crate) fn open(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let target: &[u8] = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..RETRIES {
        match openat2(root, target, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOSYS | Errno::PERM) => return Ok(open_by_component(root, path, flags)?),
            outcome => return Ok(outcome?),
        }
    }
    Err(Errno::AGAIN.into())
}

/// The same without openat2.
fn open_by_component(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut parts = components(path).peekable();
    let mut directory: Option<OwnedFd> = None;
    while let Some(component) = parts.next() {
        let at = directory.as_ref().map_or(root, AsFd::as_fd);
        if parts.peek().is_none() {
            return openat(at, component, flags, Mode::empty());
        }
        directory = Some(openat(at, component, step, Mode::empty())?);
    }
    openat(root, ".", flags, Mode::empty())
}

/// Opens a directory below `root` for reading; `path` is as in [`crate::Entry::path`].
///
/// # Errors
/// It is not there, no directory, or behind a link.
pub fn open_dir(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    open(root, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Opens a regular file below `root` for reading; never waits for the other end of a FIFO. The caller checks what it got.
pub(crate) fn open_file(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    open(
        root,
        path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
    )
}

/// Opens a directory that the user named; links in its path are followed.
///
/// # Errors
/// It is not there or no directory.
pub fn open_root(path: &std::path::Path) -> io::Result<OwnedFd> {
    Ok(openat(
        CWD,
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/file"), "x").unwrap();
        symlink("a", dir.path().join("link")).unwrap();
        symlink("/etc/passwd", dir.path().join("a/out")).unwrap();
        dir
    }

    #[test]
    fn both_ways_open_what_is_there_and_follow_nothing() {
        let dir = tree();
        let root = open_root(dir.path()).unwrap();
        let by_component = |path: &[u8]| {
            open_by_component(
                root.as_fd(),
                path,
                OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            )
            .is_ok()
        };
        for (path, there) in [
            ("a/b/file", true),
            ("", true),
            ("link/b/file", false),
            ("a/out", false),
            ("a/none", false),
        ] {
            assert_eq!(
                open_file(root.as_fd(), path.as_bytes()).is_ok(),
                there,
                "{path}"
            );
            assert_eq!(by_component(path.as_bytes()), there, "{path} by component");
        }
    }

    #[test]
    fn dots_cannot_leave() {
        let dir = tree();
        let root = open_root(&dir.path().join("a")).unwrap();
        assert!(open_file(root.as_fd(), b"../a/b/file").is_err());
    }
}
