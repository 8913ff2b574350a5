//! `kiln compare`: builds variants of an image, measures them, and shows them side by side; limits make it fail. Unaware of how builds are
//! made and of what the forms look like.

mod baseline;
mod touch;
pub mod variants;
mod work;

use crate::building::Builder;
use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::form::json;
use crate::output;
use crate::pflag::Takes;
use crate::render::{Ending, Shown};
use crate::table;
use crate::units::parse_bytes;
use clap::{Args, ValueEnum};
use kiln_report::compare::gate::{Allowance, Gates};
use kiln_report::compare::page::{self, Picture};
use kiln_report::compare::{Comparison, csv, markdown, table as lines};
use std::ffi::OsString;
use std::path::PathBuf;
use work::Work;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns for a terminal
    Table,
    /// A comment to be posted
    Markdown,
    /// All that was measured; a later run takes it as its --baseline
    Json,
    /// A line for each variant, plain numbers
    Csv,
    /// One page with pictures, for a browser
    Html,
}

/// Arguments of `kiln compare`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Dockerfiles to build, and images: of the store, archives, OCI layouts, docker:NAME, podman:NAME, of a registry
    /// [default: the Dockerfile of the context]
    #[arg(value_name = "VARIANT")]
    variants: Vec<PathBuf>,
    /// Files for COPY and ADD
    #[arg(long, value_name = "DIR", default_value = ".", add = Takes::Single)]
    context: PathBuf,
    /// Stage to build; each makes a variant (may be repeated)
    #[arg(long, value_name = "STAGE", add = Takes::List)]
    target: Vec<String>,
    /// Value of an ARG; a name that is given several times makes a variant for each value (may be repeated)
    #[arg(long, value_name = "NAME=VALUE", add = Takes::List)]
    build_arg: Vec<String>,
    /// Also measure the rebuild after this file of the context changed
    #[arg(long, value_name = "FILE", add = Takes::Single)]
    touch: Option<PathBuf>,
    /// Measure no builds
    #[arg(long, add = Takes::Switch)]
    no_times: bool,
    /// What the variants are measured against: an image, as above, or the JSON of an earlier run
    #[arg(long, value_name = "IMAGE|ARCHIVE|FILE", add = Takes::Single)]
    baseline: Option<String>,
    /// Fail if a variant has more than this beyond the baseline, such as 5MB or 3%
    #[arg(long, value_name = "SIZE|PERCENT", value_parser = allowance, add = Takes::Single)]
    fail_over: Option<Allowance>,
    /// Fail if more than this of a variant is waste
    #[arg(long, value_name = "SIZE|PERCENT", value_parser = allowance, add = Takes::Single)]
    max_waste: Option<Allowance>,
    /// Fail if a variant has more than this, uncompressed
    #[arg(long, value_name = "SIZE", value_parser = size, add = Takes::Single)]
    max_size: Option<Size>,
    /// Count compressed bytes instead of estimating them
    #[arg(long, add = Takes::Switch)]
    exact: bool,
    /// How to show the comparison
    #[arg(long, value_enum, default_value = "table", add = Takes::Single)]
    format: Format,
    /// File to write it to; `-` for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-", add = Takes::Single)]
    output: PathBuf,
    #[command(flatten)]
    shown: Shown,
    /// Flags of `kiln build` for all builds
    #[arg(last = true, value_name = "BUILD FLAGS")]
    build: Vec<OsString>,
}

/// Bytes, given with a unit. It is no number to pflag's rules.
#[derive(Debug, Clone, Copy)]
struct Size(u64);

fn size(text: &str) -> Result<Size, String> {
    parse_bytes(text).map(Size)
}

fn allowance(text: &str) -> Result<Allowance, String> {
    Allowance::read(text, parse_bytes)
}

/// Compares.
///
/// # Errors
/// A variant cannot be built or read, or is beyond a limit.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let ending = Ending::new(arguments.shown.progress(), None, "compare");
    ending.tell(compared(&arguments, globals))
}

fn compared(arguments: &Arguments, globals: &Globals) -> Result<(), Failure> {
    if arguments.fail_over.is_some() && arguments.baseline.is_none() {
        return Err(Failure::usage("--fail-over needs --baseline"));
    }
    let wanted = variants::wanted(arguments)?;
    let globals = variants::globals(&wanted, globals)?;
    let builder = Builder::open(&globals)?;
    let work = Work::new(arguments, &globals, &builder);
    let (compared, pictures) = work.compare(&wanted)?;
    let beyond = arguments.gates().beyond(&compared);
    arguments.print(&arguments.text(&compared, &pictures, &beyond)?)?;
    let failures = beyond.into_iter();
    let failures = failures.map(|text| Failure::new(Kind::Build, text));
    Failure::all(failures.collect())
}

impl Arguments {
    fn gates(&self) -> Gates {
        Gates {
            over: self.fail_over,
            waste: self.max_waste,
            size: self.max_size.map(|Size(bytes)| bytes),
        }
    }

    fn print(&self, text: &str) -> Result<(), Failure> {
        let path = &self.output;
        if path.as_os_str() == "-" {
            table::print_text(text);
            return Ok(());
        }
        let failed =
            |error| Failure::new(Kind::Environment, format!("{}: {error}", path.display()));
        output::report(path, text).map_err(failed)
    }

    /// The comparison in the form that was asked for.
    fn text(
        &self,
        compared: &Comparison,
        pictures: &[Picture],
        beyond: &[String],
    ) -> Result<String, Failure> {
        let internal = |error: serde_json::Error| Failure::new(Kind::Internal, error.to_string());
        Ok(match self.format {
            Format::Table => {
                let causes = lines::causes(compared);
                let head = if causes.is_empty() {
                    ""
                } else {
                    "\nLargest causes\n"
                };
                format!("{}{head}{causes}", table::aligned(&lines::table(compared)))
            }
            Format::Markdown => markdown::markdown(compared, beyond),
            Format::Csv => csv::csv(compared),
            Format::Html => page::page(compared, pictures, beyond).map_err(internal)?,
            Format::Json => json(compared)?,
        })
    }
}
