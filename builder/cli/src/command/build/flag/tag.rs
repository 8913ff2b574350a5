//! `--tag`: the names of the image. Unaware of what the store does with names.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::options::BuildOptions;
use kiln_oci::Reference;

#[derive(Debug, clap::Args)]
pub struct Tag {
    /// Name of the image, as name:tag (may be repeated)
    #[arg(short, long, value_name = "NAME")]
    tag: Vec<String>,
}

impl Flag for Tag {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        for tag in &self.tag {
            let reference = Reference::parse(tag)
                .map_err(|error| Failure::usage(format!("--tag {tag}: {error}")))?;
            options.tags.push(reference.with_default_tag());
        }
        Ok(())
    }
}
