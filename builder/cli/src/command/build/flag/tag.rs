//! `--tag`: the names of the image. Unaware of what the store does with names.

use super::Flag;
use crate::catalog;
use crate::failure::Failure;
use kiln_engine::options::BuildOptions;

#[derive(Debug, clap::Args)]
pub struct Tag {
    /// Name of the image, as name:tag (may be repeated)
    #[arg(short, long, value_name = "NAME")]
    tag: Vec<String>,
}

impl Flag for Tag {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        for tag in &self.tag {
            options.tags.push(catalog::new_name(tag)?);
        }
        Ok(())
    }
}
