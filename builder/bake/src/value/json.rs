//! Values as JSON and back, as bake writes it: maps sorted, `<`, `>` and `&` escaped. Unaware of what it is for.

use super::{Number, Value};
use crate::error::Worded;

impl Value {
    /// The value in JSON.
    pub fn json(&self) -> String {
        match self {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number.to_string(),
            Value::String(text) => escaped(text),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(Value::json).collect();
                format!("[{}]", items.join(","))
            }
            Value::Map(items) => {
                let items = items.iter();
                let items = items.map(|(key, value)| format!("{}:{}", escaped(key), value.json()));
                format!("{{{}}}", items.collect::<Vec<_>>().join(","))
            }
        }
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn of_json(text: &str) -> Worded<Value> {
        let read: serde_json::Value =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        Ok(Value::from(read))
    }
}

/// A string with what HTML could take for its own written otherwise, as Go's JSON has it.
pub fn escaped(text: &str) -> String {
    safe(&serde_json::Value::from(text).to_string())
}

/// The same for a document: these characters stand in strings only.
pub fn safe(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for ch in json.chars() {
        match ch {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(ch)));
            }
            ch => text.push(ch),
        }
    }
    text
}

impl From<serde_json::Value> for Value {
    fn from(read: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match read {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(value),
            Json::Number(number) => {
                let exact = Number::parse(&number.to_string());
                Value::Number(exact.unwrap_or(Number::from(0)))
            }
            Json::String(text) => Value::String(text),
            Json::Array(items) => items.into_iter().collect(),
            Json::Object(items) => {
                let items = items.into_iter();
                Value::Map(items.map(|(key, value)| (key, value.into())).collect())
            }
        }
    }
}
