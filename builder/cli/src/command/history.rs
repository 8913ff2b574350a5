//! `kiln history`: the instructions that made an image, the newest first, with the bytes of their layers.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::{session, table, units};
use clap::Args;
use kiln_engine::session::seconds;
use kiln_report::history::{Step, steps};
use std::time::SystemTime;

/// Characters of an instruction that are shown unless all are wanted; docker's number.
const WIDTH: usize = 45;

/// Arguments of `kiln history`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Image name or ID
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Whole instructions
    #[arg(long)]
    no_trunc: bool,
}

/// Shows.
///
/// # Errors
/// When the image is not there.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let store = session::store(globals)?;
    let image = store.find_image(&arguments.image)?;
    let steps = steps(&store, &image)
        .map_err(|error| Failure::new(Kind::Environment, error.to_string()))?;
    let now = seconds(SystemTime::now());
    let rows: Vec<Vec<String>> = steps
        .iter()
        .rev()
        .map(|step| row(step, now, arguments.no_trunc))
        .collect();
    table::print(
        &["LAYER", "CREATED", "CREATED BY", "SIZE", "COMMENT"],
        &rows,
    );
    Ok(())
}

fn row(step: &Step, now: i64, whole: bool) -> Vec<String> {
    let created = step
        .created
        .as_deref()
        .and_then(|time| time.parse::<jiff::Timestamp>().ok());
    let mut by: String = step
        .created_by
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    if !whole && by.chars().count() > WIDTH {
        by = by.chars().take(WIDTH - 1).chain(['…']).collect();
    }
    vec![
        step.layer
            .map_or_else(|| "-".to_owned(), |layer| layer.short()),
        created.map_or_else(
            || "unknown".to_owned(),
            |time| units::ago(now - time.as_second()),
        ),
        by,
        units::bytes(step.bytes),
        step.comment.clone(),
    ]
}
