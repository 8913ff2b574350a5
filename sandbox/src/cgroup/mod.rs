//! Limits of runs by cgroups: where they can be set is found out once, by trying; each run then gets a cgroup of its own, which it is in
//! before the command starts and which is gone when the run is. Version 1 and 2, also mixed. Unaware of builds and of flags.
//!
//! The watching process stays outside, so a limit hits the command only. What cannot be limited is told, and left out: an ordinary user
//! often may not, and a build is right without.

mod group;
mod hierarchy;
pub(crate) mod inside;
mod parent;
mod settings;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::limits::{Limits, numbers};
use crate::{Check, Disabled, Feature, LimitError, Status};
use group::Group;
use hierarchy::Hierarchy;
use settings::{Setting, settings};

/// The controllers that limits need.
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "cpuset"];

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
    let mut search = Search {
        limits,
        left: limits.given(),
        found: Found::default(),
    };
    if search.left.is_empty() {
        return Ok(search.found);
    }
    if disabled.has(Feature::Cgroups) {
        search.refuse_rest("cgroups are disabled");
        return Ok(search.found);
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
    Ok(search.found)
}

struct Search<'a> {
    limits: &'a Limits,
    /// What no hierarchy has answered yet.
    left: Vec<&'static str>,
    found: Found,
}

impl Search<'_> {
    fn look_at(&mut self, hierarchy: &Hierarchy) -> Result<(), LimitError> {
        let serves = |controller: &str| {
            hierarchy.version == Version::Two
                || hierarchy.controllers.iter().any(|own| own == controller)
        };
        let mut wanted = settings(self.limits, hierarchy.version);
        wanted.retain(|setting| {
            serves(setting.controller) && (setting.implied || self.left.contains(&setting.limit))
        });
        if wanted.iter().all(|setting| setting.implied) {
            wanted.clear();
        }
        let wished = self.limits.cgroup_parent.as_deref();
        // Beside hierarchies of version 1 that have the controllers, version 2 has nothing to say.
        let is_ours = CONTROLLERS.into_iter().any(serves)
            && (hierarchy.version == Version::One || self.left.contains(&"cgroup-parent"));
        if wanted.is_empty() && !(wished.is_some() && is_ours) {
            return Ok(());
        }
        let mut answered: Vec<&str> = wanted.iter().map(|setting| setting.limit).collect();
        match parent::of(hierarchy, wished) {
            Ok(parent) => {
                answered.push("cgroup-parent");
                self.place(hierarchy, parent, wanted)?;
            }
            Err(why) => {
                answered.extend(wished.map(|_| "cgroup-parent"));
                self.refuse(&answered, &why);
            }
        }
        self.left.retain(|limit| !answered.contains(limit));
        Ok(())
    }

    /// Tries the settings on a cgroup without processes; what works is kept.
    fn place(
        &mut self,
        hierarchy: &Hierarchy,
        parent: PathBuf,
        wanted: Vec<Setting>,
    ) -> Result<(), LimitError> {
        let Hierarchy { version, mount, .. } = hierarchy;
        group::clear(&parent);
        let group = match Group::below(&parent, *version) {
            Ok(group) => group,
            Err(error) => {
                let mut all: Vec<_> = wanted.iter().map(|setting| setting.limit).collect();
                all.push("cgroup-parent");
                self.refuse(&all, &parent::advised(*version, &why(&parent, &error)));
                return Ok(());
            }
        };
        let mut settings = Vec::new();
        for setting in wanted {
            match attempt(&group, hierarchy, &parent, &setting)? {
                Ok(()) => settings.push((setting.file.to_owned(), setting.value)),
                Err(_) if setting.implied => {}
                Err(why) => self.refuse(&[setting.limit], &why),
            }
        }
        if settings.is_empty() && self.limits.cgroup_parent.is_none() {
            return Ok(());
        }
        let place = Place {
            version: *version,
            mount: mount.clone(),
            parent,
            settings,
        };
        self.found.cgroup.get_or_insert_default().0.push(place);
        Ok(())
    }

    /// Each limit is told of once.
    fn refuse(&mut self, limits: &[&'static str], why: &str) {
        let told: BTreeSet<&str> = self
            .found
            .refused
            .iter()
            .map(|refused| refused.limit)
            .collect();
        let given = self.limits.given();
        for limit in limits
            .iter()
            .filter(|limit| given.contains(limit) && !told.contains(*limit))
        {
            self.found.refused.push(Refused {
                limit,
                why: why.to_owned(),
            });
        }
    }

    fn refuse_rest(&mut self, why: &str) {
        let left = std::mem::take(&mut self.left);
        self.refuse(&left, why);
    }
}

