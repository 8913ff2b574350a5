//! `--manifest`: the result goes into an index of that name, as in buildah: builds for other platforms add to it. Unaware of platforms.

use super::Flag;
use crate::catalog;
use crate::failure::Failure;
use kiln_engine::Request;

#[derive(Debug, clap::Args)]
pub struct Manifest {
    /// Index that the image is put into, made where there is none; an image of the same platform that is in it is replaced
    #[arg(long, value_name = "NAME")]
    manifest: Option<String>,
}

impl Flag for Manifest {
    /// Comes after the platforms, and before what only an index can have.
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        if let Some(name) = &self.manifest {
            request.goal.manifest = Some(catalog::new_name(name)?);
            request.language.always_index = true;
        }
        Ok(())
    }
}
