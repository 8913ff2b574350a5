//! `--output` and `--push`: where the result goes besides the store. What the exporters know stands in `kiln_engine::image::export`.

use super::{Flag, source_date_epoch};
use crate::failure::Failure;
use crate::stdout;
use kiln_engine::{Attributes, Request, exporter};
use kiln_parser::csv;
use std::path::{Component, Path};
use std::sync::Arc;

/// The key of all outputs that says the time of the image.
const EPOCH: &str = "source-date-epoch";

#[derive(Debug, clap::Args)]
pub struct Output {
    /// Where the result goes too: FOLDER, - for a tar on standard output, or type=local|tar|oci|docker|image|cacheonly,dest=PATH,…
    /// (may be repeated)
    #[arg(short, long, value_name = "OUTPUT")]
    output: Vec<String>,
    /// Push the image, as --output type=registry
    #[arg(long)]
    push: bool,
}

impl Flag for Output {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let push = self.push.then_some("type=registry");
        for text in self.output.iter().map(String::as_str).chain(push) {
            let wrong = |why: String| Failure::usage(format!("--output {text}: {why}"));
            let mut pairs = pairs(text).map_err(wrong)?;
            if let Some(at) = pairs.iter().position(|(key, _)| key == EPOCH) {
                let (_, time) = pairs.swap_remove(at);
                source_date_epoch::of_output(&time, request)?;
            }
            let made =
                exporter(Attributes::new(pairs)).map_err(|error| wrong(error.to_string()))?;
            request.goal.outputs.push(Arc::from(made));
        }
        Ok(())
    }
}

impl Output {
    /// That standard output is free for an output that wants it, whichever flag says so, and that nothing is deleted where it was
    /// not allowed.
    ///
    /// # Errors
    /// When several want it, or it is a terminal; when a folder to be deleted in is outside of the current one.
    pub fn check(&self, request: &Request, may_delete: bool) -> Result<(), Failure> {
        for folder in request
            .goal
            .outputs
            .iter()
            .filter_map(|out| out.deletes_in())
        {
            if !may_delete && !is_below_current(folder) {
                let message = format!("mode=delete would delete files in {}", folder.display());
                return Err(Failure::usage(message).hint(
                    "that is allowed below the current folder, elsewhere with --allow buildx.local.delete",
                ));
            }
        }
        match request
            .goal
            .outputs
            .iter()
            .filter(|output| output.is_stream())
            .count()
        {
            0 => Ok(()),
            1 if stdout::is_terminal() => {
                Err(Failure::usage("an output is not written to a terminal")
                    .hint("use a pipe, or dest=FILE"))
            }
            1 => Ok(()),
            _ => Err(Failure::usage("only one output can go to standard output")),
        }
    }
}

/// Whether a folder, links resolved as far as it is there, is below the current one.
fn is_below_current(folder: &Path) -> bool {
    let real = |path: &Path| {
        let path = std::path::absolute(path).ok()?;
        let there = path.ancestors().find_map(|part| {
            let rest = path.strip_prefix(part).ok()?;
            Some((std::fs::canonicalize(part).ok()?, rest))
        });
        let (there, rest) = there?;
        let plain = !rest.components().any(|part| part == Component::ParentDir);
        plain.then(|| there.join(rest))
    };
    match (real(folder), real(Path::new("."))) {
        (Some(folder), Some(current)) => folder != current && folder.starts_with(current),
        _ => false,
    }
}

/// `FOLDER` and `-` alone stand for `type=local,dest=FOLDER` and `type=tar,dest=-`.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let fields = csv::fields(text)?;
    match &fields[..] {
        [one] if one == "-" => return Ok(vec![pair("type", "tar"), pair("dest", "-")]),
        [one] if !one.contains('=') => return Ok(vec![pair("type", "local"), pair("dest", one)]),
        _ => {}
    }
    let split = |field: &String| match field.split_once('=') {
        Some((key, value)) => Ok(pair(&key.trim().to_lowercase(), value)),
        None => Err(format!("{field} is not KEY=VALUE")),
    };
    fields.iter().map(split).collect()
}
