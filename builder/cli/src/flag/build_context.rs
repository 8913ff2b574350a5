//! `--build-context`, `--ignorefile`: what stages can name besides images and each other, and which files of the main context do not
//! count. Unaware of the patterns in that file.

use super::Flag;
use super::context::{context_folder, find_file, outside, read_file};
use crate::failure::Failure;
use crate::pflag::Takes;
use kiln_engine::{ContextSource, Request};
use std::path::{Path, PathBuf};

/// What a context can be.
const KINDS: &str = "give a folder, an archive, a git repository, host-tools:…, docker-image://…, oci-layout://…, https://… or target:…";

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Context that stages can name: a folder, an archive, a git repository, a URL, docker-image://IMAGE,
    /// oci-layout://DIR[:TAG], target:STAGE or host-tools:PROGRAM,… (may be repeated)
    #[arg(long, value_name = "NAME=SOURCE", add = Takes::List)]
    build_context: Vec<String>,
    /// File to use instead of .dockerignore
    #[arg(long, value_name = "FILE", add = Takes::Single)]
    ignorefile: Option<PathBuf>,
}

impl Flag for Flags {
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
        request.sources.ignore_file = self.ignore_file(request)?;
        Ok(())
    }
}

impl Flags {
    fn ignore_file(&self, request: &Request) -> Result<Option<String>, Failure> {
        let Some(file) = &self.ignorefile else {
            return Ok(None);
        };
        let Some(folder) = request.sources.context.folder() else {
            return Err(
                Failure::usage("--ignorefile needs a context that is a folder")
                    .hint("kiln uses all files of a context that is fetched or piped"),
            );
        };
        let path = find_file(file, folder).ok_or_else(|| {
            Failure::usage(format!("--ignorefile: there is no {}", file.display()))
        })?;
        read_file(&path).map(Some)
    }
}

/// What a context is made of.
///
/// # Errors
/// It is not understood, or not there.
pub fn context_source(source: &str) -> Result<ContextSource, Failure> {
    if let Some(named) = by_scheme(source) {
        return Ok(named);
    }
    if let Some(source) = outside(source)? {
        return Ok(source);
    }
    if source.contains("://") {
        let unknown = format!("--build-context: kiln does not know this kind of source: {source}");
        return Err(Failure::usage(unknown).hint(KINDS));
    }
    let path = Path::new(source);
    if path.is_file() {
        return Ok(ContextSource::Archive(path.to_owned()));
    }
    Ok(ContextSource::Directory(context_folder(path)?))
}

/// What BuildKit or kiln has a scheme of its own for.
fn by_scheme(source: &str) -> Option<ContextSource> {
    let (scheme, rest) = source.split_once(':')?;
    let after_slashes = rest.strip_prefix("//");
    match (scheme, after_slashes.unwrap_or(rest)) {
        ("host-tools", _) => {
            let programs = rest
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty());
            Some(ContextSource::HostTools(
                programs.map(str::to_owned).collect(),
            ))
        }
        // BuildKit reads it with and without slashes
        ("docker-image", "scratch") => Some(ContextSource::Scratch),
        ("docker-image", image) => Some(ContextSource::Image(image.to_owned())),
        ("target", _) => Some(ContextSource::Stage(rest.to_owned())),
        ("oci-layout", layout) => after_slashes.map(|_| oci_layout(layout)),
        _ => None,
    }
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
