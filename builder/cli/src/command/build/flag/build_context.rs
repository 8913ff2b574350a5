//! `--build-context`: what stages can name besides images and each other.

use super::Flag;
use crate::command::build::source::{context_folder, outside};
use crate::failure::Failure;
use kiln_engine::{ContextSource, Request};
use std::path::Path;

#[derive(Debug, clap::Args)]
pub struct BuildContext {
    /// Folder, archive, git repository, address, docker-image://IMAGE, oci-layout://DIR[:TAG], target:STAGE or
    /// host-tools:PROGRAM,… that stages can name
    #[arg(long, value_name = "NAME=SOURCE")]
    build_context: Vec<String>,
}

impl Flag for BuildContext {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        for argument in &self.build_context {
            let (name, source) = argument
                .split_once('=')
                .filter(|(name, source)| !name.is_empty() && !source.is_empty())
                .ok_or_else(|| {
                    Failure::usage(format!("--build-context {argument}: expected NAME=SOURCE"))
                        .hint("for example --build-context tools=host-tools:sh,ls,cat")
                })?;
            request
                .sources
                .contexts
                .insert(name.to_lowercase(), context_source(source)?);
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
    // BuildKit reads it with and without slashes
    if let Some(image) = source.strip_prefix("docker-image:") {
        return Ok(match image.strip_prefix("//").unwrap_or(image) {
            "scratch" => ContextSource::Scratch,
            image => ContextSource::Image(image.to_owned()),
        });
    }
    if let Some(stage) = source.strip_prefix("target:") {
        return Ok(ContextSource::Stage(stage.to_owned()));
    }
    if let Some(layout) = source.strip_prefix("oci-layout://") {
        return Ok(oci_layout(layout));
    }
    if let Some(source) = outside(source)? {
        return Ok(source);
    }
    if source.contains("://") {
        return Err(
            Failure::usage(format!("--build-context: {source} is of no kind that kiln knows"))
                .hint("give a folder, an archive, a git repository, host-tools:…, docker-image://…, oci-layout://…, https://… or target:…"),
        );
    }
    let path = Path::new(source);
    if path.is_file() {
        return Ok(ContextSource::Archive(path.to_owned()));
    }
    Ok(ContextSource::Directory(context_folder(path)?))
}

/// `DIR`, `DIR:tag` or `DIR@digest`.
fn oci_layout(text: &str) -> ContextSource {
    let (folder, reference) = match text.split_once('@') {
        Some((folder, digest)) => (folder, Some(digest)),
        None => match text.rsplit_once(':') {
            Some((folder, tag)) if !tag.contains('/') => (folder, Some(tag)),
            _ => (text, None),
        },
    };
    ContextSource::OciLayout(folder.into(), reference.map(str::to_owned))
}
