//! `kiln builds`: the last builds, the newest first: when they were, what they were of, how they ended, and how much came from the cache.

use crate::environment::Globals;
use crate::failure::Failure;
use crate::listing::{self, Header, Listing};
use crate::pflag::Takes;
use crate::{moment, past, session, units};
use clap::Args;
use jiff::Timestamp;
use kiln_cache::{Ending, PastBuild};
use kiln_engine::seconds;
use kiln_oci::Digest;
use kiln_parser::glob;
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
    /// Show only builds that match: name=PATTERN (of the image, or the Dockerfile), result=built, failed or stopped,
    /// since=TIME, until=TIME (24h means a day ago)
    #[arg(short, long = "filter", value_name = "KEY=VALUE", add = Takes::List)]
    filters: Vec<String>,
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
    let filters = arguments.filters.iter().map(|text| Filter::read(text));
    let filters = filters.collect::<Result<Vec<_>, _>>()?;
    let builds = store.history().builds()?;
    let shown = builds.iter().filter(|build| Filter::all(&filters, build));
    let shown = shown.take(arguments.last.unwrap_or(usize::MAX));
    let rows: Vec<Value> = shown
        .map(|build| listing::row(&HEADERS, row(build, now, arguments.no_trunc)))
        .collect();
    listing.print(&rows)
}

/// A condition on builds.
#[derive(Debug)]
enum Filter {
    /// What people call it fits a pattern.
    Name(String),
    Result(Ending),
    /// It began at this time or later, in microseconds since 1970.
    Since(i64),
    /// It began before.
    Until(i64),
}

impl Filter {
    fn read(text: &str) -> Result<Self, Failure> {
        let wrong = |wanted: &str| Failure::usage(format!("--filter {text}: expected {wanted}"));
        let (key, value) = text.split_once('=').ok_or_else(|| wrong("KEY=VALUE"))?;
        let time = || {
            let read = moment::read(value).ok_or_else(|| wrong("a time such as 24h or 2026-01-31"));
            read.map(Timestamp::as_microsecond)
        };
        Ok(match key.trim() {
            "name" => {
                glob::check(value).map_err(|_| wrong("a pattern"))?;
                Self::Name(value.to_owned())
            }
            "result" => {
                let mut all = [Ending::Built, Ending::Failed, Ending::Stopped].into_iter();
                let found = all.find(|ending| ending.name() == value);
                Self::Result(found.ok_or_else(|| wrong("built, failed or stopped"))?)
            }
            "since" => Self::Since(time()?),
            "until" => Self::Until(time()?),
            _ => return Err(wrong("one of name, result, since, until")),
        })
    }

    fn admits(&self, build: &PastBuild) -> bool {
        match self {
            Self::Name(pattern) => past::is_called_like(build, pattern),
            Self::Result(ending) => build.result == *ending,
            Self::Since(time) => build.began_us >= *time,
            Self::Until(time) => build.began_us < *time,
        }
    }

    /// Whether a build meets all conditions; of several of one kind, one.
    fn all(filters: &[Self], build: &PastBuild) -> bool {
        filters.iter().all(|filter| {
            let kind = std::mem::discriminant(filter);
            let mut same = filters
                .iter()
                .filter(|other| std::mem::discriminant(*other) == kind);
            same.any(|filter| filter.admits(build))
        })
    }
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
