//! `--build-context`: what stages can name besides images and each other.

use super::Flag;
use crate::command::build::source::context_folder;
use crate::failure::Failure;
use kiln_engine::options::{BuildOptions, ContextSource};
use std::path::Path;

#[derive(Debug, clap::Args)]
pub struct BuildContext {
    /// Folder, host-tools:PROGRAM,… or docker-image://IMAGE that stages can name
    #[arg(long, value_name = "NAME=SOURCE")]
    build_context: Vec<String>,
}

impl Flag for BuildContext {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        for argument in &self.build_context {
            let (name, source) = argument
                .split_once('=')
                .filter(|(name, source)| !name.is_empty() && !source.is_empty())
                .ok_or_else(|| {
                    Failure::usage(format!("--build-context {argument}: expected NAME=SOURCE"))
                        .hint("for example --build-context tools=host-tools:sh,ls,cat")
                })?;
            options.contexts.insert(name.to_lowercase(), context_source(source)?);
        }
        Ok(())
    }
}

fn context_source(source: &str) -> Result<ContextSource, Failure> {
    if let Some(programs) = source.strip_prefix("host-tools:") {
        return Ok(ContextSource::HostTools(
            programs
                .split(',')
                .map(str::trim)
                .filter(|p| !p.is_empty())
                .map(str::to_owned)
                .collect(),
        ));
    }
    if let Some(image) = source.strip_prefix("docker-image://") {
        return Ok(ContextSource::Image(image.to_owned()));
    }
    if let Some(stage) = source.strip_prefix("target:") {
        return Ok(ContextSource::Stage(stage.to_owned()));
    }
    if source.contains("://") {
        return Err(
            Failure::usage(format!("--build-context: {source} is not supported yet"))
                .hint("give a folder, host-tools:…, docker-image://… or target:…"),
        );
    }
    Ok(ContextSource::Directory(context_folder(Path::new(source))?))
}
