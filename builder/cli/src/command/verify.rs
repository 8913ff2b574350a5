//! `kiln verify`: is an archive whole, and what is in it; without a store.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::printable::printable;
use crate::table;
use crate::units::{bytes, counted};
use clap::Args;
use kiln_engine::archive::{self, CheckedImage, Verified};
use kiln_oci::archive::{Input, damaged_part};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Arguments of `kiln verify`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Archives, first parts of split archives, folders with an OCI layout, or - for standard input
    #[arg(value_name = "ARCHIVE", required = true)]
    archives: Vec<PathBuf>,
    /// Print the result as JSON: digests, sizes, names, problems
    #[arg(long, add = Takes::Switch)]
    json: bool,
}

/// Verifies.
///
/// # Errors
/// When an archive has a problem.
pub fn run(arguments: Arguments, _: &Globals) -> Result<(), Failure> {
    let mut documents: Vec<Value> = Vec::new();
    let mut bad = 0;
    for path in &arguments.archives {
        let verified = check(path);
        let is_ok = verified.problems.is_empty();
        bad += usize::from(!is_ok);
        if arguments.json {
            let archive = path.to_string_lossy();
            documents.push(json!({ "archive": archive, "ok": is_ok, "contents": verified }));
        } else {
            print(path, &verified);
        }
    }
    if arguments.json {
        table::line(&format!("{:#}", Value::Array(documents)));
    }
    if bad == 0 {
        return Ok(());
    }
    let all = counted(arguments.archives.len(), "archive");
    Err(Failure::new(Kind::Build, format!("{bad} of {all} damaged")))
}

fn check(path: &Path) -> Verified {
    if path.as_os_str() == "-" {
        return archive::verify(Input::Stream(Box::new(std::io::stdin())));
    }
    let mut verified = archive::verify(Input::File(path));
    if let Some(part) = damaged_part(path) {
        let part = part.to_string();
        if !verified.problems.contains(&part) {
            verified.problems.insert(0, part);
        }
    }
    verified
}

fn print(path: &Path, verified: &Verified) {
    let count = counted(verified.images.len(), "image");
    let verdict = if verified.problems.is_empty() {
        "ok"
    } else {
        "damaged"
    };
    table::line(&format!("{}: {verdict}, {count}", path.display()));
    for image in &verified.images {
        table::line(&format!("  {}", line(image)));
    }
    if !verified.bases.is_empty() {
        table::line(&format!("  needs {}", verified.bases.join(", ")));
    }
    for problem in &verified.problems {
        table::line(&format!("  problem: {}", printable(problem, false)));
    }
}

fn line(image: &CheckedImage) -> String {
    let names: Vec<String> = image
        .references
        .iter()
        .map(|name| name.familiar())
        .collect();
    let name = match names.is_empty() {
        true => "(no name)".to_owned(),
        false => names.join(", "),
    };
    let size = bytes(image.layers.iter().map(|layer| layer.size).sum());
    let absent = image.layers.iter().filter(|layer| !layer.present).count();
    let layers = counted(image.layers.len(), "layer");
    let left_out = match absent {
        0 => String::new(),
        count => format!(" ({count} left out)"),
    };
    let (platform, id) = (&image.platform, &image.id);
    format!("{name}  {platform}  {id}  {layers}{left_out}  {size}")
}
