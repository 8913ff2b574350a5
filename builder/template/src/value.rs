//! What templates work on: values with the distinctions that Go makes and JSON does not (a nil list, a field that must exist, a
//! key that need not), printed as Go prints them. Unaware of templates.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;

/// A value. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Value {
    /// A key that a map does not have; printed as `<no value>`.
    Missing,
    /// A nil pointer.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Nanoseconds: printed as `1m30s`, a number in JSON.
    Duration(i64),
    /// A string.
    Text(Arc<str>),
    /// A slice; `None` is the nil one, which is `null` in JSON.
    List(Option<Arc<[Value]>>),
    /// A map, whose keys are data; `None` is the nil one.
    Map(Option<Arc<BTreeMap<String, Value>>>),
    /// A struct: to ask for a field that it does not have is an error.
    Struct(Arc<[Field]>),
}

/// A field of a struct.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name, with Go's capital letter.
    pub name: &'static str,
    /// Its name in JSON; it is not there without one.
    pub json: &'static str,
    /// What it holds.
    pub value: Value,
    /// Left out of JSON when it is empty, though it can be asked for (Go's `omitempty`).
    pub is_optional: bool,
}

/// A field that is always there.
pub fn field(name: &'static str, value: impl Into<Value>) -> Field {
    Field {
        name,
        json: name,
        value: value.into(),
        is_optional: false,
    }
}

/// A field that JSON leaves out when it is empty.
pub fn optional(name: &'static str, value: impl Into<Value>) -> Field {
    Field {
        is_optional: true,
        ..field(name, value)
    }
}

impl Field {
    /// The same with another name in JSON, or none.
    #[must_use]
    pub fn called(self, json: &'static str) -> Field {
        Field { json, ..self }
    }
}

impl Value {
    /// A struct of these fields, in this order.
    pub fn record(fields: impl IntoIterator<Item = Field>) -> Value {
        Value::Struct(fields.into_iter().collect())
    }

    /// A list of strings; an empty one is nil.
    pub fn texts<T: AsRef<str>>(texts: &[T]) -> Value {
        let values = || texts.iter().map(|text| text.as_ref().into());
        Value::List((!texts.is_empty()).then(|| values().collect()))
    }

    /// A map; an empty one is nil.
    pub fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
        let entries: BTreeMap<String, Value> = entries.into_iter().collect();
        Value::Map((!entries.is_empty()).then(|| entries.into()))
    }

    /// Whether it counts as true: not zero, not empty. A struct always does.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Missing | Value::Null => false,
            Value::Bool(value) => *value,
            Value::Int(number) | Value::Duration(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Struct(_) => true,
            Value::Text(_) | Value::List(_) | Value::Map(_) => self.len() != Some(0),
        }
    }

    /// Bytes of a text, items of a list or map.
    pub(crate) fn len(&self) -> Option<usize> {
        match self {
            Value::Text(text) => Some(text.len()),
            Value::List(items) => Some(items.as_ref().map_or(0, |items| items.len())),
            Value::Map(entries) => Some(entries.as_ref().map_or(0, |entries| entries.len())),
            _ => None,
        }
    }

    /// What it is, in a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Missing => "no value",
            Value::Null => "nil",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Duration(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Struct(_) => "an object",
        }
    }

    /// As JSON: fields in their order, keys of maps sorted.
    pub fn to_json(&self) -> Json {
        match self {
            Value::Missing | Value::Null | Value::List(None) | Value::Map(None) => Json::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(number) | Value::Duration(number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::Text(text) => (**text).into(),
            Value::List(Some(items)) => items.iter().map(Value::to_json).collect(),
            Value::Map(Some(entries)) => entries
                .iter()
                .map(|(key, value)| (key.clone(), value.to_json()))
                .collect(),
            Value::Struct(fields) => fields
                .iter()
                .filter(|field| !field.is_optional || field.value.is_true())
                .filter(|field| !field.json.is_empty())
                .map(|field| (field.json.to_owned(), field.value.to_json()))
                .collect(),
        }
    }
}

/// Objects become maps: nothing is known about their keys.
impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => number
                .as_i64()
                .map_or_else(|| Value::Float(number.as_f64().unwrap_or(0.0)), Value::Int),
            Json::String(text) => text.as_str().into(),
            Json::Array(items) => Value::List(Some(items.iter().map(Value::from).collect())),
            Json::Object(entries) => Value::Map(Some(Arc::new(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), value.into()))
                    .collect(),
            ))),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::List(Some(items.into()))
    }
}

