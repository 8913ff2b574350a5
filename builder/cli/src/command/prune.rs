//! `kiln prune`: removes what no tag and no running build needs, or what is worth least until the store is small enough.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::{session, table, units};
use clap::Args;
use kiln_engine::cancel::Cancel;
use kiln_engine::event::Events;

/// Arguments of `kiln prune`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Keep the store below this size, removing what is cheapest to make again first; without it, all that no name needs goes
    #[arg(long, value_name = "SIZE")]
    max_size: Option<String>,
}

/// Prunes. Runs inside the namespaces, because views hold files of ids that only exist there.
///
/// # Errors
/// When the store cannot be changed.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let budget = arguments
        .max_size
        .as_deref()
        .map(units::parse_bytes)
        .transpose()
        .map_err(|error| Failure::usage(format!("--max-size: {error}")))?;
    let session = session::open(globals, Events::ignored(), Cancel::default())?;
    let report = session.store.prune(budget)?;
    session.store.settle()?;
    let counts = [
        (report.layers, "layer"),
        (report.views, "view"),
        (report.cache_mounts, "cache mount"),
        (report.records, "record"),
        (report.images, "image"),
    ];
    let removed: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| units::counted(usize::try_from(*count).unwrap_or(usize::MAX), what))
        .collect();
    let removed = if removed.is_empty() {
        "nothing to remove".to_owned()
    } else {
        format!("removed {}", removed.join(", "))
    };
    table::line(&format!(
        "{removed}; freed {}, the store holds {}",
        units::bytes(report.freed),
        units::bytes(report.kept)
    ));
    Ok(())
}
