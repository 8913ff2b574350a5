//! `--call=targets`: the stages that can be built, as a table or as `{"targets", "sources"}`.

use super::location::Places;
use super::{Call, Format, columns, object, say, say_json};
use crate::failure::{Failure, build as failures};
use kiln_engine::check;
use kiln_parser::targets::Target;
use serde_json::{Value, json};

pub(super) fn answer(call: &Call<'_>) -> Result<(), Failure> {
    let targets = check::targets(call.build)
        .map_err(|error| failures::dockerfile(&call.build.dockerfile, error))?;
    match call.format {
        Format::Text => {
            let rows: Vec<_> = targets.iter().filter_map(row).collect();
            say(&columns(&["TARGET", "DESCRIPTION"], &rows));
        }
        Format::Json => {
            let places = Places::of(&call.build.dockerfile.text);
            let list: Vec<Value> = targets
                .iter()
                .map(|target| as_json(&places, target))
                .collect();
            say_json(&json!({"targets": list, "sources": [places.source()]}));
        }
    }
    Ok(())
}

/// A stage without a name can be built only if it is the last.
fn row(target: &Target) -> Option<Vec<String>> {
    let name = match (&target.name, target.is_default) {
        (Some(name), true) => format!("{name} (default)"),
        (Some(name), false) => name.clone(),
        (None, true) => "(default)".to_owned(),
        (None, false) => return None,
    };
    Some(vec![name, target.description.clone()])
}

fn as_json(places: &Places<'_>, target: &Target) -> Value {
    object([
        ("name", json!(target.name)),
        ("default", json!(target.is_default.then_some(true))),
        ("description", json!(target.description)),
        ("base", json!(target.base)),
        ("platform", json!(target.platform)),
        ("location", places.of_span(target.span)),
    ])
}
