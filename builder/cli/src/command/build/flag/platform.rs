//! `--platform`: what the image is for; several give an index of several images. `--os`, `--arch` and `--variant` are its parts, as in
//! buildah.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::Request;
use kiln_oci::Platform as Parsed;

#[derive(Debug, clap::Args)]
pub struct Platform {
    /// What the image is for, such as linux/amd64,linux/arm64, or local [default: this machine]; --custom-platform in kaniko (may be
    /// repeated)
    #[arg(
        long,
        value_name = "PLATFORM",
        value_delimiter = ',',
        alias = "custom-platform"
    )]
    platform: Vec<String>,
    /// Operating system of the --platform [default: linux]
    #[arg(long, value_name = "OS", conflicts_with = "platform")]
    os: Option<String>,
    /// Processor of the --platform [default: this machine's]
    #[arg(long, value_name = "ARCH", conflicts_with = "platform")]
    arch: Option<String>,
    /// Variant of the processor of the --platform, such as v7
    #[arg(long, value_name = "VARIANT", conflicts_with = "platform")]
    variant: Option<String>,
}

impl Platform {
    /// The platform that its parts name.
    fn of_parts(&self) -> Option<String> {
        if self.os.is_none() && self.arch.is_none() && self.variant.is_none() {
            return None;
        }
        let host = Parsed::host();
        let os = self.os.as_ref().unwrap_or(&host.os);
        let arch = self.arch.as_ref().unwrap_or(&host.architecture);
        let variant = self.variant.iter().map(|variant| format!("/{variant}"));
        Some(format!("{os}/{arch}{}", variant.collect::<String>()))
    }
}

impl Flag for Platform {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let mut platforms = Vec::new();
        for text in self.platform.iter().chain(&self.of_parts()) {
            let platform = match text.trim() {
                "local" => Parsed::host(),
                text => Parsed::parse(text)
                    .map_err(|error| Failure::usage(format!("--platform: {error}")))?,
            };
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        request.language.platforms = platforms;
        request.language.always_index = request.language.is_true("BUILDKIT_MULTI_PLATFORM");
        Ok(())
    }
}
