//! `kiln size`: what an image's bytes are, by class, layer and instruction, and what of them is known to be of no use.

mod document;
mod gate;
mod html;
mod markdown;
mod table;
mod tree;

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::listing::Listing;
use crate::pflag::Takes;
use crate::source::{Found, Named};
use crate::table::{line, print_text};
use crate::weigh::Weighed;
use crate::{catalog, session, stdout};
use clap::Args;
use kiln_report::classify::Class;
use kiln_report::compressed::{Compressed, Effort};
use kiln_report::history::Step;
use kiln_report::waste::{Waste, known};
use std::path::PathBuf;

/// What stands for an instruction that the image does not tell.
const UNKNOWN: &str = "(no history)";
/// Columns that are filled where no terminal says how many it has.
const WIDTH: usize = 120;

/// Arguments of `kiln size`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    image: Named,
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
    weighed: Weighed,
    waste: Vec<Waste>,
}

/// Shows.
///
/// # Errors
/// The image cannot be read, or does not keep a limit.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    arguments.folders.check(arguments.tree)?;
    let format = arguments.format.as_deref().map(str::trim);
    if arguments.dive_compat || arguments.dive_ci.is_some() {
        return of_dive(&arguments, format, globals);
    }
    let found = find(&arguments, globals)?;
    if arguments.tree {
        return tree::show(&found.image, &arguments.folders, format);
    }
    let report = Report::new(Weighed::new(globals, found, arguments.effort())?);
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

/// Shows the numbers of dive, and demands its limits.
fn of_dive(arguments: &Arguments, format: Option<&str>, globals: &Globals) -> Result<(), Failure> {
    if format.is_some_and(|format| format != "table") {
        let message = "--dive-compat and --dive-ci have no --format";
        return Err(Failure::usage(message));
    }
    let limits = arguments.dive_ci.as_deref().map(gate::Limits::read);
    let limits = limits.transpose()?;
    let found = find(arguments, globals)?;
    gate::run(&found.image, arguments.dive_compat, limits)
}

fn html(report: &Report) -> Result<String, Failure> {
    let html = html::page(report).html();
    html.map_err(|error| Failure::new(Kind::Internal, error.to_string()))
}

fn find(arguments: &Arguments, globals: &Globals) -> Result<Found, Failure> {
    let mut found = arguments.image.find(globals, arguments.effort())?;
    if let Some(name) = &arguments.base {
        let store = session::reading(globals)?;
        let base = catalog::find(&store, name)?.diff_ids;
        let layers = found.image.layers.iter().map(|layer| layer.index.diff_id);
        found.image.base = layers
            .zip(&base)
            .take_while(|(own, base)| own == *base)
            .count();
        if found.image.base < base.len() {
            let message = format!("{} is not built on {name}", found.name);
            return Err(Failure::usage(message));
        }
    }
    Ok(found)
}

impl Report {
    fn new(weighed: Weighed) -> Self {
        Report {
            waste: known(&weighed.image, &weighed.classified),
            weighed,
        }
    }

    /// The step that made a layer.
    fn maker(&self, layer: usize) -> Option<&Step> {
        let mut steps = self.weighed.steps.iter();
        steps.find(|step| step.position == Some(layer))
    }

    /// The instruction that made a layer, on one line. From outside: not printable as it is.
    fn instruction(&self, layer: usize) -> String {
        let text = self.maker(layer).map(Step::on_one_line);
        let told = text.filter(|text| !text.is_empty());
        told.unwrap_or_else(|| UNKNOWN.to_owned())
    }

    /// The same with its place before it.
    fn placed(&self, layer: usize) -> String {
        let place = self.maker(layer).and_then(Step::place);
        let place = place.map_or_else(String::new, |place| place + " ");
        place + &self.instruction(layer)
    }

    /// Bytes of layers: uncompressed, and compressed.
    fn sum(&self, layers: std::ops::Range<usize>) -> (u64, Compressed) {
        let mut compressed = Compressed::default();
        for layer in &self.weighed.compressed[layers.clone()] {
            compressed += *layer;
        }
        let layers = &self.weighed.image.layers[layers];
        (
            layers.iter().map(|layer| layer.index.tar_size).sum(),
            compressed,
        )
    }

    /// Files of a class.
    fn files(&self, class: Class) -> usize {
        let layers = self.weighed.classified.layers.iter();
        let fates = layers.flat_map(|layer| &layer.fates);
        fates
            .filter(|fate| fate.class == class && fate.bytes > 0)
            .count()
    }
}
