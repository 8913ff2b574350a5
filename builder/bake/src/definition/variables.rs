//! Variables: a default, which the environment overrides in the default's type or in the one that is named. Unaware of targets.

use super::names::Names;
use crate::error::{Error, Result, Worded};
use crate::evaluate::{Globals, Scope};
use crate::hcl::Block;
use crate::hcl::expression::{Expression, Kind};
use crate::value::{Number, Type, Value, switch};
use kiln_parser::csv;
use std::collections::BTreeMap;

/// A variable as it is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The type that it is declared with.
    pub kind: Option<String>,
    /// Its value as text; none is null.
    pub value: Option<String>,
}

/// All variables, checked.
///
/// # Errors
/// One has no value, or one that its validation refuses.
pub fn evaluated(names: &Names<'_>) -> Result<Vec<Variable>> {
    let mut variables = Vec::new();
    for (name, block) in &names.variables {
        let value = names.variable(name).unwrap_or(Ok(Value::Null));
        let value = value.map_err(|error| error.or_at(block.place))?;
        variables.push(listed(names, name, block, &value)?);
    }
    for block in names.variables.values() {
        for rule in block
            .body
            .blocks
            .iter()
            .filter(|block| block.kind == "validation")
        {
            validate(names, rule)?;
        }
    }
    Ok(variables)
}

fn listed(names: &Names<'_>, name: &str, block: &Block, value: &Value) -> Result<Variable> {
    let kind = declared(block)?;
    let description = block.body.attribute("description");
    let description = description.map(|text| Scope::new(names).value(&text.value));
    let description = description.transpose()?.and_then(|text| text.text().ok());
    let shown = match value {
        Value::Null => None,
        value if value.is_primitive() => value.text().ok(),
        value => Some(value.json()),
    };
    Ok(Variable {
        name: name.to_owned(),
        description: description.unwrap_or_default(),
        kind: kind.map(|kind| kind.to_string()),
        value: shown,
    })
}

/// The type that a variable is declared with.
fn declared(block: &Block) -> Result<Option<Type>> {
    let written = block.body.attribute("type").map(|kind| &kind.value);
    let is_null = |kind: &&Expression| !matches!(kind.kind, Kind::Literal(Value::Null));
    written.filter(is_null).map(Type::of).transpose()
}

fn validate(names: &Names<'_>, rule: &Block) -> Result<()> {
    let scope = Scope::new(names);
    let needed = |attribute: &str| {
        let found = rule.body.attribute(attribute);
        found.ok_or_else(|| Error::at(rule.place, format!("a validation has no {attribute}")))
    };
    let (condition, message) = (needed("condition")?, needed("error_message")?);
    let place = condition.value.place;
    let truth = scope.value(&condition.value)?.truth();
    if truth.map_err(|why| Error::at(place, why))? {
        return Ok(());
    }
    let message = scope.value(&message.value)?.text();
    let message = message.unwrap_or_else(|_| "the condition is not met".to_owned());
    Err(Error::at(place, format!("validation failed: {message}")))
}

/// The value of a variable, or of an attribute outside of blocks.
///
/// # Errors
/// It has none, or one of a wrong type.
pub fn value(names: &Names<'_>, name: &str) -> Result<Value> {
    let scope = Scope::new(names);
    let block = names.variables.get(name);
    if let Some(attribute) = names.attribute(name) {
        let default = scope.value(&attribute.value)?;
        return overridden(names, name, None, Some(default), block.is_some());
    }
    let Some(block) = block else {
        return Ok(Value::Null);
    };
    let kind = declared(block)?;
    let default = block.body.attribute("default");
    let default = default.map(|written| {
        let value = scope.value(&written.value)?;
        let value = kind
            .as_ref()
            .map_or(Ok(value.clone()), |kind| value.to(kind));
        value.map_err(|why| Error::at(written.value.place, why).within(name))
    });
    overridden(names, name, kind, default.transpose()?, true)
        .map_err(|error| error.or_at(block.place))
}

