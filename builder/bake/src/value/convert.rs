//! Conversions: of a value to a type, and of an operand to what an operator takes. Unaware of where values come from.

use super::{Number, Type, Value};
use crate::error::Worded;
use std::collections::BTreeMap;

impl Value {
    /// The value as text, unless it has parts.
    ///
    /// # Errors
    /// It is null or has parts.
    pub fn text(&self) -> Worded<String> {
        match self {
            Value::String(text) => Ok(text.clone()),
            Value::Bool(value) => Ok(value.to_string()),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(format!("string required, but have {}", other.kind())),
        }
    }

    /// The value as a number.
    ///
    /// # Errors
    /// It is neither a number nor the text of one.
    pub fn number(&self) -> Worded<Number> {
        match self {
            Value::Number(number) => Ok(*number),
            Value::String(text) => {
                Number::parse(text).ok_or_else(|| format!("a number is required, not {text:?}"))
            }
            other => Err(format!("number required, but have {}", other.kind())),
        }
    }

    /// The value as a truth.
    ///
    /// # Errors
    /// It is neither a truth nor the text of one.
    pub fn truth(&self) -> Worded<bool> {
        match self {
            Value::Bool(value) => Ok(*value),
            Value::String(text) => match text.as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(format!("a bool is required, not {text:?}")),
            },
            other => Err(format!("bool required, but have {}", other.kind())),
        }
    }

    /// The value as another type; null is of any.
    ///
    /// # Errors
    /// It cannot be that.
    pub fn to(&self, kind: &Type) -> Worded<Value> {
        if *self == Value::Null {
            return Ok(Value::Null);
        }
        match (kind, self) {
            (Type::Any, value) => Ok(value.clone()),
            (Type::String, value) => Ok(Value::String(value.text()?)),
            (Type::Number, value) => Ok(Value::Number(value.number()?)),
            (Type::Bool, value) => Ok(Value::Bool(value.truth()?)),
            (Type::List(of), Value::List(items)) => Ok(Value::List(all(items, of)?)),
            (Type::Set(of), Value::List(items)) => Ok(Value::set(all(items, of)?)),
            (Type::Map(of), Value::Map(items)) => each(items, of),
            (Type::Tuple(kinds), Value::List(items)) if kinds.len() == items.len() => {
                let items = items.iter().zip(kinds);
                let items: Worded<Vec<Value>> = items.map(|(item, of)| item.to(of)).collect();
                Ok(Value::List(items?))
            }
            (Type::Object(fields), Value::Map(items)) => object(items, fields),
            (kind, value) => Err(format!("{kind} required, but have {}", value.kind())),
        }
    }

    /// A set: sorted, each value once.
    pub fn set(mut items: Vec<Value>) -> Value {
        items.sort_by(Value::order);
        items.dedup();
        Value::List(items)
    }

    /// An order of all values, by which sets are sorted.
    pub fn order(&self, other: &Value) -> std::cmp::Ordering {
        match (self, other) {
            (Value::Number(a), Value::Number(b)) => a.cmp(b),
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (a, b) => a.json().cmp(&b.json()),
        }
    }
}

fn all(items: &[Value], of: &Type) -> Worded<Vec<Value>> {
    items.iter().map(|item| item.to(of)).collect()
}

fn each(items: &BTreeMap<String, Value>, of: &Type) -> Worded<Value> {
    let items = items.iter();
    let items = items.map(|(key, value)| Ok((key.clone(), value.to(of)?)));
    items.collect::<Worded<_>>().map(Value::Map)
}

fn object(
    items: &BTreeMap<String, Value>,
    fields: &BTreeMap<String, (Type, bool)>,
) -> Worded<Value> {
    let field = |(name, (kind, is_optional)): (&String, &(Type, bool))| {
        let value = match items.get(name) {
            Some(value) => value.to(kind)?,
            None if *is_optional => Value::Null,
            None => return Err(format!("attribute {name:?} is required")),
        };
        Ok((name.clone(), value))
    };
    fields
        .iter()
        .map(field)
        .collect::<Worded<_>>()
        .map(Value::Map)
}
