//! `kiln image inspect`: images only.

pub use super::Arguments;
use super::ObjectType;
use crate::environment::Globals;
use crate::failure::Failure;

/// Shows images.
///
/// # Errors
/// As of `kiln inspect`.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let object = Some(ObjectType::Image);
    super::run(
        Arguments {
            object,
            ..arguments
        },
        globals,
    )
}
