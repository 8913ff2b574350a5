//! The cgroups of one run, one in each hierarchy that limits it. Unaware of how their places were found.

use std::io;
use std::path::PathBuf;

use super::group::Group;
use super::{Cgroup, Place};

/// The cgroups of one run. Dropping removes them; nothing must run in them then.
#[derive(Debug, Default)]
pub struct Cgroups(pub(super) Vec<(Place, Group)>);

impl Cgroups {
    /// Makes them. The error names the file or folder.
    pub fn make(cgroup: Option<&Cgroup>) -> Result<Self, (PathBuf, io::Error)> {
        let mut made = Vec::new();
        for place in cgroup.map_or(&[][..], |cgroup| &cgroup.0) {
            let group = Group::below(&place.parent, place.version)
                .map_err(|error| (place.parent.clone(), error))?;
            for (file, value) in &place.settings {
                group
                    .write(file, value)
                    .map_err(|error| (group.folder.join(file), error))?;
            }
            made.push((place.clone(), group));
        }
        Ok(Self(made))
    }

    /// Moves the calling process, which has one thread, into them. The error names the folder.
    pub fn join(&self) -> Result<(), (PathBuf, io::Error)> {
        self.0
            .iter()
            .try_for_each(|(_, group)| group.join().map_err(|error| (group.folder.clone(), error)))
    }

    /// Whether a process in them was killed because memory ran out.
    pub fn ran_out_of_memory(&self) -> bool {
        self.0.iter().any(|(_, group)| group.ran_out_of_memory())
    }
}
