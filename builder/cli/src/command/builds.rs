//! `kiln builds`: the last builds, the newest first: when they were, what they were of, how they ended, and how much came from the cache.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::listing::{self, Header, Listing};
use crate::pflag::Takes;
use crate::{past, session, units};
use clap::Args;
use kiln_cache::PastBuild;
use kiln_engine::seconds;
use kiln_oci::Digest;
use kiln_template::Value;
use std::time::SystemTime;

/// The fields of a row, by the alphabet.
const HEADERS: [Header; 12] = [
    ("Cached", "CACHED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedSince", "CREATED"),
    ("Dockerfile", "DOCKERFILE"),
    ("Duration", "DURATION"),
    ("Failure", "FAILURE"),
    ("HitRate", "HIT RATE"),
    ("ID", "BUILD ID"),
    ("Image", "IMAGE ID"),
    ("Name", "NAME"),
    ("Project", "PROJECT"),
    ("Result", "RESULT"),
];
const TABLE: &str =
    "{{.ID}}\t{{.Name}}\t{{.CreatedSince}}\t{{.Result}}\t{{.Duration}}\t{{.Cached}}\t{{.HitRate}}";

/// Arguments of `kiln builds`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Show at most so many, the newest first
    #[arg(short = 'n', long, value_name = "NUMBER", add = Takes::Number)]
    last: Option<usize>,
    /// Show only build IDs
    #[arg(short, long, add = Takes::Switch)]
    quiet: bool,
    /// Show whole image IDs
    #[arg(long, add = Takes::Switch)]
    no_trunc: bool,
    /// Show as `table`, `json`, `table TEMPLATE` or TEMPLATE, in docker's template language
    #[arg(long, value_name = "FORMAT", add = Takes::Single)]
    format: Option<String>,
}

/// Lists.
///
/// # Errors
/// When the store cannot be read, or the template cannot be understood.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let default = match arguments.quiet {
        true => "{{.ID}}",
        false => TABLE,
    };
    let format = arguments.format.as_deref();
    let listing = Listing::quiet(format, arguments.quiet, default, &HEADERS)?;
    let store = session::reading(globals)?;
    let now = seconds(SystemTime::now());
    let builds = store.history().builds()?;
    let shown = builds.iter().take(arguments.last.unwrap_or(usize::MAX));
    let rows: Vec<Value> = shown
        .map(|build| listing::row(&HEADERS, row(build, now, arguments.no_trunc)))
        .collect();
    listing.print(&rows)
}

/// The values of [`HEADERS`]. What the build did not get to is empty.
fn row(build: &PastBuild, now: i64, whole: bool) -> [String; HEADERS.len()] {
    let began = build.began_us.div_euclid(1_000_000);
    let image = build.image.as_deref().unwrap_or_default();
    let short = image
        .parse()
        .map_or_else(|_| String::new(), |id: Digest| id.short());
    [
        format!("{}/{}", build.cached, build.steps),
        units::date(began),
        units::ago(now - began),
        on_one_line(&build.file),
        units::duration(build.took_us),
        on_one_line(build.failure.as_deref().unwrap_or_default()),
        rate(build),
        build.id.clone(),
        if whole { image.to_owned() } else { short },
        on_one_line(&past::name(build)),
        on_one_line(build.project.as_deref().unwrap_or_default()),
        build.result.name().to_owned(),
    ]
}

fn rate(build: &PastBuild) -> String {
    match build.steps {
        0 => String::new(),
        steps => units::percent(build.cached as u64, steps as u64),
    }
}

/// A cell is no place for tabs and ends of lines.
fn on_one_line(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}
