//! `kiln diff`: what two images differ in: files, layers, settings, history, packages.

mod document;
mod sections;

use crate::command::blame::Format;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::pflag::Takes;
use crate::source::{self, Found, Wanted};
use crate::steps::steps;
use crate::table::{line, print_text};
use crate::{sheet, steps};
use clap::Args;
use kiln_oci::Platform;
use kiln_report::compressed::Effort;
use kiln_report::diff::config::{Setting, settings};
use kiln_report::diff::history::{StepChange, history};
use kiln_report::diff::layers::{LayerChanges, layers};
use kiln_report::diff::{FileChanges, files};
use kiln_report::history::Step;
use kiln_report::packages::{PackageChange, Unread, packages};

/// Arguments of `kiln diff`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The first image: of the store, an archive or a folder (PATH#NAME for one of several), docker:NAME, podman:NAME, image of a
    /// registry, or - for an archive on standard input
    #[arg(value_name = "A")]
    old: String,
    /// The second image
    #[arg(value_name = "B")]
    new: String,
    /// Platform of the images, if they have several
    #[arg(long, value_name = "OS/ARCH", add = Takes::Single)]
    platform: Option<Platform>,
    /// Show as a table, as JSON (all of it) or as Markdown
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table", add = Takes::Single)]
    format: Format,
    /// How many components of a path make a folder that is summed up
    #[arg(long, value_name = "NUMBER", default_value_t = 2, add = Takes::Number)]
    depth: usize,
    /// How many folders, and how many files, are listed, the largest first; 0 is all
    #[arg(long, value_name = "NUMBER", default_value_t = 20, add = Takes::Number)]
    top: usize,
    /// Show whole instructions
    #[arg(long, add = Takes::Switch)]
    no_trunc: bool,
}

/// One of the images.
#[derive(Debug)]
struct Subject {
    found: Found,
    steps: Vec<Step>,
}

/// All that differs.
#[derive(Debug)]
struct Report {
    old: Subject,
    new: Subject,
    files: FileChanges,
    layers: LayerChanges,
    settings: Vec<Setting>,
    history: Vec<StepChange>,
    packages: Vec<PackageChange>,
    unread: Vec<Unread>,
}

/// Shows.
///
/// # Errors
/// An image cannot be read.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    if arguments.old == "-" && arguments.new == "-" {
        return Err(Failure::usage(
            "only one of the images can come from standard input",
        ));
    }
    let report = Report::new(&arguments, globals)?;
    match arguments.format {
        Format::Table => print_text(&sheet::columns(&sections::all(&report, &arguments))),
        Format::Markdown => print_text(&sheet::markdown(&sections::all(&report, &arguments))),
        Format::Json => line(&format!("{:#}", document::document(&report).to_json())),
    }
    Ok(())
}

impl Report {
    fn new(arguments: &Arguments, globals: &Globals) -> Result<Self, Failure> {
        let (old, new) = (&arguments.old, &arguments.new);
        let [old, new] = [old, new].map(|name| Subject::find(name, arguments, globals));
        let (old, new) = (old?, new?);
        let images = (&old.found.image, &new.found.image);
        let files = files(images.0, images.1);
        let stores = [&old, &new].map(|subject| subject.found.store.as_ref());
        let (packages, unread) = packages(images.0, images.1, &files, stores);
        Ok(Report {
            layers: layers(images.0, images.1, &files),
            settings: settings(&images.0.config, &images.1.config),
            history: history(&old.steps, &new.steps),
            packages,
            unread,
            files,
            old,
            new,
        })
    }
}

impl Subject {
    fn find(name: &str, arguments: &Arguments, globals: &Globals) -> Result<Self, Failure> {
        let wanted = Wanted {
            name,
            platform: arguments.platform.as_ref(),
            effort: Effort::Estimate,
        };
        let found = source::find(globals, wanted)?;
        let steps = steps(globals, &found)?;
        Ok(Subject { found, steps })
    }

    /// The step that made a layer.
    fn maker(&self, layer: usize) -> Option<&Step> {
        steps::of_layers(&self.steps).get(layer).copied()
    }
}
