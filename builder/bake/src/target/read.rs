//! From values to what fields have. Unaware of how values are written.

use super::entry::EntryKind;
use super::{Field, Given, Shape};
use crate::error::Worded;
use crate::value::Value;
use std::collections::BTreeMap;

impl Field {
    /// What a value gives this field; null gives nothing.
    ///
    /// # Errors
    /// It is not what the field has.
    pub fn given(&self, value: &Value) -> Worded<Option<Given>> {
        if *value == Value::Null {
            return Ok(None);
        }
        Ok(Some(match self.shape {
            Shape::Text => Given::Text(value.text()?),
            Shape::Switch => Given::Switch(value.truth()?),
            Shape::List | Shape::Added => Given::List(texts(value)?),
            Shape::Map => Given::Map(pairs(value)?),
            Shape::Entries(kind, _) => Given::Entries(entries(kind, value)?),
        }))
    }
}

fn texts(value: &Value) -> Worded<Vec<String>> {
    match value {
        Value::List(items) => items.iter().map(Value::text).collect(),
        other => Err(format!(
            "list of string required, but have {}",
            other.kind()
        )),
    }
}

/// What is null is not set.
fn pairs(value: &Value) -> Worded<BTreeMap<String, String>> {
    let Value::Map(items) = value else {
        return Err(format!("map of string required, but have {}", value.kind()));
    };
    let items = items.iter().filter(|(_, value)| **value != Value::Null);
    items
        .map(|(key, value)| Ok((key.clone(), value.text()?)))
        .collect()
}

fn entries(kind: EntryKind, value: &Value) -> Worded<Vec<super::Entry>> {
    let Value::List(items) = value else {
        let what = "list of strings or objects required, but have";
        return Err(format!("{what} {}", value.kind()));
    };
    let read: Worded<Vec<_>> = items.iter().map(|item| kind.read(item)).collect();
    Ok(read?.concat())
}
