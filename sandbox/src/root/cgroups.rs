//! What a run sees of cgroups below `/sys/fs/cgroup`. Unaware of how they are made.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, fstatfs, open};

use crate::cgroup::Cgroups;
use crate::root::detached::{self, DATA, read_only};

/// `CGROUP2_SUPER_MAGIC`; its type differs between architectures.
const CGROUP2_MAGIC: rustix::fs::FsWord = 0x6367_7270;
const TOP: &str = "/sys/fs/cgroup";

/// The tree, mounted and not yet attached.
#[derive(Debug)]
pub struct Tree {
    top: OwnedFd,
    /// The run's own cgroups of version 1, by their names in the tree.
    own: Vec<(PathBuf, OwnedFd)>,
}

impl Tree {
    /// The cgroup tree: on version 2 that of the run's own cgroup namespace, on version 1 the host's with the run's own cgroups over it. A
    /// machine that has none, or refuses, leaves the folder empty: nothing in a build needs it.
    pub fn open(cgroups: &Cgroups, privileged: bool) -> Option<Self> {
        let attributes = DATA | read_only(!privileged);
        let folder = |path: &Path| open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let host = folder(Path::new(TOP)).ok()?;
        if fstatfs(&host).ok()?.f_type == CGROUP2_MAGIC {
            let top = detached::filesystem("cgroup2", &[], attributes).ok()?;
            let own = Vec::new();
            return Some(Self { top, own });
        }
        let own = cgroups.of_version_1().filter_map(|(mount, group)| {
            let name = mount.strip_prefix(TOP).ok()?;
            let copy = detached::copy(folder(group).ok()?, false, attributes).ok()?;
            Some((name.to_owned(), copy))
        });
        Some(Self {
            top: detached::copy(host, true, attributes).ok()?,
            own: own.collect(),
        })
    }

    /// Mounts the tree below `/sys`, and the run's own cgroups over the host's.
    pub fn attach(&self, sys: &OwnedFd) -> io::Result<()> {
        detached::attach_below(&self.top, sys, "fs/cgroup")?;
        let mut own = self.own.iter();
        own.try_for_each(|(name, own)| detached::attach_below(own, &self.top, name))
    }
}
