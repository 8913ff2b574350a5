//! `--list`: the targets or the variables of a definition. Unaware of how they are defined.

use crate::failure::Failure;
use crate::{form, stdout, table};
use kiln_bake::{Definition, Variable};
use kiln_parser::csv;
use serde_json::{Map, Value, json};

/// Prints what `--list` asks for: `targets`, or `type=variables,format=json`.
///
/// # Errors
/// It asks for something else.
pub fn print(list: &str, definition: &Definition) -> Result<(), Failure> {
    let (what, is_json) =
        meant(list).map_err(|why| Failure::usage(format!("--list {list}: {why}")))?;
    let (head, rows) = match what.as_str() {
        "targets" => ("TARGET\tDESCRIPTION", targets(definition)),
        _ => ("VARIABLE\tTYPE\tVALUE\tDESCRIPTION", variables(definition)),
    };
    if is_json {
        let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
        stdout::print(form::json(&rows)?.as_bytes());
        return Ok(());
    }
    let rows = rows.into_iter().map(|(cells, _)| cells.join("\t"));
    let lines: Vec<String> = std::iter::once(head.to_owned()).chain(rows).collect();
    table::print_text(&table::aligned(&(lines.join("\n") + "\n")));
    Ok(())
}

/// What is listed, and whether as JSON.
fn meant(list: &str) -> Result<(String, bool), String> {
    let (mut what, mut format) = (String::new(), "table".to_owned());
    for field in csv::fields(list)? {
        match field.split_once('=') {
            Some(("type", value)) => value.clone_into(&mut what),
            Some(("format", value)) => value.clone_into(&mut format),
            None if what.is_empty() => what = field,
            _ => return Err(format!("{field:?} is neither type nor format")),
        }
    }
    match (what.as_str(), format.as_str()) {
        ("targets" | "variables", "table" | "json") => Ok((what, format == "json")),
        _ => Err("use targets or variables, and format=table or format=json".to_owned()),
    }
}

/// A line as cells, and as an object.
type Row = (Vec<String>, Value);

/// Names with a `_` in front are private.
fn targets(definition: &Definition) -> Vec<Row> {
    let targets = definition.targets().iter().map(|(name, target)| {
        let description = target.text("description").unwrap_or_default();
        (name.clone(), description.to_owned(), false)
    });
    let groups = definition.groups().iter().map(|group| {
        let mut members = group.targets.clone();
        members.sort();
        let members = members.join(", ");
        let description = match group.description.as_str() {
            "" => members,
            text => format!("{text} ({members})"),
        };
        (group.name.clone(), description, true)
    });
    let mut all: Vec<(String, String, bool)> = targets.chain(groups).collect();
    all.retain(|(name, ..)| !name.starts_with('_'));
    all.sort();
    all.into_iter().map(row).collect()
}

fn row((name, description, is_group): (String, String, bool)) -> Row {
    let mut object = Map::from_iter([("name".to_owned(), json!(name))]);
    if !description.is_empty() {
        object.insert("description".to_owned(), json!(description));
    }
    if is_group {
        object.insert("group".to_owned(), json!(true));
    }
    (vec![name, description], Value::Object(object))
}

fn variables(definition: &Definition) -> Vec<Row> {
    definition.variables().iter().map(variable).collect()
}

fn variable(variable: &Variable) -> Row {
    let Variable {
        name, description, ..
    } = variable;
    let kind = variable.kind.clone().unwrap_or_default();
    let mut object = Map::from_iter([("name".to_owned(), json!(name))]);
    for (key, value) in [("description", description), ("type", &kind)] {
        if !value.is_empty() {
            object.insert(key.to_owned(), json!(value));
        }
    }
    if let Some(value) = &variable.value {
        object.insert("value".to_owned(), json!(value));
    }
    let shown = variable.value.as_deref().unwrap_or("<null>");
    let cells = [name, &kind, shown, description].map(str::to_owned);
    (cells.into(), Value::Object(object))
}
