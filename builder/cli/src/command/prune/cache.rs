//! `kiln builder prune`: what builds keep for later ones; images stay, named or not.

pub use super::Arguments;
use super::{Scope, prune};
use crate::environment::Globals;
use crate::failure::Failure;

/// Prunes the cache.
///
/// # Errors
/// When the store cannot be changed.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    prune(Scope::Cache, &arguments, globals)
}
