//! `kiln size`: what an image's bytes are, by class, layer and instruction, and what of them is known to be of no use.

mod document;
mod gate;
mod html;
mod lines;
mod markdown;
mod table;
mod tree;

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::listing::Listing;
use crate::pflag::Takes;
use crate::source::{self, Found, Wanted};
use crate::table::{line, print_text};
use crate::{catalog, session, stdout};
use clap::Args;
use kiln_cache::{BuildRecord, try_parallel};
use kiln_oci::Platform;
use kiln_report::classify::{Class, Classified, classify};
use kiln_report::compressed::{Compressed, Effort};
use kiln_report::history::record;
use kiln_report::image::{Image, compressed};
use kiln_report::stages;
use kiln_report::waste::{Waste, known};
use lines::Instruction;
use std::path::PathBuf;

/// Columns that are filled where no terminal says how many it has.
const WIDTH: usize = 120;

/// Arguments of `kiln size`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Image of the store, archive or folder (PATH#NAME for one of several), docker:NAME, podman:NAME, image of a registry, or - for an
    /// archive on standard input
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Platform of the image, if it has several
    #[arg(long, value_name = "OS/ARCH", add = Takes::Single)]
    platform: Option<Platform>,
    /// Show as `table`, `json`, `markdown`, `html` (one page with pictures), or a TEMPLATE in docker's template language
    #[arg(long, value_name = "FORMAT", add = Takes::Single)]
    format: Option<String>,
    /// Compress the layers instead of estimating compressed sizes
    #[arg(long, add = Takes::Switch)]
    exact: bool,
    /// Image that this one is built on; its layers are told apart from the own ones [default: the one that the store knows]
    #[arg(long, value_name = "IMAGE", add = Takes::Single)]
    base: Option<String>,
    /// Show folders by the bytes that all layers have in them
    #[arg(long, add = Takes::Switch)]
    tree: bool,
    #[command(flatten)]
    folders: tree::Folders,
    /// Show the numbers of dive as dive computes them
    #[arg(long, add = Takes::Switch)]
    dive_compat: bool,
    /// Fail unless the image keeps the limits of dive's file, such as .dive-ci
    #[arg(long, value_name = "FILE", add = Takes::Single)]
    dive_ci: Option<PathBuf>,
    /// Show whole instructions
    #[arg(long, add = Takes::Switch)]
    no_trunc: bool,
}

/// An image and all that is said of it.
#[derive(Debug)]
struct Report {
    /// How it is called.
    name: String,
    image: Image,
    classified: Classified,
    /// Of each layer.
    compressed: Vec<Compressed>,
    waste: Vec<Waste>,
    /// Which lines made it.
    record: BuildRecord,
    /// Of each layer, the instruction that made it.
    instructions: Vec<Instruction>,
}

/// Shows.
///
/// # Errors
/// The image cannot be read, or does not keep a limit.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    arguments.folders.check(arguments.tree)?;
    let limits = arguments.dive_ci.as_deref().map(gate::Limits::read);
    let limits = limits.transpose()?;
    let found = find(&arguments, globals)?;
    if arguments.dive_compat || limits.is_some() {
        return gate::run(&found.image, arguments.dive_compat, limits);
    }
    let format = arguments.format.as_deref().map(str::trim);
    if arguments.tree {
        return tree::show(&found.image, &arguments.folders, format);
    }
    let report = Report::new(found, arguments.effort())?;
    match format {
        None | Some("table") => print_text(&table::table(&report, arguments.width())),
        Some("markdown") => stdout::print(markdown::markdown(&report).as_bytes()),
        Some("html") => stdout::print(html(&report)?.as_bytes()),
        Some("json") => line(&format!("{:#}", document::document(&report).to_json())),
        Some(template) => {
            return Listing::new(Some(template), "", &[])?.print(&[document::document(&report)]);
        }
    }
    Ok(())
}

impl Arguments {
    const fn effort(&self) -> Effort {
        match self.exact {
            true => Effort::Exact,
            false => Effort::Estimate,
        }
    }

    /// Columns that may be filled.
    fn width(&self) -> usize {
        match self.no_trunc {
            true => usize::MAX,
            false => stdout::width().unwrap_or(WIDTH),
        }
    }
}

fn html(report: &Report) -> Result<String, Failure> {
    let html = html::page(report).html();
    html.map_err(|error| Failure::new(Kind::Internal, error.to_string()))
}

fn find(arguments: &Arguments, globals: &Globals) -> Result<Found, Failure> {
    let wanted = Wanted {
        name: &arguments.image,
        platform: arguments.platform.as_ref(),
        effort: arguments.effort(),
    };
    let mut found = source::find(globals, wanted)?;
    if let Some(name) = &arguments.base {
        let store = session::reading(globals)?;
        let base = catalog::find(&store, name)?.diff_ids;
        let layers = found.image.layers.iter().map(|layer| layer.index.diff_id);
        found.image.base = layers
            .zip(&base)
            .take_while(|(own, base)| own == *base)
            .count();
        if found.image.base < base.len() {
            let message = format!("{} is not built on {name}", arguments.image);
            return Err(Failure::usage(message));
        }
    }
    Ok(found)
}

impl Report {
    fn new(found: Found, effort: Effort) -> Result<Self, Failure> {
        let Found { name, image, store } = found;
        let classified = classify(&image.layers);
        let record = match &store {
            Some(store) => record(store, &image.id, &image.config)?,
            None => BuildRecord::of_label(&image.config).unwrap_or_default(),
        };
        // one that is compressed whole has all cores
        let at_once = match effort {
            Effort::Estimate => std::thread::available_parallelism().map_or(1, usize::from),
            Effort::Exact => 1,
        };
        let compressed = try_parallel(&image.layers, at_once, |layer| {
            compressed(layer, store.as_ref(), effort)
        })?;
        Ok(Report {
            waste: known(&image, &classified),
            instructions: lines::instructions(&image, &record),
            record,
            compressed,
            name,
            image,
            classified,
        })
    }

    /// Bytes of layers: uncompressed, and compressed.
    fn sum(&self, layers: std::ops::Range<usize>) -> (u64, Compressed) {
        let mut compressed = Compressed::default();
        for layer in &self.compressed[layers.clone()] {
            compressed += *layer;
        }
        let layers = &self.image.layers[layers];
        (
            layers.iter().map(|layer| layer.index.tar_size).sum(),
            compressed,
        )
    }

    /// Where the steps of the record begin that are not the base's.
    fn own_steps(&self) -> usize {
        let first = stages::entries_of(&self.image, self.image.base);
        self.record.steps.partition_point(|step| step.at < first)
    }

    /// Files of a class.
    fn files(&self, class: Class) -> usize {
        let layers = self.classified.layers.iter();
        let fates = layers.flat_map(|layer| &layer.fates);
        fates
            .filter(|fate| fate.class == class && fate.bytes > 0)
            .count()
    }
}
