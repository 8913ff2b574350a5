//! The cgroups of one run, one in each hierarchy that limits it. Unaware of how their places were found.

use std::path::Path;

use super::group::{Group, RUN, write};
use super::hierarchy;
use super::{Cgroup, Place, Version};
use crate::{SpawnError, Used};

/// The cgroups of one run. Dropping them removes them; nothing may run in them then.
#[derive(Debug, Default)]
pub struct Cgroups(Vec<(Place, Group)>);

impl Cgroups {
    /// Makes them.
    pub fn make(cgroup: Option<&Cgroup>) -> Result<Self, SpawnError> {
        let failed = |path: &Path| SpawnError::at("make the cgroup", &path.to_string_lossy());
        let mut made = Vec::new();
        for place in cgroup.map_or(&[][..], |cgroup| &cgroup.0) {
            let group = Group::below(&place.parent, place.version);
            let group = group.map_err(failed(&place.parent))?;
            for (file, value) in &place.settings {
                let written = group.write(file, value);
                written.map_err(failed(&group.folder.join(file)))?;
            }
            made.push((place.clone(), group));
        }
        Ok(Self(made))
    }

    /// Moves the calling process, which has one thread, into them.
    pub fn join(&self) -> Result<(), SpawnError> {
        self.0.iter().try_for_each(|(_, group)| {
            let folder = group.folder.to_string_lossy();
            group
                .join()
                .map_err(SpawnError::at("join the cgroup", &folder))
        })
    }

    /// Moves the calling process, which has one thread, into the cgroups of the run to which this process belongs, if those limit anything.
    pub fn join_run_of(pid: i32) -> Result<(), SpawnError> {
        let all = hierarchy::of(&pid.to_string());
        for hierarchy in all.map_err(SpawnError::of("read the cgroup of the command"))? {
            let of_run = hierarchy.own.filter(|own| is_of_run(own));
            if let Some(folder) = of_run {
                let shown = folder.to_string_lossy();
                let joined = write(&folder.join("cgroup.procs"), "0");
                joined.map_err(SpawnError::at("join the cgroup", &shown))?;
            }
        }
        Ok(())
    }

    /// Whether a process in them was killed because memory ran out.
    pub fn ran_out_of_memory(&self) -> bool {
        self.0.iter().any(|(_, group)| group.ran_out_of_memory())
    }

    /// What the processes in them have used: `account`, but for what a cgroup counts itself.
    pub fn used(&self, account: Used) -> Used {
        self.0.iter().fold(account, |used, (_, group)| Used {
            cpu: group.cpu().unwrap_or(used.cpu),
            memory: group.memory().unwrap_or(used.memory),
            ..used
        })
    }

    /// Those of version 1: where their hierarchy is mounted, and their folder.
    pub fn of_version_1(&self) -> impl Iterator<Item = (&Path, &Path)> {
        let old = |(place, _): &&(Place, Group)| place.version == Version::One;
        let old = self.0.iter().filter(old);
        old.map(|(place, group)| (place.mount.as_path(), group.folder.as_path()))
    }
}

/// Whether a folder is that of a run, or below one.
fn is_of_run(folder: &Path) -> bool {
    let mut names = folder.iter().map(|name| name.to_string_lossy());
    names.any(|name| name.starts_with(RUN))
}
