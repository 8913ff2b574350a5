//! `kiln df`: what the store holds, by class.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::listing::{Header, Listing};
use crate::template::value::{Value, field};
use crate::{session, units};
use clap::Args;
use kiln_cache::usage::Class;
use kiln_engine::cancel::Cancel;
use kiln_engine::event::Events;

const HEADERS: [Header; 5] = [
    ("Active", "ACTIVE"),
    ("Reclaimable", "RECLAIMABLE"),
    ("Size", "SIZE"),
    ("TotalCount", "COUNT"),
    ("Type", "TYPE"),
];
const TABLE: &str = "{{.Type}}\t{{.TotalCount}}\t{{.Size}}\t{{.Reclaimable}}";

/// Arguments of `kiln df`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Show as `table`, `json`, `table TEMPLATE` or TEMPLATE, in docker's template language
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Shows.
///
/// # Errors
/// When the store cannot be read.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let listing = Listing::new(arguments.format.as_deref(), TABLE, &HEADERS)?;
    let session = session::open(globals, Events::ignored(), Cancel::default())?;
    let usage = session.store.df()?;
    let classes = [
        ("layers", usage.layers),
        ("compressed layers", usage.compressed),
        ("views", usage.views),
        ("cache mounts", usage.cache_mounts),
        ("images", usage.images),
        ("records", usage.records),
        ("contexts", usage.contexts),
        ("scratch", usage.scratch),
        ("trash", usage.trash),
    ];
    let total = classes
        .iter()
        .fold(Class::default(), |sum, (_, class)| Class {
            count: sum.count + class.count,
            bytes: sum.bytes + class.bytes,
            reclaimable: sum.reclaimable + class.reclaimable,
        });
    let rows: Vec<Value> = classes
        .iter()
        .chain([&("all", total)])
        .map(|(name, class)| row(name, class))
        .collect();
    listing.print(&rows)
}

fn row(name: &str, class: &Class) -> Value {
    Value::record([
        field("Active", "N/A"),
        field("Reclaimable", units::bytes(class.reclaimable)),
        field("Size", units::bytes(class.bytes)),
        field("TotalCount", class.count.to_string()),
        field("Type", name),
    ])
}
