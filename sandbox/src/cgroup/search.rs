//! Fits limits to hierarchies: what is wanted in each, whether it works there, and what is refused. Unaware of runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::group;
use super::hierarchy::Hierarchy;
use super::limits::{Limits, numbers};
use super::settings::{Setting, settings};
use super::{Found, Place, Refused, Version, parent, trial, why};
use crate::LimitError;

/// The controllers that limits need.
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "cpuset"];

/// A wish, and the answers so far.
#[derive(Debug)]
pub struct Search<'a> {
    limits: &'a Limits,
    /// Limits that no hierarchy has answered yet.
    left: Vec<&'static str>,
    found: Found,
}

impl<'a> Search<'a> {
    /// Nothing has been looked at yet.
    pub fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            left: limits.given(),
            found: Found::default(),
        }
    }

    /// Whether nothing is left to be answered.
    pub fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// The answer.
    pub fn found(self) -> Found {
        self.found
    }

    /// Grants as much of the wish as it can in one hierarchy.
    pub fn look_at(&mut self, hierarchy: &Hierarchy) -> Result<(), LimitError> {
        let wished = self.limits.cgroup_parent.as_deref();
        let wanted = self.wanted(hierarchy);
        if wanted.is_empty() && !(wished.is_some() && self.is_ours(hierarchy)) {
            return Ok(());
        }
        let mut answered: Vec<&str> = wanted.iter().map(|setting| setting.limit).collect();
        answered.push("cgroup-parent");
        match parent::of(hierarchy, wished) {
            Ok(parent) => self.try_below(hierarchy, parent, wanted)?,
            Err(why) => self.refuse(&answered, &why),
        }
        self.left.retain(|limit| !answered.contains(limit));
        Ok(())
    }

    /// What is to be written there; nothing where all of it would only be implied.
    fn wanted(&self, hierarchy: &Hierarchy) -> Vec<Setting> {
        let mut wanted = settings(self.limits, hierarchy.version);
        wanted.retain(|setting| {
            serves(hierarchy, setting.controller)
                && (setting.implied || self.left.contains(&setting.limit))
        });
        if wanted.iter().all(|setting| setting.implied) {
            wanted.clear();
        }
        wanted
    }

    /// Whether runs belong below the wished parent there even without limits. Beside hierarchies of version 1 that have the controllers,
    /// version 2 has no say.
    fn is_ours(&self, hierarchy: &Hierarchy) -> bool {
        let is_asked = hierarchy.version == Version::One || self.left.contains(&"cgroup-parent");
        is_asked
            && CONTROLLERS
                .iter()
                .any(|controller| serves(hierarchy, controller))
    }

    /// Tries the settings on a cgroup without processes; what works is kept.
    fn try_below(
        &mut self,
        hierarchy: &Hierarchy,
        parent: PathBuf,
        wanted: Vec<Setting>,
    ) -> Result<(), LimitError> {
        let version = hierarchy.version;
        group::clear(&parent);
        let limits: Vec<_> = wanted.iter().map(|setting| setting.limit).collect();
        let possible = self.possible(hierarchy, &parent, wanted)?;
        let settings = match trial::attempt(&parent, version, &possible) {
            Ok(answers) => self.granted(&parent, possible, answers),
            Err(error) => {
                let limits: Vec<_> = limits.into_iter().chain(["cgroup-parent"]).collect();
                self.refuse(&limits, &parent::advised(version, &why(&parent, &error)));
                return Ok(());
            }
        };
        if !settings.is_empty() || self.limits.cgroup_parent.is_some() {
            let mount = hierarchy.mount.clone();
            self.found.cgroup.get_or_insert_default().0.push(Place {
                version,
                mount,
                parent,
                settings,
            });
        }
        Ok(())
    }

    /// Those whose controllers the children of the parent have, and whose processors and nodes exist.
    fn possible(
        &mut self,
        hierarchy: &Hierarchy,
        parent: &Path,
        wanted: Vec<Setting>,
    ) -> Result<Vec<Setting>, LimitError> {
        let mut possible = Vec::new();
        for setting in wanted {
            if hierarchy.version == Version::Two
                && let Err(why) = parent::enable(&hierarchy.mount, parent, setting.controller)
            {
                self.refuse_wanted(&setting, &why);
                continue;
            }
            if setting.controller == "cpuset" {
                check_numbers(parent, &setting)?;
            }
            possible.push(setting);
        }
        Ok(possible)
    }

    /// Those that worked, as file and value.
    fn granted(
        &mut self,
        parent: &Path,
        tried: Vec<Setting>,
        answers: Vec<io::Result<()>>,
    ) -> Vec<(String, String)> {
        let mut work = Vec::new();
        for (setting, answer) in tried.into_iter().zip(answers) {
            match answer {
                Ok(()) => work.push((setting.file.to_owned(), setting.value)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.refuse_wanted(&setting, "this kernel cannot limit it");
                }
                Err(error) => {
                    self.refuse_wanted(&setting, &why(&parent.join(setting.file), &error))
                }
            }
        }
        work
    }

    fn refuse_wanted(&mut self, setting: &Setting, why: &str) {
        if !setting.implied {
            self.refuse(&[setting.limit], why);
        }
    }

    /// Reports each of them that was given, once.
    fn refuse(&mut self, limits: &[&'static str], why: &str) {
        let given = self.limits.given();
        for limit in limits.iter().copied().filter(|limit| given.contains(limit)) {
            let refused = &mut self.found.refused;
            if !refused.iter().any(|refused| refused.limit == limit) {
                let why = why.to_owned();
                refused.push(Refused { limit, why });
            }
        }
    }

    /// Refuses what no hierarchy could answer, for one reason.
    pub fn refuse_rest(&mut self, why: &str) {
        let left = std::mem::take(&mut self.left);
        self.refuse(&left, why);
    }
}

/// Whether a hierarchy has a controller; that of version 2 may have any.
fn serves(hierarchy: &Hierarchy, controller: &str) -> bool {
    let mut own = hierarchy.controllers.iter();
    hierarchy.version == Version::Two || own.any(|own| own == controller)
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
