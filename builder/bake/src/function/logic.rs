//! Functions of truths and comparisons.

use super::Answer;
use super::arguments::Arguments;
use crate::value::Value;

pub fn and(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::Bool(arguments.truth(0)? && arguments.truth(1)?))
}

pub fn or(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::Bool(arguments.truth(0)? || arguments.truth(1)?))
}

pub fn not(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::Bool(!arguments.truth(0)?))
}

pub fn equal(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::Bool(arguments.any(0) == arguments.any(1)))
}

pub fn notequal(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::Bool(arguments.any(0) != arguments.any(1)))
}

pub fn greaterthan(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::Bool(arguments.number(0)? > arguments.number(1)?))
}

pub fn greaterthanorequalto(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::Bool(arguments.number(0)? >= arguments.number(1)?))
}

pub fn lessthan(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::Bool(arguments.number(0)? < arguments.number(1)?))
}

pub fn lessthanorequalto(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::Bool(arguments.number(0)? <= arguments.number(1)?))
}

pub fn coalesce(arguments: &Arguments<'_>) -> Answer {
    let mut values = arguments.values.iter();
    let found = values.find(|value| **value != Value::Null);
    found
        .cloned()
        .ok_or_else(|| "all arguments are null".to_owned())
}
