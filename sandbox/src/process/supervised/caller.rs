//! The process whose call waits: its memory, its ids, its folders. A process that may not be looked into, because it made itself
//! undumpable, is served nothing. Unaware of what the call means.

use std::fs::{self, File, read_link};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::sys;

/// As PATH_MAX: longer paths are an error in every call.
const MAX_PATH: usize = 4096;
/// The smallest page: what is beyond the end of one may not be there.
const PAGE: u64 = 4096;

/// See the module.
#[derive(Debug)]
pub struct Caller {
    /// Its thread.
    pub thread: i32,
    /// Who it is, as far as that decides about files: user and group.
    ids: (u32, u32),
}

impl Caller {
    pub fn of(thread: i32) -> io::Result<Self> {
        let status = fs::metadata(format!("/proc/{thread}"))?;
        let ids = (status.uid(), status.gid());
        Ok(Self { thread, ids })
    }

    /// Whether it is user 0.
    pub fn is_root(&self) -> bool {
        self.ids.0 == 0
    }

    /// Its user.
    pub fn user(&self) -> u32 {
        self.ids.0
    }

    /// Opens files with its rights instead of this process's.
    pub fn with_its_rights<T>(&self, open: impl FnOnce() -> T) -> T {
        if self.ids == (0, 0) {
            return open();
        }
        sys::notify::open_as(self.ids.0, self.ids.1);
        let opened = open();
        sys::notify::open_as(0, 0);
        opened
    }

    fn memory(&self, writes: bool) -> io::Result<File> {
        let path = format!("/proc/{}/mem", self.thread);
        self.with_its_rights(|| File::options().read(true).write(writes).open(path))
    }

    /// The text at an address, up to its NUL byte.
    pub fn text(&self, address: u64) -> io::Result<Vec<u8>> {
        let memory = self.memory(false)?;
        let mut text = Vec::new();
        while text.len() < MAX_PATH {
            let at = address + text.len() as u64;
            let mut page = [0; PAGE as usize];
            let rest = usize::try_from(PAGE - at % PAGE).unwrap_or(0);
            let read = memory.read_at(&mut page[..rest], at)?;
            let read = page.get(..read).unwrap_or_default();
            let end = read.iter().position(|byte| *byte == 0);
            text.extend_from_slice(&read[..end.unwrap_or(read.len())]);
            if end.is_some() {
                return Ok(text);
            }
            if read.is_empty() {
                break;
            }
        }
        Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG))
    }

    /// Eight bytes at an address, as a number.
    pub fn number(&self, address: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.memory(false)?.read_exact_at(&mut bytes, address)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Where bytes can be stored; the caller must still wait then, or the memory is another process's.
    pub fn writable(&self) -> io::Result<File> {
        self.memory(true)
    }

    /// The process of its thread.
    pub fn process(&self) -> io::Result<i32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.thread))?;
        let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
        let number = line.and_then(|number| number.trim().parse().ok());
        number.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Where a path leads from: its working folder, or an open one.
    pub fn folder(&self, descriptor: i32) -> io::Result<PathBuf> {
        let thread = self.thread;
        let link = match descriptor {
            libc::AT_FDCWD => format!("/proc/{thread}/cwd"),
            descriptor => format!("/proc/{thread}/fd/{descriptor}"),
        };
        self.link(Path::new(&link))
    }

    /// Reads a link with its rights.
    pub fn link(&self, path: &Path) -> io::Result<PathBuf> {
        self.with_its_rights(|| read_link(path))
    }
}