/// As Go's `%v`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Missing => f.write_str("<no value>"),
            Value::Null => f.write_str("<nil>"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Float(number) => f.write_str(&shortest(*number)),
            Value::Duration(nanoseconds) => f.write_str(&duration(*nanoseconds)),
            Value::Text(text) => f.write_str(text),
            Value::List(items) => {
                let items = items.iter().flat_map(|items| items.iter());
                separated(f, "[", items, ']')
            }
            Value::Map(entries) => {
                let entries = entries.iter().flat_map(|entries| entries.iter());
                let entries = entries.map(|(key, value)| format!("{key}:{value}"));
                separated(f, "map[", entries, ']')
            }
            Value::Struct(fields) => {
                separated(f, "{", fields.iter().map(|field| &field.value), '}')
            }
        }
    }
}

fn separated<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    opened: &str,
    items: impl Iterator<Item = T>,
    closed: char,
) -> fmt::Result {
    f.write_str(opened)?;
    for (at, item) in items.enumerate() {
        if at > 0 {
            f.write_char(' ')?;
        }
        write!(f, "{item}")?;
    }
    f.write_char(closed)
}

/// Go's `%v` of a float: the shortest digits, with an exponent below 1e-4 and from 1e21.
pub fn shortest(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e21).contains(&magnitude) {
        return exponent(&format!("{number:e}"));
    }
    number.to_string()
}

/// `1e5` as Go writes it: `1e+05`.
pub fn exponent(text: &str) -> String {
    let Some((digits, power)) = text.split_once('e') else {
        return text.to_owned();
    };
    let (sign, power) = match power.strip_prefix('-') {
        Some(power) => ('-', power),
        None => ('+', power),
    };
    format!("{digits}e{sign}{power:0>2}")
}

/// Go's `Duration.String`: `0s`, `100ms`, `1.5s`, `1m30s`, `2h0m0s`.
fn duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let rest = nanoseconds.unsigned_abs();
    let below_a_second = [(1_000_000, "ms"), (1_000, "µs"), (1, "ns")];
    if rest == 0 {
        return "0s".to_owned();
    }
    if rest < 1_000_000_000 {
        let unit = below_a_second.into_iter().find(|(unit, _)| rest >= *unit);
        let (unit, name) = unit.unwrap_or((1, "ns"));
        return format!("{sign}{}{name}", fraction(rest, unit));
    }
    let (minutes, seconds) = (rest / 60_000_000_000, rest % 60_000_000_000);
    let seconds = fraction(seconds, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `count / unit` in decimal, exact; `unit` is a power of ten.
fn fraction(count: u64, unit: u64) -> String {
    let (whole, rest) = (count / unit, count % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{rest:0>width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_printed_as_go_prints_them() {
        let list = Value::texts(&["a", "b"]);
        let map = Value::map([
            ("b".to_owned(), 2_u64.into()),
            ("a".to_owned(), list.clone()),
        ]);
        let record = Value::record([field("A", "x"), field("B", Value::Null), field("C", true)]);
        let shown: Vec<String> = [
            list,
            map,
            record,
            Value::texts::<&str>(&[]),
            Value::map([]),
            Value::Missing,
            Value::Null,
        ]
        .iter()
        .map(Value::to_string)
        .collect();
        assert_eq!(
            shown,
            [
                "[a b]",
                "map[a:[a b] b:2]",
                "{x <nil> true}",
                "[]",
                "map[]",
                "<no value>",
                "<nil>"
            ]
        );
    }

    #[test]
    fn floats_have_gos_digits() {
        let shown = [1.0, 0.1, 1e20, 1e21, 1.5e-5, -2.25, 0.0].map(shortest);
        assert_eq!(
            shown,
            [
                "1",
                "0.1",
                "100000000000000000000",
                "1e+21",
                "1.5e-05",
                "-2.25",
                "0"
            ]
        );
    }

    #[test]
    fn durations_have_gos_units() {
        let shown = [
            0,
            5,
            1_500,
            30_000_000,
            1_500_000_000,
            90_000_000_000,
            7_200_000_000_000,
            -1_000_000_000,
        ]
        .map(duration);
        assert_eq!(
            shown,
            [
                "0s", "5ns", "1.5µs", "30ms", "1.5s", "1m30s", "2h0m0s", "-1s"
            ]
        );
    }

    #[test]
    fn json_leaves_out_what_may_be_left_out() {
        let record = Value::record([
            field("B", Value::texts::<&str>(&[])),
            optional("C", Value::Null),
            optional("D", "x"),
            field("A", Value::Duration(3)),
        ]);
        assert_eq!(record.to_json().to_string(), r#"{"B":null,"D":"x","A":3}"#);
        let named = Value::record([field("A", "x").called("a.b"), field("B", "y").called("")]);
        assert_eq!(named.to_json().to_string(), r#"{"a.b":"x"}"#);
    }
}
