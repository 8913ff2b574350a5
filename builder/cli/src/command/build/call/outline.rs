//! `--call=outline`: what the target takes, as tables or as `{"name", "description", "args", "secrets", "ssh", "cache", "sources"}`.

use super::location::Places;
use super::{Call, Format, columns, say, say_json};
use crate::command::build::failures;
use crate::failure::Failure;
use kiln_engine::check;
use kiln_parser::outline::{Outline, OutlineArgument, OutlineMount};
use serde_json::{Map, Value, json};

pub(super) fn answer(call: &Call<'_>) -> Result<(), Failure> {
    let outline = check::outline(call.store.as_ref(), call.build)
        .map_err(|error| failures::dockerfile(&call.build.dockerfile, error))?;
    match call.format {
        Format::Text => say(&text(&outline)),
        Format::Json => say_json(&as_json(&Places::of(&call.build.dockerfile.text), &outline)),
    }
    Ok(())
}

fn text(outline: &Outline) -> String {
    let name = outline.name.as_deref().unwrap_or("(default)");
    let mut parts = vec![format!("TARGET:      {name}\n")];
    if !outline.description.is_empty() {
        parts[0].push_str(&format!("DESCRIPTION: {}\n", outline.description));
    }
    if !outline.arguments.is_empty() {
        let row = |argument: &OutlineArgument| {
            vec![
                argument.name.clone(),
                argument.value.clone(),
                argument.description.clone(),
            ]
        };
        let rows: Vec<_> = outline.arguments.iter().map(row).collect();
        parts.push(columns(&["BUILD ARG", "VALUE", "DESCRIPTION"], &rows));
    }
    for (title, mounts) in [("SECRET", &outline.secrets), ("SSH", &outline.ssh)] {
        let required = |required| if required { "true" } else { "" }.to_owned();
        let row = |mount: &OutlineMount| vec![mount.id.clone(), required(mount.required)];
        if !mounts.is_empty() {
            let rows: Vec<_> = mounts.iter().map(row).collect();
            parts.push(columns(&[title, "REQUIRED"], &rows));
        }
    }
    if !outline.caches.is_empty() {
        let rows: Vec<_> = outline
            .caches
            .iter()
            .map(|cache| vec![cache.id.clone()])
            .collect();
        parts.push(columns(&["CACHE"], &rows));
    }
    parts.join("\n")
}

/// Empty fields are left out, as BuildKit does.
fn as_json(places: &Places<'_>, outline: &Outline) -> Value {
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value, is_empty: bool| {
        if !is_empty {
            answer.insert(name.to_owned(), value);
        }
    };
    put("name", json!(outline.name), outline.name.is_none());
    put(
        "description",
        json!(outline.description),
        outline.description.is_empty(),
    );
    let arguments: Vec<Value> = outline
        .arguments
        .iter()
        .map(|found| argument(places, found))
        .collect();
    put("args", json!(arguments), arguments.is_empty());
    for (name, mounts) in [("secrets", &outline.secrets), ("ssh", &outline.ssh)] {
        let list: Vec<Value> = mounts.iter().map(|found| mount(places, found)).collect();
        put(name, json!(list), list.is_empty());
    }
    let cache =
        |found: &OutlineMount| json!({"ID": found.id, "location": places.of_span(found.span)});
    let caches: Vec<Value> = outline.caches.iter().map(cache).collect();
    put("cache", json!(caches), caches.is_empty());
    put("sources", json!([places.source()]), false);
    Value::Object(answer)
}

fn argument(places: &Places<'_>, found: &OutlineArgument) -> Value {
    let mut object = json!({"name": found.name});
    if !found.description.is_empty() {
        object["description"] = json!(found.description);
    }
    if !found.value.is_empty() {
        object["value"] = json!(found.value);
    }
    object["location"] = places.of_span(found.span);
    object
}

fn mount(places: &Places<'_>, found: &OutlineMount) -> Value {
    let mut object = json!({"name": found.id});
    if found.required {
        object["required"] = json!(true);
    }
    object["location"] = places.of_span(found.span);
    object
}
