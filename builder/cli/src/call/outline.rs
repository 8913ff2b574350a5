//! `--call=outline`: what the target takes, as tables or as `{"name", "description", "args", "secrets", "ssh", "cache", "sources"}`.

use super::location::Places;
use super::{Call, Format, columns, object, say, say_json};
use crate::failure::{Failure, build as failures};
use kiln_engine::check;
use kiln_parser::outline::{Outline, OutlineArgument, OutlineMount};
use serde_json::{Value, json};

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
        parts[0] += &format!("DESCRIPTION: {}\n", outline.description);
    }
    let argument = |found: &OutlineArgument| {
        let found = found.clone();
        vec![found.name, found.value, found.description]
    };
    let mount = |found: &OutlineMount| {
        let required = if found.required { "true" } else { "" };
        vec![found.id.clone(), required.to_owned()]
    };
    let cache = |found: &OutlineMount| vec![found.id.clone()];
    let tables: [(&[&str], Vec<_>); 4] = [
        (
            &["BUILD ARG", "VALUE", "DESCRIPTION"],
            outline.arguments.iter().map(argument).collect(),
        ),
        (
            &["SECRET", "REQUIRED"],
            outline.secrets.iter().map(mount).collect(),
        ),
        (
            &["SSH", "REQUIRED"],
            outline.ssh.iter().map(mount).collect(),
        ),
        (&["CACHE"], outline.caches.iter().map(cache).collect()),
    ];
    let tables = tables.iter().filter(|(_, rows)| !rows.is_empty());
    parts.extend(tables.map(|(header, rows)| columns(header, rows)));
    parts.join("\n")
}

fn as_json(places: &Places<'_>, outline: &Outline) -> Value {
    let argument = |found: &OutlineArgument| {
        object([
            ("name", json!(found.name)),
            ("description", json!(found.description)),
            ("value", json!(found.value)),
            ("location", places.of_span(found.span)),
        ])
    };
    let mount = |found: &OutlineMount| {
        object([
            ("name", json!(found.id)),
            ("required", json!(found.required.then_some(true))),
            ("location", places.of_span(found.span)),
        ])
    };
    let cache =
        |found: &OutlineMount| json!({"ID": found.id, "location": places.of_span(found.span)});
    object([
        ("name", json!(outline.name)),
        ("description", json!(outline.description)),
        ("args", outline.arguments.iter().map(argument).collect()),
        ("secrets", outline.secrets.iter().map(mount).collect()),
        ("ssh", outline.ssh.iter().map(mount).collect()),
        ("cache", outline.caches.iter().map(cache).collect()),
        ("sources", json!([places.source()])),
    ])
}
