//! A target: what is given of its fields, and how two of them become one. Unaware of files, of inheritance and of builds.
//!
//! To add a field: its line in [`FIELDS`], and in the command what it asks of a build.

pub mod entry;
pub mod print;
pub mod read;

use entry::{Entry, EntryKind};
use std::collections::BTreeMap;

/// What a field is made of, and what becomes of the same field in two targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// The later one counts.
    Text,
    Switch,
    List,
    /// All count, each once.
    Added,
    /// The later one counts for each key.
    Map,
    /// Entries; whether all count or only those of the later one.
    Entries(EntryKind, bool),
}

/// A field of a target.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
}

const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape }
}

/// All fields, in the order in which they are printed.
pub const FIELDS: [Field; 27] = [
    field("description", Shape::Text),
    field("inherits", Shape::Added),
    field("annotations", Shape::Added),
    field("attest", Shape::Entries(EntryKind::Attest, true)),
    field("context", Shape::Text),
    field("contexts", Shape::Map),
    field("dockerfile", Shape::Text),
    field("dockerfile-inline", Shape::Text),
    field("args", Shape::Map),
    field("labels", Shape::Map),
    field("tags", Shape::List),
    field("cache-from", Shape::Entries(EntryKind::Cache, true)),
    field("cache-to", Shape::Entries(EntryKind::Cache, false)),
    field("target", Shape::Text),
    field("secret", Shape::Entries(EntryKind::Secret, true)),
    field("ssh", Shape::Entries(EntryKind::Ssh, true)),
    field("platforms", Shape::List),
    field("output", Shape::Entries(EntryKind::Output, false)),
    field("pull", Shape::Switch),
    field("no-cache", Shape::Switch),
    field("network", Shape::Text),
    field("no-cache-filter", Shape::Added),
    field("shm-size", Shape::Text),
    field("ulimits", Shape::Added),
    field("call", Shape::Text),
    field("entitlements", Shape::Added),
    field("extra-hosts", Shape::Map),
];

/// The field of this name.
pub fn known(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

/// What a field has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// Text.
    Text(String),
    /// Yes or no.
    Switch(bool),
    /// Texts in their order.
    List(Vec<String>),
    /// Texts by name.
    Map(BTreeMap<String, String>),
    /// Entries in their order.
    Entries(Vec<Entry>),
}

/// What is given of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    fields: BTreeMap<&'static str, Given>,
}

impl Target {
    /// What a field has.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Given> {
        self.fields.get(field)
    }

    /// The text of a field.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        match self.get(field) {
            Some(Given::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether a field is switched on.
    #[must_use]
    pub fn is_on(&self, field: &str) -> bool {
        self.get(field) == Some(&Given::Switch(true))
    }

    /// The texts of a field.
    #[must_use]
    pub fn list(&self, field: &str) -> &[String] {
        match self.get(field) {
            Some(Given::List(items)) => items,
            _ => &[],
        }
    }

    /// The named texts of a field.
    pub fn map(&self, field: &str) -> impl Iterator<Item = (&String, &String)> {
        let map = match self.get(field) {
            Some(Given::Map(map)) => Some(map),
            _ => None,
        };
        map.into_iter().flatten()
    }

    /// The entries of a field.
    #[must_use]
    pub fn entries(&self, field: &str) -> &[Entry] {
        match self.get(field) {
            Some(Given::Entries(entries)) => entries,
            _ => &[],
        }
    }

    /// Gives a field something.
    pub(crate) fn set(&mut self, field: &'static str, given: Given) {
        self.fields.insert(field, given);
    }

    pub(crate) fn remove(&mut self, field: &str) -> Option<Given> {
        self.fields.remove(field)
    }

    /// Changes the texts of a field.
    pub(crate) fn change_list(
        &mut self,
        field: &'static str,
        change: impl FnOnce(&mut Vec<String>),
    ) {
        let mut items = self.list(field).to_owned();
        change(&mut items);
        self.set(field, Given::List(items));
    }

    /// Gives a name of a field a text.
    pub(crate) fn put(&mut self, field: &'static str, key: &str, value: &str) {
        let of = |(key, value): (&String, &String)| (key.clone(), value.clone());
        let mut items: BTreeMap<String, String> = self.map(field).map(of).collect();
        items.insert(key.to_owned(), value.to_owned());
        self.set(field, Given::Map(items));
    }

    /// Lays another target over this one.
    pub(crate) fn merge(&mut self, over: &Target) {
        for field in &FIELDS {
            let Some(new) = over.get(field.name) else {
                continue;
            };
            let old = self.fields.remove(field.name);
            let both = match old {
                Some(old) => field.shape.merged(old, new),
                None => new.clone(),
            };
            self.fields.insert(field.name, both);
        }
    }

    /// What is empty is not there, and nothing is there twice.
    pub(crate) fn normalize(&mut self) {
        if self.text("network") == Some("host") {
            self.change_list("entitlements", |all| all.push("network.host".to_owned()));
        }
        for field in &FIELDS {
            match (field.shape, self.fields.get_mut(field.name)) {
                (Shape::Entries(kind, _), Some(Given::Entries(entries))) => {
                    *entries = kind.unique(std::mem::take(entries));
                }
                (_, Some(Given::List(items))) if field.name != "inherits" => {
                    *items = unique(std::mem::take(items));
                }
                _ => {}
            }
        }
        if let Some(Given::Map(contexts)) = self.fields.get_mut("contexts") {
            contexts.retain(|_, context| !context.is_empty());
        }
    }
}

impl Shape {
    fn merged(self, old: Given, new: &Given) -> Given {
        match (self, old, new) {
            (Shape::Added, Given::List(mut items), Given::List(more)) => {
                items.extend(more.iter().cloned());
                Given::List(items)
            }
            (Shape::Map, Given::Map(mut items), Given::Map(more)) => {
                items.extend(more.clone());
                Given::Map(items)
            }
            (Shape::Entries(kind, true), Given::Entries(mut entries), Given::Entries(more)) => {
                entries.extend(more.iter().cloned());
                Given::Entries(kind.unique(entries))
            }
            (_, _, new) => new.clone(),
        }
    }
}

/// Each text once, and none that is empty.
pub(crate) fn unique(items: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for item in items {
        if !item.is_empty() && seen.insert(item.clone()) {
            kept.push(item);
        }
    }
    kept
}
