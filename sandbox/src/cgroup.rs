//! Limits of runs by cgroups: where they can be set is found out once, by trying; each run then gets a cgroup of its own, which it is in
//! before the command starts and which is gone when the run is. Version 1 and 2, also mixed. Unaware of builds and of flags.
//!
//! The watching process stays outside, so a limit hits the command only. What cannot be limited is told, and left out: an ordinary user
//! often may not, and a build is right without.

mod check;
mod group;
mod hierarchy;
mod inside;
mod memory;
mod parent;
mod run;
mod search;
mod settings;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Disabled, Feature, LimitError, Limits};
use search::Search;

pub use check::check_limits;
pub(crate) use inside::Tree;
pub(crate) use memory::memory_limit;
pub(crate) use run::Cgroups;

/// Of the kernel's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Version {
    One,
    Two,
}

/// Where the cgroups of runs are made, and what is written into them. For [`RunSpec::cgroup`](crate::RunSpec::cgroup).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup(Vec<Place>);

/// That in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    version: Version,
    mount: PathBuf,
    parent: PathBuf,
    settings: Vec<(String, String)>,
}

/// What became of a wish for limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// What each run is to be given; none where nothing can be limited.
    pub cgroup: Option<Cgroup>,
    /// The limits that this process cannot set here.
    pub refused: Vec<Refused>,
}

/// A limit that cannot be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its name, docker's.
    pub limit: &'static str,
    /// Why not, and what would help; for a person.
    pub why: String,
}

/// Finds where the limits can be set, by setting them on a cgroup that nothing is in. Removes what killed processes have left there. The
/// calling process may be moved into a cgroup below its own (version 2, which demands it).
///
/// # Errors
/// When a processor or memory node is asked for that there is not.
pub fn find_cgroup(limits: &Limits, disabled: Disabled) -> Result<Found, LimitError> {
    let mut search = Search::new(limits);
    if search.is_done() {
        return Ok(search.found());
    }
    if disabled.has(Feature::Cgroups) {
        search.refuse_rest("cgroups are disabled");
        return Ok(search.found());
    }
    match hierarchy::all() {
        Ok(all) => {
            for hierarchy in &all {
                search.look_at(hierarchy)?;
            }
            search.refuse_rest("no cgroup hierarchy with its controller is mounted");
        }
        Err(error) => search.refuse_rest(&format!("this process's cgroup is not known ({error})")),
    }
    Ok(search.found())
}

/// For a person.
fn why(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("this user may not change {path}")
        }
        io::ErrorKind::ResourceBusy => format!("{path} holds processes itself"),
        _ => format!("{path}: {error}"),
    }
}
