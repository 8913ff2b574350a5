//! Keeping the store to its budget: after the result of a build is out, and before a build on a disk that is nearly full. Says what the
//! settings are; what a budget means, and what goes first, is in `kiln_cache`.

use crate::failure::Failure;
use crate::settings::{self, Values};
use crate::units;
use kiln_cache::{Budget, PruneReport, Space, Store, StoreError};
use kiln_engine::chain_of_causes;
use kiln_oci::Digest;

/// The budget that variables and the file set.
///
/// # Errors
/// The file cannot be read or understood.
pub fn budget() -> Result<Budget, Failure> {
    let values = settings::read()?;
    Ok(Budget {
        max_used: space(&values, "max_store_size")?,
        min_free: space(&values, "min_free_space")?,
        reserved: space(&values, "reserved_space")?,
    })
}

fn space(values: &Values, key: &str) -> Result<Option<Space>, Failure> {
    let read = |value: &settings::Value| {
        let space = units::parse_space(&value.text);
        space.map_err(|wrong| Failure::usage(format!("{}: {wrong}", value.from)))
    };
    values.get(key).map(read).transpose()
}

/// Makes room for a build where the disk is nearly full.
pub fn before(store: &Store, budget: &Budget) {
    told("making room", store.garbage().make_room(budget));
}

/// Cleans up when the result is out, which stays. What cannot be done is done by the next command: the image is built and named.
pub fn after(store: &Store, budget: &Budget, result: Option<&Digest>) {
    told("cleaning up", store.garbage().settle(budget, result));
}

fn told(what: &str, outcome: Result<Option<PruneReport>, StoreError>) {
    match outcome {
        Ok(None) => {}
        Ok(Some(report)) => tracing::info!("{what}: {report:?}"),
        Err(error) => tracing::warn!("{what} failed: {}", chain_of_causes(&error)),
    }
}
