//! `--target`, `--from`, `--save-stages` and its family: which stage is built, on which base, and which stages stay as images, as
//! in buildah. Unaware of what stages are.

use super::{Flag, pairs};
use crate::failure::Failure;
use crate::pflag::Takes;
use kiln_engine::Request;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Stage to build [default: the last]
    #[arg(long, value_name = "STAGE", add = Takes::Single)]
    target: Option<String>,
    /// Base for the first stage, in place of the one in its FROM: an image, a --build-context or scratch
    #[arg(long, value_name = "IMAGE", add = Takes::Single)]
    from: Option<String>,
    /// Keep the stages that the target needs as unnamed images; progress shows their IDs
    #[arg(long, add = Takes::Switch)]
    save_stages: bool,
    /// Add the labels io.buildah.stage.name and io.buildah.stage.base to them and to the image; needs --save-stages
    #[arg(long, add = Takes::Switch)]
    stage_labels: bool,
    /// Label for the images that --save-stages keeps (may be repeated)
    #[arg(long, value_name = "NAME[=VALUE]", add = Takes::List)]
    layer_label: Vec<String>,
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        request.language.target.clone_from(&self.target);
        request.language.from = self.from.as_deref().map(base).transpose()?;
        if self.stage_labels && !self.save_stages {
            return Err(Failure::usage("--stage-labels needs --save-stages"));
        }
        if !self.save_stages && !self.layer_label.is_empty() {
            let why = "there are no intermediate images without --save-stages";
            request
                .notices
                .push(format!("--layer-label has no effect: {why}"));
        }
        request.form.save_stages = self.save_stages;
        request.form.stage_labels = self.stage_labels;
        request.form.layer_labels =
            pairs("--layer-label", &self.layer_label, |_| Some(String::new()))?;
        Ok(())
    }
}

/// The name of an image, without the transport that podman may write before it.
fn base(from: &str) -> Result<String, Failure> {
    let image = ["docker://", "docker-image://", "container-image://"]
        .iter()
        .find_map(|transport| from.strip_prefix(transport));
    let image = image.unwrap_or(from).trim();
    if image.is_empty() {
        return Err(Failure::usage("--from: the name of an image is missing"));
    }
    Ok(image.to_owned())
}