/// Whether a setting works, or why not.
fn attempt(
    group: &Group,
    hierarchy: &Hierarchy,
    parent: &Path,
    setting: &Setting,
) -> Result<Result<(), String>, LimitError> {
    if hierarchy.version == Version::Two
        && let Err(why) = parent::enable(&hierarchy.mount, parent, setting.controller)
    {
        return Ok(Err(why));
    }
    if setting.controller == "cpuset" {
        check_numbers(parent, setting)?;
    }
    let written = group.write(setting.file, &setting.value);
    Ok(written.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "this kernel cannot limit it".to_owned(),
        _ => why(&group.folder.join(setting.file), &error),
    }))
}

/// Whether the processors or nodes exist, as far as the parent tells.
fn check_numbers(parent: &Path, setting: &Setting) -> Result<(), LimitError> {
    let read = |suffix: &str| fs::read_to_string(parent.join(format!("{}{suffix}", setting.file)));
    let old = parent.join(setting.file.replace('.', ".effective_"));
    let present = read(".effective")
        .or_else(|_| fs::read_to_string(old))
        .or_else(|_| read(""));
    let present = present.unwrap_or_default();
    match (numbers(&setting.value), numbers(&present)) {
        (Some(wanted), Some(present_numbers)) if !wanted.is_subset(&present_numbers) => {
            Err(LimitError {
                limit: setting.limit,
                wanted: setting.value.clone(),
                present: present.trim().to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// For a person.
fn why(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("this user may not change {path}")
        }
        _ => format!("{path}: {error}"),
    }
}

/// The cgroups of one run. Dropping removes them; nothing must run in them then.
#[derive(Debug, Default)]
pub(crate) struct Cgroups(Vec<(Place, Group)>);

impl Cgroups {
    /// Makes them. The error names the file or folder.
    pub(crate) fn make(cgroup: Option<&Cgroup>) -> Result<Self, (PathBuf, io::Error)> {
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
    pub(crate) fn join(&self) -> Result<(), (PathBuf, io::Error)> {
        self.0
            .iter()
            .try_for_each(|(_, group)| group.join().map_err(|error| (group.folder.clone(), error)))
    }

    /// Whether a process in them was killed because memory ran out.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.0.iter().any(|(_, group)| group.ran_out_of_memory())
    }
}

/// Whether this process could limit its runs; for a person.
#[must_use]
pub fn check_limits(disabled: Disabled) -> Check {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = |name: &str| {
        let list = status.lines().find_map(|line| line.strip_prefix(name));
        list.map(|list| list.trim().to_owned())
    };
    let limits = Limits {
        memory: Some(1 << 30),
        cpu_shares: Some(1024),
        cpus: Some(1000),
        cpuset_cpus: allowed("Cpus_allowed_list:"),
        ..Limits::default()
    };
    let refused = match find_cgroup(&limits, disabled) {
        Ok(found) => found.refused,
        Err(error) => return Check::new("limits", Status::Warn, error.to_string()),
    };
    let Some(first) = refused.first() else {
        return Check::new(
            "limits",
            Status::Ok,
            "memory and processors of runs can be limited",
        );
    };
    let names: Vec<&str> = refused.iter().map(|refused| refused.limit).collect();
    let detail = format!(
        "runs cannot be limited in {}: {}",
        names.join(", "),
        first.why
    );
    Check::new("limits", Status::Warn, detail)
}
