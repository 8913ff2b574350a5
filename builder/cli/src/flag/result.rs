//! Files that say what was built: `--iidfile` (docker's image ID), `--digest-file` (the digest under which registries know the image, as
//! kaniko writes it) and `--metadata-file` (both and more, with BuildKit's keys, but for those about BuildKit's own daemon).

use super::Flag;
use super::context::Source;
use crate::failure::{Failure, Kind};
use crate::output;
use crate::pflag::Takes;
use kiln_engine::Built;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Write the image ID to a file
    #[arg(long, value_name = "FILE", add = Takes::Single)]
    iidfile: Option<PathBuf>,
    /// Write digests and names of the result to a file, as JSON
    #[arg(long, value_name = "FILE", add = Takes::Single)]
    metadata_file: Option<PathBuf>,
    /// Write the digest of the manifest or index to a file; of an image that is pushed, the registry's
    #[arg(long, value_name = "FILE", add = Takes::Single)]
    digest_file: Option<PathBuf>,
}

impl Flag for Flags {
    fn begins(&self, _source: &Source) -> Result<(), Failure> {
        self.files()
            .try_for_each(|(flag, file, _)| forget(flag, file))
    }

    fn finished(&self, built: &Built) -> Result<(), Failure> {
        for (flag, file, text) in self.files() {
            output::report(file, &text(built)).map_err(|error| failed(flag, file, &error))?;
        }
        Ok(())
    }
}

/// What a file says of a build.
type Text = fn(&Built) -> String;

impl Flags {
    /// The files that were asked for, with their flags.
    fn files(&self) -> impl Iterator<Item = (&'static str, &Path, Text)> {
        let all: [(_, &Option<PathBuf>, Text); 3] = [
            ("--iidfile", &self.iidfile, |built| {
                built.loaded.unwrap_or(built.id).to_string()
            }),
            ("--metadata-file", &self.metadata_file, |built| {
                format!("{:#}\n", metadata(built))
            }),
            ("--digest-file", &self.digest_file, digest),
        ];
        all.into_iter()
            .filter_map(|(flag, file, text)| Some((flag, file.as_deref()?, text)))
    }
}

/// Of a result that was pushed the digest is the registry's, as below.
fn digest(built: &Built) -> String {
    let pushed = built.pushed.as_ref();
    pushed
        .map_or(built.manifest, |pushed| pushed.digest)
        .to_string()
}

/// What `--metadata-file` says of a result. Of one that was pushed the digest is the registry's: scripts pull and sign by it.
pub fn metadata(built: &Built) -> Value {
    let mut made = Map::new();
    // an index has no config
    if built.id != built.manifest {
        made.insert("containerimage.config.digest".to_owned(), json!(built.id));
    }
    let descriptor = built.pushed.as_ref().unwrap_or(&built.descriptor);
    made.insert("containerimage.descriptor".to_owned(), json!(descriptor));
    made.insert("containerimage.digest".to_owned(), json!(descriptor.digest));
    if !built.names.is_empty() {
        made.insert("image.name".to_owned(), json!(built.names.join(",")));
    }
    Value::Object(made)
}

/// The file of an older build goes before the build, as in docker: one that fails leaves nothing that tells of an older one. Pipes and
/// devices stay.
fn forget(flag: &str, file: &Path) -> Result<(), Failure> {
    if !file.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return Ok(());
    }
    std::fs::remove_file(file).map_err(|error| failed(flag, file, &error))
}

fn failed(flag: &str, file: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Kind::Environment,
        format!("{flag} {}: {error}", file.display()),
    )
}
