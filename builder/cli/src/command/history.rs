//! `kiln history`: the instructions that made an image, the newest first, with their lines in the Dockerfile, the bytes of their
//! layers, and what of these is wasted.

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::listing::{self, Header, Listing};
use crate::pflag::Takes;
use crate::{catalog, session, units};
use clap::{ArgAction, Args};
use kiln_cache::{Store, StoredImage};
use kiln_engine::seconds;
use kiln_oci::{Digest, Platform};
use kiln_report::classify::classify;
use kiln_report::history::{Step, steps};
use kiln_report::image;
use kiln_template::Value;
use std::time::SystemTime;

/// Characters of an instruction that are shown unless all are wanted; docker's number.
const WIDTH: usize = 45;
/// Docker's fields, `Layer`, `Line` and `Waste`, by the alphabet.
const FIELDS: [Header; 9] = [
    ("Comment", "COMMENT"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("CreatedSince", "CREATED"),
    ("ID", "IMAGE"),
    ("Layer", "LAYER"),
    ("Line", "LINE"),
    ("Size", "SIZE"),
    ("Waste", "WASTE"),
];
const TABLE: &str =
    "{{.Layer}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Line}}\t{{.Size}}\t{{.Waste}}\t{{.Comment}}";
const TABLE_OF_NUMBERS: &str =
    "{{.Layer}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Line}}\t{{.Size}}\t{{.Waste}}\t{{.Comment}}";

/// Arguments of `kiln history`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Image name or ID
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Show whole instructions and digests
    #[arg(long, add = Takes::Switch)]
    no_trunc: bool,
    /// Show readable sizes and ages; --human=false shows bytes and times
    #[arg(short = 'H', long, action = ArgAction::SetFalse, add = Takes::Switch)]
    human: bool,
    /// Show only image IDs; steps before the last one have none
    #[arg(short, long, add = Takes::Switch)]
    quiet: bool,
    /// Platform of the image, if it has several
    #[arg(long, value_name = "OS/ARCH", add = Takes::Single)]
    platform: Option<Platform>,
    /// Show as `table`, `json`, `table TEMPLATE` or TEMPLATE, in docker's template language
    #[arg(long, value_name = "FORMAT", add = Takes::Single)]
    format: Option<String>,
}

/// Shows.
///
/// # Errors
/// When the image is not there.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let default = match (arguments.quiet, arguments.human) {
        (true, _) => "{{.ID}}",
        (_, true) => TABLE,
        (_, false) => TABLE_OF_NUMBERS,
    };
    let format = arguments.format.as_deref();
    let listing = Listing::quiet(format, arguments.quiet, default, &FIELDS)?;
    let store = session::reading(globals)?;
    let image = catalog::find_for(&store, &arguments.image, arguments.platform.as_ref())?;
    let steps = steps(&store, &image);
    let steps = steps.map_err(|error| Failure::new(Kind::Environment, error.to_string()))?;
    let mut waste = match listing::shows(format, arguments.quiet, "Waste") {
        true => waste(&store, &image).unwrap_or_default(),
        false => Vec::new(),
    };
    let now = seconds(SystemTime::now());
    let newest = steps.iter().rev().enumerate().map(|(at, step)| {
        let id = (at == 0).then_some(&image.config_digest);
        let waste = step.layer.and_then(|_| waste.pop());
        row(step, id, waste, now, &arguments)
    });
    listing.print(&newest.collect::<Vec<Value>>())
}

/// What of each layer is wasted, the lowest first; `None` while a layer has never been here.
fn waste(store: &Store, image: &StoredImage) -> Option<Vec<u64>> {
    let image = image::stored(store, image).ok()?;
    let classified = classify(&image.layers);
    let layers = classified.layers.iter();
    Some(layers.map(|layer| layer.classes.waste()).collect())
}

fn row(
    step: &Step,
    id: Option<&Digest>,
    waste: Option<u64>,
    now: i64,
    arguments: &Arguments,
) -> Value {
    let digest = |digest: &Digest| match arguments.no_trunc {
        true => digest.to_string(),
        false => digest.short(),
    };
    let created = step.created.as_deref().and_then(catalog::seconds);
    let size = |bytes: u64| match arguments.human {
        true => units::bytes(bytes),
        false => bytes.to_string(),
    };
    let values = [
        step.comment.clone(),
        created.map_or_else(String::new, kiln_engine::rfc3339),
        instruction(&step.created_by, arguments.no_trunc),
        created.map_or_else(|| "N/A".to_owned(), |time| units::ago(now - time)),
        id.map_or_else(|| "<missing>".to_owned(), digest),
        step.layer.as_ref().map_or_else(|| "-".to_owned(), digest),
        step.place()
            .map_or_else(String::new, |place| on_one_line(&place)),
        size(step.bytes),
        waste.map_or_else(|| "-".to_owned(), size),
    ];
    listing::row(&FIELDS, values)
}

/// Whatever else stands in it is shown as it is.
fn on_one_line(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

fn instruction(text: &str, whole: bool) -> String {
    let text = on_one_line(text);
    if whole || text.chars().count() <= WIDTH {
        return text;
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}
