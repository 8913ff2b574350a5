//! `kiln config`: the defaults that count, and where each of them comes from.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::settings::{self, KEYS, Key, Value};
use crate::{form, stdout, table};
use clap::{Args, ValueEnum};
use serde_json::json;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// Arguments of `kiln config`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How to show them
    #[arg(long, value_enum, default_value = "table", add = Takes::Single)]
    format: Format,
}

/// Shows.
///
/// # Errors
/// When the file cannot be read or understood.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let effective = effective(globals)?;
    match arguments.format {
        Format::Table => {
            let row = |(key, value): &(&Key, Value)| {
                format!("{}\t{}\t{}\n", key.name, value.text, value.from)
            };
            let rows: String = effective.iter().map(row).collect();
            table::print_text(&table::aligned(&format!("SETTING\tVALUE\tFROM\n{rows}")));
        }
        Format::Json => {
            let entry = |(key, value): &(&Key, Value)| {
                let entry = json!({ "value": value.text, "from": value.from, "about": key.about });
                (key.name.to_owned(), entry)
            };
            let all: serde_json::Map<_, _> = effective.iter().map(entry).collect();
            stdout::print(form::json(&all)?.as_bytes());
        }
    }
    Ok(())
}

/// All settings, each with what counts.
fn effective(globals: &Globals) -> Result<Vec<(&'static Key, Value)>, Failure> {
    let mut values = settings::read()?;
    let store = globals.store()?.display().to_string();
    let is_told = |value: &Value| value.text == store;
    if globals.store.is_some() && !values.get("store").is_some_and(is_told) {
        values.insert("store", Value::of_flag("--store", store.clone()));
    }
    let value = |key: &'static Key| {
        let text = [key.default, store.as_str()][usize::from(key.name == "store")];
        let default = || Value::of_flag("default", text.to_owned());
        (key, values.get(key.name).cloned().unwrap_or_else(default))
    };
    Ok(KEYS.iter().map(value).collect())
}
