//! What a run sees of cgroups below `/sys/fs/cgroup`. Unaware of how they are made.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, fstatfs, open, openat};

use super::{Cgroups, Version};
use crate::detached::{self, DATA, READ_ONLY};

/// `CGROUP2_SUPER_MAGIC`; its type differs between architectures.
const CGROUP2_MAGIC: rustix::fs::FsWord = 0x6367_7270;
const TOP: &str = "/sys/fs/cgroup";

/// The tree, mounted and not yet attached.
#[derive(Debug)]
pub struct Tree {
    pub top: OwnedFd,
    /// Its own cgroups of version 1, by the names that lie in the tree.
    own: Vec<(PathBuf, OwnedFd)>,
}

impl Tree {
    /// The cgroup tree, from the run's own cgroup namespace on version 2, the host's on version 1 with the run's own cgroups over it. A
    /// machine without one, or that refuses, leaves the folder empty: nothing in a build needs it.
    pub fn open(cgroups: &Cgroups, privileged: bool) -> Option<Self> {
        let attributes = DATA | if privileged { DATA } else { READ_ONLY };
        let folder = |path: &Path| open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let host = folder(Path::new(TOP)).ok()?;
        if fstatfs(&host).ok()?.f_type == CGROUP2_MAGIC {
            let top = detached::filesystem("cgroup2", &[], attributes).ok()?;
            return Some(Self {
                top,
                own: Vec::new(),
            });
        }
        let top = detached::copy(host, true, attributes).ok()?;
        let mut own = Vec::new();
        for (place, group) in &cgroups.0 {
            let name = place
                .mount
                .strip_prefix(TOP)
                .ok()
                .filter(|_| place.version == Version::One);
            let copy =
                folder(&group.folder).map(|folder| detached::copy(folder, false, attributes));
            if let (Some(name), Ok(Ok(copy))) = (name, copy) {
                own.push((name.to_owned(), copy));
            }
        }
        Some(Self { top, own })
    }

    /// Lays the run's own cgroups over the host's, once the tree is attached.
    pub fn attach_own(&self) -> std::io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for (name, own) in &self.own {
            let on = openat(self.top.as_fd(), name, flags, Mode::empty())?;
            detached::attach(own, on)?;
        }
        Ok(())
    }
}
