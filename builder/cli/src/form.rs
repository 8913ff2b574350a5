//! What a command tells, as lines for people or as JSON for machines. Unaware of what it is.

use crate::failure::{Failure, Kind};
use clap::ValueEnum;
use serde::Serialize;

/// How to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For machines
    Json,
}

/// As JSON, with the end of its last line.
///
/// # Errors
/// It cannot be serialised, which is a mistake in kiln.
pub fn json(value: &impl Serialize) -> Result<String, Failure> {
    let internal = |error: serde_json::Error| Failure::new(Kind::Internal, error.to_string());
    Ok(serde_json::to_string_pretty(value).map_err(internal)? + "\n")
}
