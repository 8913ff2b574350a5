//! `docker buildx ls`: the builders that are known, as a table or as docker's JSON lines.

use super::{DEFAULT, known};
use crate::environment::Globals;
use crate::failure::Failure;
use crate::listing::{self, Header, Listing};
use crate::pflag::Takes;
use crate::{plugin, table};
use clap::Args;
use kiln_oci::Platform;
use kiln_template::Value;
use serde_json::json;

/// The fields of a row, by the alphabet.
const HEADERS: [Header; 6] = [
    ("Buildkit", "BUILDKIT"),
    ("DriverEndpoint", "DRIVER/ENDPOINT"),
    ("LastActivity", "LAST ACTIVITY"),
    ("Name", "NAME/NODE"),
    ("Platforms", "PLATFORMS"),
    ("Status", "STATUS"),
];
/// How scripts ask for all that there is, which is more than the fields of a row.
const JSON: [&str; 2] = ["json", "{{json.}}"];
const TABLE: &str = "{{.Name}}\t{{.DriverEndpoint}}\t{{.Status}}\t{{.Buildkit}}\t{{.Platforms}}";

/// Arguments of `buildx ls`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Show as `table`, `json`, `table TEMPLATE` or TEMPLATE, in docker's template language
    #[arg(long, value_name = "FORMAT", add = Takes::Single)]
    format: Option<String>,
    /// No effect
    #[arg(long, add = Takes::Switch)]
    no_trunc: bool,
}

/// Lists.
///
/// # Errors
/// The template cannot be understood.
pub fn run(arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    let platform = Platform::host().to_string();
    let format = arguments.format.as_deref();
    if format.is_some_and(|format| JSON.contains(&format.replace(' ', "").as_str())) {
        known()
            .iter()
            .for_each(|name| table::line(&document(name, &platform)));
        return Ok(());
    }
    let listing = Listing::new(format, TABLE, &HEADERS)?;
    let rows = known().into_iter().flat_map(|name| rows(&name, &platform));
    listing.print(&rows.collect::<Vec<_>>())
}

/// A builder and its node; docker marks the one that is used.
fn rows(name: &str, platform: &str) -> [Value; 2] {
    let mark = if name == DEFAULT { "*" } else { "" };
    let node = format!(" \\_ {name}");
    let version = plugin::LEVEL;
    [
        row([&format!("{name}{mark}"), "kiln", "", "", ""]),
        row([&node, " \\_ this machine", "running", version, platform]),
    ]
}

fn row([name, endpoint, status, version, platforms]: [&str; 5]) -> Value {
    let fields = [version, endpoint, "", name, platforms, status];
    listing::row(&HEADERS, fields.map(str::to_owned))
}

fn document(name: &str, platform: &str) -> String {
    let node = json!({
        "Name": name, "Endpoint": "this machine", "Platforms": [platform], "Status": "running", "Version": plugin::LEVEL,
    });
    let builder = json!({
        "Name": name, "Driver": "kiln", "Current": name == DEFAULT, "Dynamic": false, "Nodes": [node],
    });
    builder.to_string()
}
