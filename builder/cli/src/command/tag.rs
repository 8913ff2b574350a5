//! `kiln tag`: one more name for an image.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::{catalog, session};
use clap::Args;

/// Arguments of `kiln tag`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Image name or ID
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The other name
    #[arg(value_name = "NAME")]
    name: String,
}

/// Tags.
///
/// # Errors
/// When the image is not there or the name is none.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let name = catalog::new_name(&arguments.name)?;
    let store = session::store(globals)?;
    let image = catalog::named(&store, &arguments.image)?;
    Ok(store.images().tag(&name, &image)?)
}
