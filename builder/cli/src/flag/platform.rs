//! `--platform`: what the image is for; several give an index of several images. `--os`, `--arch` and `--variant` are its parts, as in
//! buildah. `--manifest` names an index to which builds for other platforms add.

use super::Flag;
use crate::catalog;
use crate::failure::Failure;
use crate::pflag::Takes;
use kiln_engine::Request;
use kiln_oci::{KNOWN_ARCHITECTURES, Platform};
use kiln_parser::suggest;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Platform of the image, such as linux/amd64,linux/arm64, or local [default: this machine]; kaniko's
    /// --custom-platform (may be repeated)
    #[arg(
        long,
        value_name = "PLATFORM",
        value_delimiter = ',',
        aliases = ["custom-platform", "customPlatform"],
        add = Takes::StrictList
    )]
    platform: Vec<String>,
    /// Operating system of the --platform [default: linux]
    #[arg(long, value_name = "OS", conflicts_with = "platform", add = Takes::Single)]
    os: Option<String>,
    /// Processor architecture of the --platform [default: this machine's]
    #[arg(long, value_name = "ARCH", conflicts_with = "platform", add = Takes::Single)]
    arch: Option<String>,
    /// Processor variant of the --platform, such as v7
    #[arg(long, value_name = "VARIANT", conflicts_with = "platform", add = Takes::Single)]
    variant: Option<String>,
    /// Index to add the image to; it is created if necessary, and an image for the same platform in it is replaced
    #[arg(long, value_name = "NAME", add = Takes::Single)]
    manifest: Option<String>,
}

impl Flags {
    /// The platform that its parts name.
    fn of_parts(&self) -> Option<String> {
        if self.os.is_none() && self.arch.is_none() && self.variant.is_none() {
            return None;
        }
        let host = Platform::host();
        let os = self.os.as_ref().unwrap_or(&host.os);
        let arch = self.arch.as_ref().unwrap_or(&host.architecture);
        let variant = self.variant.iter().map(|variant| format!("/{variant}"));
        Some(format!("{os}/{arch}{}", variant.collect::<String>()))
    }
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let mut platforms = Vec::new();
        let parts: Vec<String> = self.of_parts().into_iter().collect();
        // a default of --platform is not meant where parts are given
        let wanted = [&self.platform, &parts][usize::from(!parts.is_empty())];
        for text in wanted {
            let platform = match text.trim() {
                "local" => Platform::host(),
                text => Platform::parse(text)
                    .map_err(|error| Failure::usage(format!("--platform: {error}")))?,
            };
            request.notices.extend(unheard_of(&platform));
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        request.form.platforms = platforms;
        request.form.always_index = request.language.is_true("BUILDKIT_MULTI_PLATFORM");
        if let Some(name) = &self.manifest {
            request.goal.manifest = Some(catalog::new_name(name)?);
            request.form.always_index = true;
        }
        Ok(())
    }
}

/// A warning of an architecture that is near one of those, and none of them.
fn unheard_of(platform: &Platform) -> Option<String> {
    let near = suggest::help(&platform.architecture, KNOWN_ARCHITECTURES)?;
    Some(format!(
        "--platform {platform}: there is no such architecture; {near}"
    ))
}