/// What the environment makes of a variable.
fn overridden(
    names: &Names<'_>,
    name: &str,
    kind: Option<Type>,
    default: Option<Value>,
    is_variable: bool,
) -> Result<Value> {
    let Some((text, is_json)) = given(names, name, kind.is_some()).filter(|_| is_variable) else {
        let unset = kind.map_or(Value::from(""), |_| Value::Null);
        return Ok(default.unwrap_or(unset));
    };
    let read = match (&kind, &default) {
        (Some(kind), _) if is_json => Value::of_json(&text).and_then(|value| value.to(kind)),
        (Some(kind), _) => of_csv(&text, kind),
        (None, Some(Value::Bool(_))) => primitive(&text, &Type::Bool),
        (None, Some(Value::Number(_))) => primitive(&text, &Type::Number),
        (None, Some(value @ (Value::List(_) | Value::Map(_)))) => Err(format!(
            "without a type the environment cannot override a {}",
            value.kind()
        )),
        (None, _) => Ok(Value::String(text)),
    };
    read.map_err(|why| Error::new(format!("the value of {name} in the environment: {why}")))
}

/// What is given for a variable from outside, and whether it is JSON.
fn given(names: &Names<'_>, name: &str, prefers_json: bool) -> Option<(String, bool)> {
    let options = names.options;
    let look = |name: &str| {
        let of_environment = || {
            names
                .host()
                .variable(name)
                .filter(|_| !options.ignores_environment)
        };
        options.variables.get(name).cloned().or_else(of_environment)
    };
    let plain = look(name);
    if plain.is_some() && !prefers_json {
        return plain.map(|text| (text, false));
    }
    let json = format!("{name}_JSON");
    let is_own = names.variables.contains_key(json.as_str());
    let json = Some(json).filter(|_| !is_own).and_then(|json| look(&json));
    json.map(|text| (text, true))
        .or(plain.map(|text| (text, false)))
}

fn primitive(text: &str, kind: &Type) -> Worded<Value> {
    match kind {
        Type::String | Type::Any => Ok(Value::from(text)),
        Type::Bool => switch(text)
            .map(Value::Bool)
            .ok_or_else(|| format!("{text:?} is neither true nor false")),
        Type::Number => Number::parse(text)
            .map(Value::Number)
            .ok_or_else(|| format!("{text:?} is no number")),
        other => Err(format!("a {other} is given as JSON, in NAME_JSON")),
    }
}

/// Lists, sets and maps of simple values, as `a,b` and `k:v,k:v`.
fn of_csv(text: &str, kind: &Type) -> Worded<Value> {
    match kind {
        Type::List(of) => items(text, of).map(Value::List),
        Type::Set(of) => items(text, of).map(Value::set),
        Type::Map(of) => pairs(text, of).map(Value::Map),
        Type::Tuple(kinds) => {
            let fields = csv::fields(text)?;
            if fields.len() != kinds.len() {
                return Err(format!("a tuple of {} is needed", kinds.len()));
            }
            let items = fields.iter().zip(kinds);
            let items = items.map(|(item, of)| primitive(item, of));
            items.collect::<Worded<_>>().map(Value::List)
        }
        simple => primitive(text, simple),
    }
}

fn items(text: &str, of: &Type) -> Worded<Vec<Value>> {
    let fields = csv::fields(text)?.into_iter();
    fields.map(|item| primitive(&item, of)).collect()
}

fn pairs(text: &str, of: &Type) -> Worded<BTreeMap<String, Value>> {
    let pair = |field: String| {
        let wrong = || format!("{field:?} is not key:value");
        let (key, value) = field.split_once(':').ok_or_else(wrong)?;
        Ok((key.to_owned(), primitive(value, of)?))
    };
    csv::fields(text)?.into_iter().map(pair).collect()
}
