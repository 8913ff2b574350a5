//! `eq`, `lt` and the like, `not`; `and` and `or` end here when no argument decided before.

use super::Cost;
use crate::value::Value;
use std::cmp::Ordering;

/// The last argument: nothing has decided before it.
pub fn last(arguments: &[Value], _: &mut Cost) -> Result<Value, String> {
    Ok(arguments.last().cloned().unwrap_or(Value::Missing))
}

pub fn not(arguments: &[Value], _: &mut Cost) -> Result<Value, String> {
    Ok((!arguments.iter().all(Value::is_true)).into())
}

/// Whether the first equals any of the others.
pub fn eq(arguments: &[Value], _: &mut Cost) -> Result<Value, String> {
    let Some((first, others)) = arguments.split_first() else {
        return Ok(false.into());
    };
    for other in others {
        if equals(first, other)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

pub fn ne(arguments: &[Value], _: &mut Cost) -> Result<Value, String> {
    Ok((!equals(&arguments[0], &arguments[1])?).into())
}

/// What is not there equals nothing else.
fn equals(one: &Value, other: &Value) -> Result<bool, String> {
    match (one, other) {
        (Value::Missing | Value::Null, Value::Missing | Value::Null) => Ok(true),
        (Value::Missing | Value::Null, _) | (_, Value::Missing | Value::Null) => Ok(false),
        (Value::Bool(one), Value::Bool(other)) => Ok(one == other),
        _ => Ok(order(one, other)? == Some(Ordering::Equal)),
    }
}

fn order(one: &Value, other: &Value) -> Result<Option<Ordering>, String> {
    match (one, other) {
        (Value::Text(one), Value::Text(other)) => Ok(Some(one.cmp(other))),
        (Value::Int(one) | Value::Duration(one), Value::Int(other) | Value::Duration(other)) => {
            Ok(Some(one.cmp(other)))
        }
        (Value::Float(one), Value::Float(other)) => Ok(one.partial_cmp(other)),
        _ => Err(format!(
            "{} and {} cannot be compared",
            one.kind(),
            other.kind()
        )),
    }
}

macro_rules! comparisons {
    ($($name:ident: $test:expr),* $(,)?) => {
        $(pub fn $name(arguments: &[Value], _: &mut Cost) -> Result<Value, String> {
            let ordering = order(&arguments[0], &arguments[1])?;
            let test: fn(Ordering) -> bool = $test;
            Ok(ordering.is_some_and(test).into())
        })*
    };
}

comparisons! {
    lt: Ordering::is_lt,
    le: Ordering::is_le,
    gt: Ordering::is_gt,
    ge: Ordering::is_ge,
}
