//! The tree of a command, as the supervisor sees it. Unaware of calls.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat};

use super::confined::Job;
use super::planting::path_of;
use crate::Disabled;

/// The command's tree.
#[derive(Debug)]
pub struct Tree {
    /// Its root.
    pub root: OwnedFd,
    /// Where it is, as this process sees it.
    pub path: PathBuf,
    /// Whether the devices in it can be opened.
    pub has_devices: bool,
    pub disabled: Disabled,
}

impl Tree {
    pub fn of(job: &Job) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let null = openat(&job.root, "dev/null", flags, Mode::empty()).and_then(fstat);
        let is_device = |mode| FileType::from_raw_mode(mode) == FileType::CharacterDevice;
        Ok(Self {
            path: path_of(job.root.as_fd())?,
            root: job.root.try_clone()?,
            has_devices: null.is_ok_and(|stat| is_device(stat.st_mode)),
            disabled: job.spec.disabled,
        })
    }

    /// A path of this process as the command sees it; none if it is not in the tree.
    pub fn inside(&self, path: &Path) -> Option<PathBuf> {
        Some(Path::new("/").join(path.strip_prefix(&self.path).ok()?))
    }
}
