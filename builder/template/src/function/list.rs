//! `index`, `slice`, `len`, `join`, `split`.

use super::{Cost, int_of, text_of};
use crate::value::Value;

/// Item of a list, value of a map; more arguments go deeper.
pub fn index(arguments: &[Value], _: &mut Cost) -> Result<Value, String> {
    let Some((first, keys)) = arguments.split_first() else {
        return Ok(Value::Missing);
    };
    keys.iter()
        .try_fold(first.clone(), |value, key| step(&value, key))
}

fn step(value: &Value, key: &Value) -> Result<Value, String> {
    match value {
        Value::Map(entries) => {
            let key = text_of(key)?;
            let found = entries.as_ref().and_then(|entries| entries.get(key));
            let is_text = |value: &Value| matches!(value, Value::Text(_));
            let all_text = entries
                .as_ref()
                .is_none_or(|entries| entries.values().all(is_text));
            // Go gives what a map of texts holds when it holds nothing
            let absent = if all_text { "".into() } else { Value::Missing };
            Ok(found.cloned().unwrap_or(absent))
        }
        Value::List(items) => {
            let items = items.as_deref().unwrap_or_default();
            Ok(items[at(key, items.len(), "item")?].clone())
        }
        Value::Text(text) => Ok(u64::from(text.as_bytes()[at(key, text.len(), "byte")?]).into()),
        other => Err(format!("{} has no items", other.kind())),
    }
}

fn at(key: &Value, length: usize, what: &str) -> Result<usize, String> {
    let number = int_of(key)?;
    usize::try_from(number)
        .ok()
        .filter(|at| *at < length)
        .ok_or_else(|| format!("there is no {what} {number} of {length}"))
}

/// Part of a text (by bytes) or list, from the first number up to the second.
pub fn slice(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    let value = &arguments[0];
    let (Value::Text(_) | Value::List(_), Some(length)) = (value, value.len()) else {
        return Err(format!("{} cannot be sliced", value.kind()));
    };
    let bound = |at: usize, otherwise: usize| {
        let key = arguments.get(at);
        key.map_or(Ok(otherwise), |key| self::at(key, length + 1, "place"))
    };
    let (from, to) = (bound(1, 0)?, bound(2, length)?);
    if from > to {
        return Err(format!("{from} is greater than {to}"));
    }
    cost.add(to - from)?;
    if let Value::List(items) = value {
        return Ok(items.as_deref().unwrap_or_default()[from..to]
            .to_vec()
            .into());
    }
    let part = text_of(value)?.get(from..to).map(Value::from);
    part.ok_or_else(|| "this would cut a character in half".to_owned())
}

pub fn len(arguments: &[Value], _: &mut Cost) -> Result<Value, String> {
    let value = &arguments[0];
    let length = value
        .len()
        .ok_or_else(|| format!("{} has no length", value.kind()))?;
    Ok((length as u64).into())
}

/// The items of a list with a text between them.
pub fn join(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    let separator = text_of(&arguments[1])?;
    let items = match &arguments[0] {
        Value::List(items) => items.as_deref().unwrap_or_default(),
        Value::Missing | Value::Null => &[],
        other => return Err(format!("a list is wanted, not {}", other.kind())),
    };
    let mut joined = String::new();
    for (at, item) in items.iter().enumerate() {
        let item = item.to_string();
        cost.add(item.len() + separator.len())?;
        if at > 0 {
            joined.push_str(separator);
        }
        joined.push_str(&item);
    }
    Ok(joined.into())
}

/// The parts of a text between separators; its characters when the separator is empty.
pub fn split(arguments: &[Value], cost: &mut Cost) -> Result<Value, String> {
    let (text, separator) = (text_of(&arguments[0])?, text_of(&arguments[1])?);
    // what a part weighs besides its text
    cost.add(text.len().saturating_mul(size_of::<Value>()))?;
    let parts: Vec<Value> = if separator.is_empty() {
        text.chars().map(|c| c.to_string().into()).collect()
    } else {
        text.split(separator).map(Value::from).collect()
    };
    Ok(parts.into())
}
