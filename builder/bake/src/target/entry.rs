//! Entries of a target's lists that have attributes: caches, outputs, secrets, SSH agents, attestations. They are written as `key=value,…` or as
//! objects. Unaware of what the attributes mean to a build.

use crate::error::Worded;
use crate::value::Value;
use kiln_parser::csv;
use std::collections::BTreeMap;

/// What an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    Cache,
    Secret,
    Ssh,
    Output,
    Attest,
}

/// An entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// All of it but the following.
    pub attributes: BTreeMap<String, String>,
    /// Sockets and keys of an SSH agent.
    pub paths: Vec<String>,
    /// An attestation that is not wanted.
    pub disabled: bool,
}

impl Entry {
    pub(crate) fn of<const N: usize>(attributes: [(&str, &str); N]) -> Self {
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Entry {
            attributes: attributes.into(),
            ..Entry::default()
        }
    }

    /// An attribute.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    /// The entry as flags of a build take it.
    #[must_use]
    pub fn flag(&self) -> String {
        if !self.paths.is_empty() {
            return format!("{}={}", self.get("id"), self.paths.join(","));
        }
        let first = ["type", "id"].into_iter();
        let first = first.filter_map(|key| Some((key, self.attributes.get(key)?.as_str())));
        let rest = self.attributes.iter();
        let rest = rest.filter(|(key, _)| !["type", "id"].contains(&key.as_str()));
        let rest = rest.map(|(key, value)| (key.as_str(), value.as_str()));
        let disabled = self.disabled.then_some(("disabled", "true"));
        let pairs = first.chain(disabled).chain(rest);
        let pairs = pairs.map(|(key, value)| quoted(&format!("{key}={value}")));
        pairs.collect::<Vec<_>>().join(",")
    }
}

/// A field of CSV.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

impl EntryKind {
    /// Reads entries: texts, of which `NAME,NAME` are several caches, or objects.
    ///
    /// # Errors
    /// One of them is neither.
    pub fn read(self, value: &Value) -> Worded<Vec<Entry>> {
        match value {
            Value::String(text) if text.is_empty() => Ok(Vec::new()),
            Value::String(text) => self.text(text),
            Value::Map(fields) => self.object(fields).map(|entry| vec![entry]),
            other => Err(format!(
                "string or object required, but have {}",
                other.kind()
            )),
        }
    }

    /// Reads an entry that is written as text.
    ///
    /// # Errors
    /// It is not `key=value,…`.
    pub fn text(self, text: &str) -> Worded<Vec<Entry>> {
        if self == EntryKind::Ssh {
            return Ok(vec![agent(text)]);
        }
        let fields = csv::fields(text)?;
        match (self, &fields[..]) {
            (EntryKind::Cache, fields) if fields.iter().all(|field| !field.contains('=')) => {
                let of = |name: &String| Entry::of([("type", "registry"), ("ref", name)]);
                return Ok(fields.iter().map(of).collect());
            }
            (EntryKind::Output, [one]) if one == "-" => {
                return Ok(vec![Entry::of([("type", "tar"), ("dest", "-")])]);
            }
            (EntryKind::Output, [one]) if !one.starts_with("type=") => {
                return Ok(vec![Entry::of([("type", "local"), ("dest", one)])]);
            }
            _ => {}
        }
        let mut pairs = BTreeMap::new();
        for field in &fields {
            let (key, value) = field
                .split_once('=')
                .ok_or_else(|| format!("{field:?} is not key=value"))?;
            pairs.insert(key.trim().to_lowercase(), Value::from(value));
        }
        self.object(&pairs).map(|entry| vec![entry])
    }

    fn object(self, fields: &BTreeMap<String, Value>) -> Worded<Entry> {
        let mut entry = Entry::default();
        for (key, value) in fields.iter().filter(|(_, value)| **value != Value::Null) {
            match (self, key.as_str(), value) {
                (EntryKind::Ssh, "paths", Value::List(paths)) => {
                    entry.paths = paths.iter().map(Value::text).collect::<Result<_, _>>()?;
                }
                (EntryKind::Attest, "disabled", value) => entry.disabled = switched(value)?,
                (_, key, value) => {
                    entry.attributes.insert(key.to_owned(), value.text()?);
                }
            }
        }
        match self {
            EntryKind::Secret => secret(entry),
            EntryKind::Ssh => Ok(entry),
            _ if entry.get("type").is_empty() => {
                let written = Value::Map(fields.clone()).json();
                Err(format!("type required for {written}"))
            }
            _ => Ok(entry),
        }
    }

    /// Each entry once: the later one counts of those with the same name.
    pub fn unique(self, entries: Vec<Entry>) -> Vec<Entry> {
        let name = match self {
            EntryKind::Secret | EntryKind::Ssh => "id",
            EntryKind::Attest => "type",
            EntryKind::Cache | EntryKind::Output => return without_doubles(entries),
        };
        let mut kept: Vec<Entry> = Vec::new();
        for entry in entries {
            match kept.iter_mut().find(|old| old.get(name) == entry.get(name)) {
                Some(old) => *old = entry,
                None => kept.push(entry),
            }
        }
        kept
    }
}

/// In the order that buildx leaves them in: what is found twice changes places with the last one, which goes.
fn without_doubles(mut entries: Vec<Entry>) -> Vec<Entry> {
    for at in (0..entries.len().saturating_sub(1)).rev() {
        let double = entries.get(at).and_then(|entry| {
            let later = entries.iter().skip(at + 1);
            let found = later.enumerate().find(|(_, other)| *other == entry);
            found.map(|(after, _)| at + 1 + after)
        });
        if let Some(double) = double {
            entries.swap_remove(double);
        }
    }
    entries
}

fn agent(text: &str) -> Entry {
    let (id, paths) = text.split_once('=').unwrap_or((text, ""));
    let paths = paths.split(',').filter(|path| !path.is_empty());
    Entry {
        paths: paths.map(str::to_owned).collect(),
        ..Entry::of([("id", id)])
    }
}

fn switched(value: &Value) -> Worded<bool> {
    let text = value.text()?;
    crate::value::switch(&text).ok_or_else(|| format!("{text:?} is neither true nor false"))
}

/// A secret has an ID and a file or a variable; its type says which of them `src` is.
fn secret(mut entry: Entry) -> Worded<Entry> {
    let attributes = &mut entry.attributes;
    if let Some(source) = attributes.remove("source") {
        attributes.insert("src".to_owned(), source);
    }
    let kind = attributes.remove("type").unwrap_or_default();
    match kind.as_str() {
        "" | "file" => {}
        "env" if !attributes.contains_key("env") => {
            if let Some(source) = attributes.remove("src") {
                attributes.insert("env".to_owned(), source);
            }
        }
        "env" => {}
        other => return Err(format!("unsupported secret type {other:?}")),
    }
    let mut keys = attributes.keys();
    if let Some(other) = keys.find(|key| !["id", "src", "env"].contains(&key.as_str())) {
        return Err(format!("unexpected key {other:?} in a secret"));
    }
    attributes.retain(|_, value| !value.is_empty());
    Ok(entry)
}
