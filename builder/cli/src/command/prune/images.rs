//! `kiln image prune`: images without names, and layers that neither an image nor the cache needs.

pub use super::Arguments;
use super::{Scope, prune};
use crate::environment::Globals;
use crate::failure::Failure;

/// Prunes images.
///
/// # Errors
/// When the store cannot be changed.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    prune(Scope::Images, &arguments, globals)
}
