//! `kiln df`: what the store holds, by class; with `-v` by image and cache mount.

mod verbose;

use crate::environment::Globals;
use crate::failure::Failure;
use crate::listing::{Header, Listing};
use crate::pflag::Takes;
use crate::{session, units};
use clap::Args;
use kiln_cache::Store;
use kiln_cache::usage::Class;
use kiln_engine::event::{Cancel, Events};
use kiln_template::{Value, field};

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
    /// Show each image, with what it shares with others, and each cache mount
    #[arg(short, long, add = Takes::Switch)]
    verbose: bool,
    /// Show as `table`, `json`, `table TEMPLATE` or TEMPLATE, in docker's template language
    #[arg(long, value_name = "FORMAT", add = Takes::Single)]
    format: Option<String>,
}

/// Shows.
///
/// # Errors
/// When the store cannot be read.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let listing = Listing::new(arguments.format.as_deref(), TABLE, &HEADERS)?;
    // cache mounts may hold files of other ids, which only the namespaces can look at
    let session = session::open(globals, Events::ignored(), Cancel::default())?;
    if arguments.verbose {
        return verbose::show(&session.store, arguments.format.as_deref(), &listing);
    }
    listing.print(&classes(&session.store)?)
}

/// A row for each class, and their sum.
fn classes(store: &Store) -> Result<Vec<Value>, Failure> {
    let usage = store.garbage().usage()?;
    let classes = [
        ("layers", usage.layers),
        ("compressed layers", usage.compressed),
        ("views", usage.views),
        ("cache mounts", usage.cache_mounts),
        ("containers", usage.containers),
        ("images", usage.images),
        ("records", usage.records),
        ("builds", usage.builds),
        ("logs", usage.logs),
        ("contexts", usage.contexts),
        ("scratch", usage.scratch),
        ("trash", usage.trash),
    ];
    let total = classes
        .iter()
        .fold(Class::default(), |sum, (_, class)| with(sum, class));
    let all = ("all", total);
    let rows = classes.iter().chain([&all]);
    Ok(rows.map(|(name, class)| row(name, class)).collect())
}

fn with(sum: Class, class: &Class) -> Class {
    Class {
        count: sum.count + class.count,
        bytes: sum.bytes + class.bytes,
        reclaimable: sum.reclaimable + class.reclaimable,
    }
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
