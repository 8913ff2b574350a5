//! `--platform`: what the image is for; several give an index of several images.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::options::BuildOptions;

#[derive(Debug, clap::Args)]
pub struct Platform {
    /// What the image is for, such as linux/amd64,linux/arm64, or local [default: this machine] (may be repeated)
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<String>,
}

impl Flag for Platform {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        let mut platforms = Vec::new();
        for text in &self.platform {
            let platform = match text.trim() {
                "local" => kiln_oci::Platform::host(),
                text => kiln_oci::Platform::parse(text)
                    .map_err(|error| Failure::usage(format!("--platform: {error}")))?,
            };
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        if !platforms.is_empty() {
            options.platforms = platforms;
            options.platform_is_given = true;
        }
        options.always_index = options
            .build_args
            .get("BUILDKIT_MULTI_PLATFORM")
            .is_some_and(|value| matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"));
        Ok(())
    }
}
