//! `kiln df`: what the store holds, by class.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::{session, table, units};
use clap::Args;
use kiln_cache::usage::Class;
use kiln_engine::cancel::Cancel;
use kiln_engine::event::Events;

/// Arguments of `kiln df`.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Shows.
///
/// # Errors
/// When the store cannot be read.
pub fn run(_arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
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
    let row = |name: &str, class: &Class| {
        vec![
            name.to_owned(),
            class.count.to_string(),
            units::bytes(class.bytes),
            units::bytes(class.reclaimable),
        ]
    };
    let mut rows: Vec<Vec<String>> = classes
        .iter()
        .map(|(name, class)| row(name, class))
        .collect();
    let total = classes
        .iter()
        .fold(Class::default(), |sum, (_, class)| Class {
            count: sum.count + class.count,
            bytes: sum.bytes + class.bytes,
            reclaimable: sum.reclaimable + class.reclaimable,
        });
    rows.push(row("all", &total));
    table::print(&["TYPE", "COUNT", "SIZE", "RECLAIMABLE"], &rows);
    Ok(())
}
