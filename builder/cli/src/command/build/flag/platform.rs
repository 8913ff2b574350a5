//! `--platform`: what the image is for.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::options::BuildOptions;

#[derive(Debug, clap::Args)]
pub struct Platform {
    /// What the image is for, such as linux/amd64 [default: this machine]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
}

impl Flag for Platform {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        if let Some(platform) = &self.platform {
            options.platform = kiln_oci::Platform::parse(platform)
                .map_err(|error| Failure::usage(format!("--platform: {error}")))?;
        }
        Ok(())
    }
}
