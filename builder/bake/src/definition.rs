//! What bake files define together: variables, groups and targets, all of them evaluated. Unaware of what is asked for.

pub mod base;
mod blocks;
mod names;
pub mod overrides;
mod pattern;
pub mod plan;
pub mod variables;

use crate::error::{Error, Finding, Place, Result};
use crate::hcl::{Body, json, native};
use crate::target::Target;
use crate::{Host, Source};
use base::Base;
use names::Names;
use plan::Group;
use std::collections::BTreeMap;
use variables::Variable;

/// What stands under these names is a block.
const BLOCKS: [&str; 4] = ["target", "group", "variable", "function"];

/// What counts besides the files.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--var`: values of variables, which go before the environment.
    pub variables: BTreeMap<String, String>,
    /// Variables that are there without being defined.
    pub built_in: BTreeMap<String, String>,
    /// Variables do not take their values from the environment.
    pub ignores_environment: bool,
    /// What the folders of contexts are relative to.
    pub base: Base,
}

/// What files define.
#[derive(Debug, Clone, Default)]
pub struct Definition {
    groups: Vec<Group>,
    targets: Vec<(String, Target)>,
    variables: Vec<Variable>,
    warnings: Vec<Finding>,
    /// Where targets and groups name others, by their name and the field.
    places: BTreeMap<(String, &'static str), Place>,
    base: Base,
}

impl Definition {
    /// Nothing yet, with what folders are relative to.
    pub(crate) fn within(base: &Base) -> Self {
        Definition {
            base: base.clone(),
            ..Definition::default()
        }
    }

    /// Lays what bake files define over what is defined; a later file goes before an earlier one.
    ///
    /// # Errors
    /// Something in them is wrong.
    pub(crate) fn add(
        &mut self,
        files: &[(usize, &Source)],
        (host, options): (&dyn Host, &Options),
    ) -> Result<()> {
        let bodies = files.iter().map(|(at, file)| body(*at, file));
        let bodies = bodies.collect::<Result<Vec<Body>>>()?;
        let names = Names::new(&bodies, host, options)?;
        self.variables = variables::evaluated(&names)?;
        blocks::evaluated(&names, &bodies, self)?;
        names.attributes()
    }

    /// What is odd in the files.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The variables, by their names.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// All groups, in the order of the files.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The names of all targets with what is given of them, in the order of the files.
    #[must_use]
    pub fn targets(&self) -> &[(String, Target)] {
        &self.targets
    }

    fn target(&self, name: &str) -> Option<&Target> {
        let found = self.targets.iter().find(|(known, _)| known == name);
        found.map(|(_, target)| target)
    }

    fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// An error of what a target or a group names in a field.
    fn named_in(&self, error: Error, name: &str, field: &'static str) -> Error {
        match self.places.get(&(name.to_owned(), field)) {
            Some(place) => error.or_at(*place),
            None => error,
        }
    }

    pub(crate) fn add_place(&mut self, name: &str, field: &'static str, place: Place) {
        self.places.insert((name.to_owned(), field), place);
    }

    pub(crate) fn add_warnings(&mut self, warnings: Vec<Finding>) {
        self.warnings.extend(warnings);
    }

    /// Adds a target, or lays it over the one that has its name.
    pub(crate) fn add_target(&mut self, name: String, target: Target) {
        match self.targets.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => old.merge(&target),
            None => self.targets.push((name, target)),
        }
    }

    /// Adds a group, in the place of one that has its name.
    pub(crate) fn add_group(&mut self, group: Group) {
        match self.groups.iter_mut().find(|old| old.name == group.name) {
            Some(old) => *old = group,
            None => self.groups.push(group),
        }
    }
}

/// Takes a file apart. Without a name that says what it is, it is JSON if it is an object in braces.
fn body(at: usize, file: &Source) -> Result<Body> {
    let name = file.name.to_lowercase();
    let is_object = || file.text.trim_start().starts_with('{');
    let is_json = name.ends_with(".json") || !name.ends_with(".hcl") && is_object();
    if is_json {
        return json::body(at, &file.text, &BLOCKS);
    }
    native::body(at, &file.text)
}

/// Whether a name is one that targets and groups can have.
fn check_name(name: &str) -> Result<()> {
    let is_allowed = |ch: char| ch.is_ascii_alphanumeric() || ch == '_' || ch == '-';
    if !name.is_empty() && name.chars().all(is_allowed) {
        return Ok(());
    }
    let what = format!("{name:?} is no name: names have letters, digits, _ and - only");
    Err(Error::new(what))
}
