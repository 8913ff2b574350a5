//! `--set TARGET.KEY=VALUE`, and what `--push`, `--load` and their like are short for. Unaware of how targets are found.

use super::Definition;
use super::pattern::matches;
use crate::error::{Error, Result, Worded};
use crate::target::entry::{Entry, EntryKind};
use crate::target::{Given, Target, known};
use crate::value::switch;
use std::collections::BTreeMap;

/// What overrides a key of a target.
#[derive(Debug, Clone, Default)]
struct Override {
    /// The last value that was given.
    value: String,
    /// All of them, for keys that have lists.
    values: Vec<String>,
    /// Whether they are added to what the target has.
    adds: bool,
}

/// What overrides targets, by their names and keys.
#[derive(Debug, Clone, Default)]
pub struct Overrides(BTreeMap<String, BTreeMap<String, Override>>);

/// Keys of which all values count.
const LISTS: [&str; 13] = [
    "annotations",
    "attest",
    "cache-from",
    "cache-to",
    "entitlements",
    "network",
    "no-cache-filter",
    "output",
    "platform",
    "secrets",
    "ssh",
    "tags",
    "ulimits",
];
/// Keys with a name behind them.
const NAMED: [&str; 4] = ["args", "contexts", "labels", "extra-hosts"];

impl Overrides {
    /// Reads `--set`; the names of targets are patterns. An argument without a value has that of `environment`.
    ///
    /// # Errors
    /// One is malformed, or there is no such target.
    pub fn read(
        definition: &Definition,
        all: &[String],
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let mut overrides = Overrides::default();
        for text in all {
            let wrong = || Error::new(format!("--set {text}: expected TARGET.KEY=VALUE"));
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            let adds = key.ends_with('+');
            let key = key.trim_end_matches('+');
            let (pattern, key) = key.split_once('.').ok_or_else(wrong)?;
            let value = match (text.contains('='), key.strip_prefix("args.")) {
                (true, _) => Some(value.to_owned()),
                (false, Some(argument)) => environment(argument),
                (false, None) => return Err(wrong()),
            };
            let Some(value) = value else { continue };
            for target in targets(definition, pattern)? {
                overrides.add(target, key, &value, adds);
            }
        }
        Ok(overrides)
    }

    fn add(&mut self, target: &str, key: &str, value: &str, adds: bool) {
        let keys = self.0.entry(target.to_owned()).or_default();
        let known = keys.entry(key.to_owned()).or_default();
        value.clone_into(&mut known.value);
        known.values.push(value.to_owned());
        known.adds |= adds;
    }

    /// Changes a target.
    ///
    /// # Errors
    /// There is no such key, or it cannot have that value.
    pub(crate) fn apply(&self, name: &str, target: &mut Target) -> Result<()> {
        for (key, change) in self.0.get(name).into_iter().flatten() {
            let changed = change.apply(key, target);
            changed.map_err(|why| Error::new(format!("--set {name}.{key}: {why}")))?;
        }
        Ok(())
    }
}

/// The targets that a pattern means.
fn targets<'a>(definition: &'a Definition, pattern: &str) -> Result<Vec<&'a str>> {
    let names = definition.targets().iter().map(|(name, _)| name.as_str());
    let found: Vec<&str> = names.filter(|name| matches(pattern, name)).collect();
    match found.is_empty() {
        true => Err(Error::new(format!(
            "could not find any target matching {pattern:?}"
        ))),
        false => Ok(found),
    }
}

impl Override {
    fn apply(&self, key: &str, target: &mut Target) -> Worded<()> {
        let (field, name) = key.split_once('.').unwrap_or((key, ""));
        match field {
            _ if NAMED.contains(&field) => self.named(field, name, target),
            "secret" => self.secret(name, target),
            _ if !name.is_empty() => Err("unknown key".to_owned()),
            _ if LISTS.contains(&field) => self.listed(field, target),
            "push" | "load" => self.exported(field, target),
            "pull" | "no-cache" => {
                self.single(field, Given::Switch(switched(&self.value)?), target)
            }
            "context" | "dockerfile" | "target" | "call" | "shm-size" => {
                self.single(field, Given::Text(self.value.clone()), target)
            }
            _ => Err("unknown key".to_owned()),
        }
    }

    fn single(&self, field: &str, given: Given, target: &mut Target) -> Worded<()> {
        if let Some(field) = known(field) {
            target.set(field.name, given);
        }
        Ok(())
    }

