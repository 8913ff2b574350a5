//! Files of all kinds become one definition: compose files first, and bake files over them. Unaware of what they say.

use crate::compose::{self, is_compose};
use crate::definition::{Definition, Options};
use crate::error::Error;
use crate::{Host, Source};

/// Reads and evaluates files: what a later one says goes before what an earlier one says.
///
/// # Errors
/// Something in them is wrong.
pub fn read(files: &[Source], host: &dyn Host, options: &Options) -> Result<Definition, Error> {
    let all = files.iter().enumerate();
    let (of_compose, baked): (Vec<_>, Vec<_>) = all.partition(|(_, file)| is_compose(file));
    let mut definition = Definition::within(&options.base);
    if !of_compose.is_empty() {
        compose::add(&of_compose, (host, options), &mut definition)?;
    }
    definition.add(&baked, (host, options))?;
    Ok(definition)
}
