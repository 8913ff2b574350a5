//! `--save-stages`, `--stage-labels`, `--layer-label`: the stages before the last one stay as images, as in buildah. Unaware of stages.

use super::{Flag, pairs};
use crate::failure::Failure;
use kiln_engine::Request;

#[derive(Debug, clap::Args)]
pub struct SaveStages {
    /// Keep the stages that the target needs as images without a name; progress tells their IDs
    #[arg(long)]
    save_stages: bool,
    /// Label them and the image with io.buildah.stage.name and io.buildah.stage.base; needs --save-stages
    #[arg(long)]
    stage_labels: bool,
    /// Label of the images that --save-stages keeps (may be repeated)
    #[arg(long, value_name = "NAME[=VALUE]")]
    layer_label: Vec<String>,
}

impl Flag for SaveStages {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        if self.stage_labels && !self.save_stages {
            return Err(Failure::usage("--stage-labels needs --save-stages"));
        }
        if !self.save_stages && !self.layer_label.is_empty() {
            let why = "there are no intermediate images; --save-stages makes some";
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
