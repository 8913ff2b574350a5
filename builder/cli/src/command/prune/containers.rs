//! `kiln container prune`: all containers that do not run, with what they have changed. Nothing else removes those unasked: what a container
//! holds cannot be made again.

use super::confirm;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::filter::Filters;
use crate::pflag::Takes;
use crate::{containers, session, table, units};
use clap::Args;
use jiff::Timestamp;
use kiln_cache::Store;
use kiln_engine::event::{Cancel, Events};
use kiln_engine::trial::{Kept, KeptError};

/// Arguments of `kiln container prune`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Do not ask; kiln only asks on a terminal
    #[arg(short, long, add = Takes::Switch)]
    force: bool,
    /// Remove only what matches: until=TIME (made before; 24h means a day ago)
    #[arg(long = "filter", value_name = "KEY=VALUE", add = Takes::List)]
    filters: Vec<String>,
}

/// Removes them, and prints their IDs.
///
/// # Errors
/// When the store cannot be changed.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    if !arguments.force {
        confirm("all containers that do not run")?;
    }
    // what they have changed may belong to the IDs of a range
    let session = session::open(globals, Events::ignored(), Cancel::default())?;
    let store = &session.store;
    let filters = Filters::parse(&arguments.filters, &["until"], store)?;
    let until = filters.until().map_or(i64::MAX, Timestamp::as_microsecond);
    let mut freed = 0;
    for kept in containers::all(store)? {
        if !kept.runs() && kept.record.draft.created_us < until {
            freed += removed(store, kept)?;
        }
    }
    store.settle()?;
    table::line(&format!("freed {}", units::bytes(freed)));
    Ok(())
}

/// Removes one; how many bytes it took. One that was started meanwhile stays.
fn removed(store: &Store, kept: Kept) -> Result<u64, Failure> {
    let id = kept.record.id.clone();
    let held = match kept.hold(store) {
        Err(KeptError::Runs(_)) => return Ok(0),
        held => held.map_err(containers::failure)?,
    };
    let bytes = store.containers().bytes(&id);
    held.remove(store).map_err(containers::failure)?;
    table::line(&id);
    Ok(bytes)
}
