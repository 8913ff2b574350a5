//! What is asked for: groups become their targets, targets inherit and are overridden, and what they take as contexts comes along. Unaware of files
//! and of builds.

use super::Definition;
use super::base::Base;
use super::overrides::Overrides;
use super::pattern::matches;
use crate::error::{Error, Result};
use crate::target::entry::Entry;
use crate::target::{Given, Target, unique};
use crate::value::safe;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A name for several targets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Targets and other groups.
    pub targets: Vec<String>,
}

/// What is to be built.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The groups that were asked for, and `default`: what was asked for.
    pub groups: BTreeMap<String, Group>,
    /// The targets, with all that they inherit.
    pub targets: BTreeMap<String, Target>,
}

impl Definition {
    /// Resolves what is asked for; without names, `default`.
    ///
    /// # Errors
    /// There is no such target, or targets need each other.
    pub fn plan(&self, asked: &[String], overrides: &Overrides) -> Result<Plan> {
        let names = self.all_named(asked)?;
        let mut plan = Plan::default();
        for name in &names {
            let (mut targets, mut groups) = (Vec::new(), Vec::new());
            self.members(name, &mut targets, &mut groups, &mut Vec::new())?;
            for target in targets {
                if !plan.targets.contains_key(&target) {
                    plan.targets
                        .insert(target.clone(), self.resolved(&target, overrides)?);
                }
            }
            let groups = groups.into_iter().map(|group| (group.name.clone(), group));
            plan.groups.extend(groups);
        }
        plan.name_default(&names);
        let all: Vec<String> = plan.targets.keys().cloned().collect();
        for name in all {
            self.link(&name, &mut plan, overrides, &mut Vec::new())?;
        }
        Ok(plan)
    }

    fn all_named(&self, asked: &[String]) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for pattern in asked {
            names.extend(self.named(&pattern.replace('.', "_"))?);
        }
        if names.is_empty() {
            names.push("default".to_owned());
        }
        Ok(unique(names))
    }

    /// The targets and groups that a pattern means.
    fn named(&self, pattern: &str) -> Result<Vec<String>> {
        if !pattern.contains(['*', '?', '[', ']']) {
            return Ok(vec![pattern.to_owned()]);
        }
        let groups = self.groups.iter().map(|group| &group.name);
        let all = groups.chain(self.targets.iter().map(|(name, _)| name));
        let found: Vec<String> = all.filter(|name| matches(pattern, name)).cloned().collect();
        match found.is_empty() {
            true => Err(Error::new(format!(
                "could not find any target matching {pattern:?}"
            ))),
            false => Ok(found),
        }
    }

    /// The targets and groups of a name.
    fn members(
        &self,
        name: &str,
        targets: &mut Vec<String>,
        groups: &mut Vec<Group>,
        way: &mut Vec<String>,
    ) -> Result<()> {
        let is_within = way.iter().any(|outer| outer == name);
        // a target may have the name of its group
        let group = self
            .group(name)
            .filter(|_| !is_within || self.target(name).is_none());
        let Some(group) = group else {
            self.target(name).ok_or_else(|| self.missing(name))?;
            targets.push(name.to_owned());
            return Ok(());
        };
        if is_within {
            return Err(Error::new(format!("the group {name} is a part of itself")));
        }
        if groups.iter().any(|known| known.name == name) {
            return Ok(());
        }
        groups.push(group.clone());
        way.push(name.to_owned());
        for member in &group.targets {
            let named = self.members(member, targets, groups, way);
            named.map_err(|error| self.named_in(error, name, "targets"))?;
        }
        way.pop();
        Ok(())
    }

    fn resolved(&self, name: &str, overrides: &Overrides) -> Result<Target> {
        let mut target = self.inherited(name, overrides, &mut BTreeMap::new())?;
        let mut target = target.take().unwrap_or_default();
        target.remove("inherits");
        let context = target.text("context").unwrap_or(".");
        target.set("context", Given::Text(self.base.context(context)?));
        if let Some(Given::Map(contexts)) = target.get("contexts").cloned() {
            for (name, context) in contexts.iter().filter(|_| self.base != Base::Here) {
                target.put("contexts", name, &self.base.context(context)?);
            }
        }
        if target.text("dockerfile").is_none_or(str::is_empty) {
            target.set("dockerfile", Given::Text("Dockerfile".to_owned()));
        }
        Ok(target)
    }

    /// A target over all that it inherits, the first one lowest. One that inherits itself has nothing of that.
    fn inherited(
        &self,
        name: &str,
        overrides: &Overrides,
        known: &mut BTreeMap<String, Option<Target>>,
    ) -> Result<Option<Target>> {
        if let Some(target) = known.get(name) {
            return Ok(target.clone());
        }
        known.insert(name.to_owned(), None);
        let own = self.target(name).ok_or_else(|| self.missing(name))?;
        let mut target = Target::default();
        for base in own.list("inherits") {
            let base = self.inherited(base, overrides, known);
            let base = base.map_err(|error| self.named_in(error, name, "inherits"))?;
            if let Some(base) = base {
                target.merge(&base);
            }
        }
        target.merge(own);
        overrides.apply(name, &mut target)?;
        target.normalize();
        known.insert(name.to_owned(), Some(target.clone()));
        Ok(Some(target))
    }

    fn missing(&self, name: &str) -> Error {
        let groups = self.groups.iter().map(|group| group.name.as_str());
        let targets = self.targets.iter().map(|(name, _)| name.as_str());
        let near = kiln_parser::suggest::help(name, groups.chain(targets));
        Error::new(format!("failed to find target {name}")).help(near)
    }

    /// Adds what a target takes as contexts.
    fn link(
        &self,
        name: &str,
        plan: &mut Plan,
        overrides: &Overrides,
        way: &mut Vec<String>,
    ) -> Result<()> {
        way.push(name.to_owned());
        for linked in plan.targets.get(name).map(links).unwrap_or_default() {
            let added = self.linked(name, &linked, plan, overrides, way);
            added.map_err(|error| self.named_in(error, name, "contexts"))?;
        }
        way.pop();
        Ok(())
    }

    fn linked(
        &self,
        name: &str,
        linked: &str,
        plan: &mut Plan,
        overrides: &Overrides,
        way: &mut Vec<String>,
    ) -> Result<()> {
        if way.iter().any(|outer| outer == linked) {
            let what = format!("target {name} takes itself as a context, by way of {linked}");
            return Err(Error::new(what));
        }
        if !plan.targets.contains_key(linked) {
            let target = self.resolved(linked, overrides)?;
            plan.targets.insert(linked.to_owned(), nowhere(target));
        }
        self.link(linked, plan, overrides, way)?;
        plan.join(name, linked)
    }
}

