//! `--metadata-file`: what was made, with BuildKit's keys. Those about BuildKit's own daemon are not there. Of a result that was
//! pushed the digest is the registry's: scripts pull and sign by it.

use super::{Flag, forget};
use crate::failure::{Failure, Kind};
use crate::output;
use kiln_engine::Built;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct MetadataFile {
    /// Write digests and names of the result to a file, as JSON
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
}

impl Flag for MetadataFile {
    fn begins(&self) -> Result<(), Failure> {
        forget("--metadata-file", self.metadata_file.as_deref())
    }

    fn finished(&self, built: &Built) -> Result<(), Failure> {
        let Some(file) = &self.metadata_file else {
            return Ok(());
        };
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
        let text = format!("{:#}\n", Value::Object(made));
        output::report(file, &text).map_err(|error| {
            let message = format!("--metadata-file {}: {error}", file.display());
            Failure::new(Kind::Environment, message)
        })
    }
}
