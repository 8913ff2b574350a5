//! `--from`: another base than the one that the first FROM names, as in buildah and podman. Unaware of what it is.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::Request;

#[derive(Debug, clap::Args)]
pub struct From {
    /// Base of the first stage, instead of what its FROM says: an image, a --build-context or scratch
    #[arg(long, value_name = "IMAGE")]
    from: Option<String>,
}

impl Flag for From {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let Some(from) = &self.from else {
            return Ok(());
        };
        let image = ["docker://", "docker-image://", "container-image://"]
            .iter()
            .find_map(|transport| from.strip_prefix(transport));
        let image = image.unwrap_or(from).trim();
        if image.is_empty() {
            return Err(Failure::usage("--from: the name of an image is missing"));
        }
        request.language.from = Some(image.to_owned());
        Ok(())
    }
}