/// A target whose result only others take.
fn nowhere(mut target: Target) -> Target {
    let output = vec![Entry::of([("type", "cacheonly")])];
    target.set("output", Given::Entries(output));
    target
}

/// Whether a context is no folder of this machine.
#[must_use]
pub fn is_elsewhere(context: &str) -> bool {
    let kinds = ["git@", "target:", "docker-image:", "host-tools:"];
    context.contains("://") || kinds.iter().any(|kind| context.starts_with(kind))
}

/// The targets that a target takes as contexts.
#[must_use]
pub fn links(target: &Target) -> Vec<String> {
    let contexts = target.map("contexts").map(|(_, context)| context);
    let linked = contexts.filter_map(|context| context.strip_prefix("target:"));
    unique(linked.map(str::to_owned).collect())
}

impl Plan {
    /// Gives an argument to all targets that have none of that name.
    pub fn set_argument(&mut self, name: &str, value: &str) {
        for target in self.targets.values_mut() {
            if !target.map("args").any(|(known, _)| known == name) {
                target.put("args", name, value);
            }
        }
    }

    /// What was asked for is the group `default`.
    fn name_default(&mut self, names: &[String]) {
        for name in names {
            if name == "default" && self.groups.contains_key("default") {
                continue;
            }
            let default = self.groups.entry("default".to_owned());
            let default = default.or_insert_with(|| Group {
                name: "default".to_owned(),
                ..Group::default()
            });
            default.targets.push(name.clone());
        }
        if let Some(default) = self.groups.get_mut("default") {
            default.targets = unique(std::mem::take(&mut default.targets));
            default.targets.sort();
        }
    }

    /// What a target needs to be allowed, those need that are made of it; and its platforms are there for them.
    fn join(&mut self, name: &str, linked: &str) -> Result<()> {
        let Some(base) = self.targets.get(linked) else {
            return Ok(());
        };
        let entitlements = base.list("entitlements").to_owned();
        let platforms = base.list("platforms").to_owned();
        let Some(target) = self.targets.get_mut(name) else {
            return Ok(());
        };
        let own = target.list("platforms");
        let is_there = |platform: &String| platforms.contains(platform);
        if own.len() > 1 && platforms.len() > 1 && !own.iter().all(is_there) {
            return Err(Error::new(format!(
                "target {linked} can't be used by {name} because its platforms {own:?} are not a subset of {platforms:?}"
            )));
        }
        if !entitlements.is_empty() {
            target.change_list("entitlements", |all| {
                all.extend(entitlements);
                *all = unique(std::mem::take(all));
            });
        }
        Ok(())
    }

    /// The plan as `--print` shows it.
    #[must_use]
    pub fn print(&self) -> String {
        let mut groups = Map::new();
        for (name, group) in &self.groups {
            groups.insert(name.clone(), group.json());
        }
        let targets = self.targets.iter();
        let targets: Map<String, Value> = targets
            .map(|(name, target)| (name.clone(), target.json()))
            .collect();
        let document = json!({ "group": groups, "target": targets });
        // maps with text keys can be written
        safe(&serde_json::to_string_pretty(&document).unwrap_or_default())
    }
}

impl Group {
    fn json(&self) -> Value {
        let mut object = Map::new();
        if !self.description.is_empty() {
            object.insert("description".to_owned(), json!(self.description));
        }
        object.insert("targets".to_owned(), json!(self.targets));
        Value::Object(object)
    }
}
