//! A target as `--print` shows it: JSON that a bake file may be made of again. Unaware of where it goes.

use super::entry::{Entry, EntryKind};
use super::{FIELDS, Given, Shape, Target};
use serde_json::{Map, Value, json};

/// Fields whose texts may have what a bake file takes for a template.
const ESCAPED: [&str; 5] = [
    "annotations",
    "dockerfile-inline",
    "args",
    "labels",
    "extra-hosts",
];

impl Target {
    /// The fields that it has, in their order.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut object = Map::new();
        for field in &FIELDS {
            let Some(given) = self.get(field.name) else {
                continue;
            };
            let escapes = ESCAPED.contains(&field.name);
            let text =
                |text: &String| Value::from(if escapes { escaped(text) } else { text.clone() });
            let shown = match given {
                Given::Text(value) => text(value),
                Given::Switch(value) => json!(value),
                Given::List(items) => items.iter().map(text).collect(),
                Given::Map(items) => items
                    .iter()
                    .map(|(key, value)| (key.clone(), text(value)))
                    .collect(),
                Given::Entries(entries) => {
                    let show = |entry| of_entry(field.shape, entry);
                    entries.iter().map(show).collect()
                }
            };
            let has_none = field.name == "description" && shown == "";
            if !has_none && !is_empty(&shown) {
                object.insert(field.name.to_owned(), shown);
            }
        }
        Value::Object(object)
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(items) => items.is_empty(),
        _ => false,
    }
}

fn escaped(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

fn of_entry(shape: Shape, entry: &Entry) -> Value {
    let keys: &[&str] = match shape {
        Shape::Entries(EntryKind::Secret, _) => &["id", "src", "env"],
        _ => &[],
    };
    let mut object = Map::new();
    for key in keys {
        if let Some(value) = entry.attributes.get(*key) {
            object.insert((*key).to_owned(), json!(value));
        }
    }
    // sorted, and what stands there already keeps its place
    let mut rest: Vec<(String, Value)> = entry
        .attributes
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    if entry.disabled {
        rest.push(("disabled".to_owned(), json!(true)));
    }
    rest.sort_by(|(a, _), (b, _)| a.cmp(b));
    object.extend(rest);
    if !entry.paths.is_empty() {
        object.insert("paths".to_owned(), json!(entry.paths));
    }
    Value::Object(object)
}
