//! Functions of lists and maps.

use super::Answer;
use super::arguments::Arguments;
use crate::error::Place;
use crate::evaluate::element as at_index;
use crate::value::Value;
use std::collections::BTreeMap;

/// Lists that are flattened may have so many in each other.
const DEEPEST: usize = 100;

pub fn chunklist(arguments: &Arguments<'_>) -> Answer {
    let (items, size) = (arguments.list(0)?, arguments.count(1)?);
    if size == 0 {
        return Ok(Value::List(vec![Value::List(items.to_vec())]));
    }
    let chunks = items.chunks(size);
    Ok(chunks.map(|chunk| Value::List(chunk.to_vec())).collect())
}

pub fn coalescelist(arguments: &Arguments<'_>) -> Answer {
    let filled = |value: &&Value| matches!(value, Value::List(items) if !items.is_empty());
    let found = arguments.values.iter().find(filled);
    found
        .cloned()
        .ok_or_else(|| "all lists are empty".to_owned())
}

pub fn compact(arguments: &Arguments<'_>) -> Answer {
    let items = arguments.list(0)?.iter();
    let filled = items.filter(|item| **item != Value::Null && **item != Value::from(""));
    Ok(filled.cloned().collect())
}

pub fn concat(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::List(arguments.lists()?.concat()))
}

pub fn contains(arguments: &Arguments<'_>) -> Answer {
    let items = arguments.list(0)?;
    Ok(Value::Bool(items.contains(arguments.any(1))))
}

pub fn distinct(arguments: &Arguments<'_>) -> Answer {
    let mut kept: Vec<Value> = Vec::new();
    for item in arguments.list(0)? {
        if !kept.contains(item) {
            kept.push(item.clone());
        }
    }
    Ok(Value::List(kept))
}

pub fn element(arguments: &Arguments<'_>) -> Answer {
    let (items, at) = (arguments.list(0)?, arguments.count(1)?);
    let at = at.checked_rem(items.len());
    let found = at.and_then(|at| items.get(at));
    found.cloned().ok_or_else(|| "the list is empty".to_owned())
}

pub fn flatten(arguments: &Arguments<'_>) -> Answer {
    let mut flat = Vec::new();
    add_flat(arguments.list(0)?, &mut flat, 0);
    Ok(Value::List(flat))
}

fn add_flat(items: &[Value], flat: &mut Vec<Value>, depth: usize) {
    for item in items {
        match item {
            Value::List(inner) if depth < DEEPEST => add_flat(inner, flat, depth + 1),
            other => flat.push(other.clone()),
        }
    }
}

pub fn hasindex(arguments: &Arguments<'_>) -> Answer {
    let key = arguments.any(1);
    Ok(Value::Bool(match arguments.any(0) {
        Value::List(items) => match key {
            Value::Number(number) => number.index().is_some_and(|at| at < items.len()),
            _ => false,
        },
        Value::Map(items) => matches!(key, Value::String(key) if items.contains_key(key)),
        other => return Err(format!("argument 1: {} has no elements", other.kind())),
    }))
}

pub fn index(arguments: &Arguments<'_>) -> Answer {
    let found = at_index(arguments.any(0).clone(), arguments.any(1), Place::default());
    found.map_err(|error| error.to_string())
}

pub fn indexof(arguments: &Arguments<'_>) -> Answer {
    let mut items = arguments.list(0)?.iter();
    let at = items.position(|item| item == arguments.any(1));
    let at = at.ok_or_else(|| "the item is not in the list".to_owned())?;
    Ok(Value::from(at as i128))
}

pub fn keys(arguments: &Arguments<'_>) -> Answer {
    Ok(arguments.map(0)?.keys().cloned().collect())
}

pub fn values(arguments: &Arguments<'_>) -> Answer {
    Ok(arguments.map(0)?.values().cloned().collect())
}

pub fn length(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::from(match arguments.any(0) {
        Value::List(items) => items.len() as i128,
        Value::Map(items) => items.len() as i128,
        other => return Err(format!("argument 1: {} is no collection", other.kind())),
    }))
}

pub fn lookup(arguments: &Arguments<'_>) -> Answer {
    let found = arguments.map(0)?.get(&arguments.text(1)?);
    Ok(found.unwrap_or(arguments.any(2)).clone())
}

pub fn merge(arguments: &Arguments<'_>) -> Answer {
    let mut merged = BTreeMap::new();
    for at in 0..arguments.values.len() {
        if *arguments.any(at) != Value::Null {
            merged.extend(arguments.map(at)?.clone());
        }
    }
    Ok(Value::Map(merged))
}

pub fn reverselist(arguments: &Arguments<'_>) -> Answer {
    Ok(arguments.list(0)?.iter().rev().cloned().collect())
}

pub fn slice(arguments: &Arguments<'_>) -> Answer {
    let items = arguments.list(0)?;
    let (start, end) = (arguments.count(1)?, arguments.count(2)?);
    let part = items.get(start..end);
    let part = part.ok_or_else(|| format!("the list has {} items", items.len()))?;
    Ok(Value::List(part.to_vec()))
}

pub fn sort(arguments: &Arguments<'_>) -> Answer {
    let mut texts = arguments.texts(0)?;
    texts.sort_unstable();
    Ok(texts.into_iter().collect())
}

pub fn zipmap(arguments: &Arguments<'_>) -> Answer {
    let (keys, values) = (arguments.texts(0)?, arguments.list(1)?);
    if keys.len() != values.len() {
        let (keys, values) = (keys.len(), values.len());
        return Err(format!("there are {keys} keys and {values} values"));
    }
    Ok(Value::Map(
        keys.into_iter().zip(values.iter().cloned()).collect(),
    ))
}
