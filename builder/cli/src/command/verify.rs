//! `kiln verify`: is an archive whole, and what is in it; without a store.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
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
    /// Archives, first parts of split ones, folders with an OCI layout, or - for standard input
    #[arg(value_name = "ARCHIVE", required = true)]
    archives: Vec<PathBuf>,
    /// Print what was found as JSON: digests, sizes, names, problems
    #[arg(long)]
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
        bad += usize::from(!verified.problems.is_empty());
        if arguments.json {
            documents.push(json!({
                "archive": path.to_string_lossy(),
                "ok": verified.problems.is_empty(),
                "contents": verified,
            }));
        } else {
            print(path, &verified);
        }
    }
    if arguments.json {
        table::line(&format!("{:#}", Value::Array(documents)));
    }
    match bad {
        0 => Ok(()),
        _ => Err(Failure::new(
            Kind::Build,
            format!(
                "{} of {} not sound",
                bad,
                counted(arguments.archives.len(), "archive")
            ),
        )),
    }
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
        "not sound"
    };
    table::line(&format!("{}: {verdict}, {count}", path.display()));
    for image in &verified.images {
        table::line(&format!("  {}", line(image)));
    }
    if !verified.bases.is_empty() {
        table::line(&format!("  needs {}", verified.bases.join(", ")));
    }
    for problem in &verified.problems {
        table::line(&format!(
            "  problem: {}",
            crate::failure::printable(problem, false)
        ));
    }
}

fn line(image: &CheckedImage) -> String {
    let names: Vec<String> = image
        .references
        .iter()
        .map(|name| name.familiar())
        .collect();
    let name = if names.is_empty() {
        "(no name)".to_owned()
    } else {
        names.join(", ")
    };
    let size = image.layers.iter().map(|layer| layer.size).sum();
    let here = image.layers.iter().filter(|layer| layer.present).count();
    let layers = counted(image.layers.len(), "layer");
    let left_out = match image.layers.len() - here {
        0 => String::new(),
        count => format!(" ({count} left out)"),
    };
    format!(
        "{name}  {}  {}  {layers}{left_out}  {}",
        image.platform,
        image.id,
        bytes(size)
    )
}
