//! Limits for runs, set through cgroups. Where they can be set is found out once, by trying. Each run then gets a cgroup of its own: it
//! is in it before the command starts, and the cgroup goes when the run ends. Versions 1 and 2, also mixed. Unaware of builds and flags.
//!
//! The watching process stays outside, so a limit affects only the command. A limit that cannot be set is reported and left out: ordinary
//! users often may not set any, and a build is correct without.
//!
//! # Why no crate does this
//!
//! `cgroups-rs` and youki's `libcgroups` create, fill and delete a cgroup at a place that their caller knows, as a container runtime is told
//! it. Most of this room looks for that place: below which cgroup an ordinary user may make others, whether the caller must leave its own
//! first (version 2 controls no cgroup that holds processes), whether runs beside it would escape its limits. It tries each setting by
//! itself and reports which ones do not work, and why. What such a crate could take over is writing text into files (`group.rs`), for which
//! it would bring `nix`, `zbus` or `procfs`.

mod group;
mod hierarchy;
mod limits;
mod memory;
mod parent;
mod run;
mod search;
mod settings;
pub(crate) mod trial;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Disabled, Feature, LimitError};
use search::Search;

pub use limits::{Limits, Swap, numbers};
pub(crate) use memory::memory_limit;
pub(crate) use run::Cgroups;

/// The version of the kernel's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Version {
    One,
    Two,
}

/// Where the cgroups of runs are made, and what is written into them. For [`RunSpec::cgroup`](crate::RunSpec::cgroup).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup(Vec<Place>);

/// The same for one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    version: Version,
    mount: PathBuf,
    parent: PathBuf,
    settings: Vec<(String, String)>,
}

/// The answer to a wish for limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// What each run gets; none where nothing can be limited.
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

/// Finds where the limits can be set, by setting them on a cgroup without processes, which a re-executed process
/// ([`main_if_reexecuted`](crate::main_if_reexecuted)) makes and removes. Removes what killed processes have left there. May move the calling
/// process into a cgroup below its own, where version 2 demands it.
///
/// # Errors
/// When the machine does not have a processor or memory node that is asked for.
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

/// Why a file or folder cannot be changed, for a person.
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