    /// `args.NAME=VALUE`
    fn named(&self, field: &str, name: &str, target: &mut Target) -> Worded<()> {
        let known = known(field).filter(|_| !name.is_empty());
        let known = known.ok_or_else(|| format!("expected {field}.NAME=VALUE"))?;
        target.put(known.name, name, &self.value);
        Ok(())
    }

    fn listed(&self, field: &str, target: &mut Target) -> Worded<()> {
        let (kind, field) = match field {
            "cache-from" => (EntryKind::Cache, "cache-from"),
            "cache-to" => (EntryKind::Cache, "cache-to"),
            "secrets" => (EntryKind::Secret, "secret"),
            "ssh" => (EntryKind::Ssh, "ssh"),
            "output" => (EntryKind::Output, "output"),
            "attest" => (EntryKind::Attest, "attest"),
            other => return self.texts(other, target),
        };
        let given = self.values.iter().filter(|text| !text.is_empty());
        let given: Worded<Vec<_>> = given.map(|text| kind.text(text)).collect();
        let mut all = Vec::new();
        if self.adds || kind == EntryKind::Attest {
            all.extend_from_slice(target.entries(field));
        }
        all.extend(given?.concat());
        target.set(field, Given::Entries(kind.unique(all)));
        Ok(())
    }

    fn texts(&self, field: &str, target: &mut Target) -> Worded<()> {
        let values = self.values.clone();
        let (field, always_adds) = match field {
            // it has one text, of which the last counts
            "network" => {
                target.set("network", Given::Text(self.value.clone()));
                return Ok(());
            }
            "platform" => ("platforms", false),
            "tags" => ("tags", false),
            "no-cache-filter" => ("no-cache-filter", false),
            "ulimits" => ("ulimits", false),
            "annotations" => ("annotations", true),
            _ => ("entitlements", true),
        };
        target.change_list(field, |items| {
            if !self.adds && !always_adds {
                items.clear();
            }
            items.extend(values);
        });
        Ok(())
    }

    /// `secret.ID=…` changes where a secret comes from.
    fn secret(&self, id: &str, target: &mut Target) -> Worded<()> {
        let given = EntryKind::Secret.text(&self.value)?.into_iter().next();
        let given = given.unwrap_or_default();
        if !given.get("id").is_empty() && given.get("id") != id {
            return Err(format!("this is another secret than {id:?}"));
        }
        let mut secrets = target.entries("secret").to_owned();
        let known = secrets.iter_mut().find(|secret| secret.get("id") == id);
        let known = known.ok_or_else(|| format!("the target has no secret {id:?}"))?;
        known.attributes = given.attributes;
        known.attributes.insert("id".to_owned(), id.to_owned());
        target.set("secret", Given::Entries(secrets));
        Ok(())
    }

    /// `push` and `load`: short for outputs, where these do not go elsewhere.
    fn exported(&self, field: &str, target: &mut Target) -> Worded<()> {
        let is_on = switched(&self.value)?;
        let mut outputs = target.entries("output").to_owned();
        match (field, is_on) {
            ("push", true) => push(&mut outputs),
            ("push", false) => keep(&mut outputs),
            (_, true) => load(&mut outputs),
            (_, false) => {}
        }
        target.set("output", Given::Entries(outputs));
        Ok(())
    }
}

fn switched(text: &str) -> Worded<bool> {
    switch(text).ok_or_else(|| format!("{text:?} is neither true nor false"))
}

fn set_push(outputs: &mut [Entry], value: &str) {
    for output in outputs
        .iter_mut()
        .filter(|output| output.get("type") == "image")
    {
        output
            .attributes
            .insert("push".to_owned(), value.to_owned());
    }
}

fn push(outputs: &mut Vec<Entry>) {
    let all_local = outputs.iter().all(|output| output.get("type") == "docker");
    set_push(outputs, "true");
    if all_local {
        outputs.push(Entry::of([("push", "true"), ("type", "image")]));
    }
}

/// Nothing is pushed.
fn keep(outputs: &mut Vec<Entry>) {
    outputs.retain(|output| output.get("type") != "registry");
    set_push(outputs, "false");
}

fn load(outputs: &mut Vec<Entry>) {
    let is_loaded =
        |output: &Entry| output.get("type") == "docker" && output.get("dest").is_empty();
    let goes_along =
        |output: &Entry| ["docker", "image", "registry", "oci"].contains(&output.get("type"));
    if outputs.iter().all(goes_along) && !outputs.iter().any(is_loaded) {
        outputs.push(Entry::of([("type", "docker")]));
    }
}
