//! `--build-arg`: values of ARGs, and `SOURCE_DATE_EPOCH`, which may come from here or from the environment.

use super::{Flag, pairs};
use crate::environment;
use crate::failure::Failure;
use kiln_engine::options::BuildOptions;

#[derive(Debug, clap::Args)]
pub struct BuildArg {
    /// Value of an ARG; without a value it is taken from the environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
}

impl Flag for BuildArg {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        options.build_args = pairs("--build-arg", &self.build_arg, environment::variable)?;
        let given = options.build_args.get("SOURCE_DATE_EPOCH").cloned();
        let epoch = given
            .or_else(|| environment::variable("SOURCE_DATE_EPOCH"))
            .filter(|epoch| !epoch.is_empty());
        options.epoch_of_context = epoch.as_deref() == Some("context");
        options.source_date_epoch = epoch
            .filter(|_| !options.epoch_of_context)
            .map(|epoch| seconds(&epoch))
            .transpose()?;
        Ok(())
    }
}

fn seconds(epoch: &str) -> Result<i64, Failure> {
    epoch.trim().parse().map_err(|_| {
        Failure::usage(format!(
            "SOURCE_DATE_EPOCH: {epoch:?} is not a number of seconds"
        ))
    })
}
