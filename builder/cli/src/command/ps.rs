//! `kiln ps`: containers, the latest first; those that run, or all.

use crate::command::run::ports;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::listing::{self, Header, Listing};
use crate::pflag::Takes;
use crate::{containers, session, units};
use clap::Args;
use kiln_engine::seconds;
use kiln_engine::trial::{Kept, Status};
use kiln_parser::glob;
use kiln_template::Value;
use std::time::SystemTime;

/// The fields of a row, by the alphabet.
const HEADERS: [Header; 9] = [
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Names", "NAMES"),
    ("Ports", "PORTS"),
    ("RunningFor", "CREATED"),
    ("State", "STATE"),
    ("Status", "STATUS"),
];
const TABLE: &str =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
/// Letters of a command that are shown; docker's number.
const SHORT: usize = 20;

/// Arguments of `kiln ps`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Show those that do not run too
    #[arg(short, long, add = Takes::Switch)]
    all: bool,
    /// Show only IDs
    #[arg(short, long, add = Takes::Switch)]
    quiet: bool,
    /// Show the latest so many, whether they run or not
    #[arg(short = 'n', long, value_name = "NUMBER", add = Takes::Number)]
    last: Option<usize>,
    /// Show the latest, whether it runs or not
    #[arg(short, long, add = Takes::Switch)]
    latest: bool,
    /// Show only containers that match: name=PATTERN, status=created, running or exited
    #[arg(short, long = "filter", value_name = "KEY=VALUE", add = Takes::List)]
    filters: Vec<String>,
    /// Show whole commands
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
    let quiet = arguments.quiet;
    let default = if quiet { "{{.ID}}" } else { TABLE };
    let format = arguments.format.as_deref();
    let listing = Listing::quiet(format, quiet, default, &HEADERS)?;
    let filters = arguments.filters.iter().map(|text| Filter::read(text));
    let filters = filters.collect::<Result<Vec<_>, _>>()?;
    let store = session::reading(globals)?;
    let last = arguments.last.or(arguments.latest.then_some(1));
    let by_status = filters
        .iter()
        .any(|filter| matches!(filter, Filter::Status(_)));
    let shows_all = arguments.all || last.is_some() || by_status;
    let kept = containers::all(&store)?;
    let shown = kept.iter().filter(|kept| shows_all || kept.runs());
    let shown = shown.filter(|kept| filters.iter().all(|filter| filter.admits(kept)));
    let now = seconds(SystemTime::now());
    let shown = shown.take(last.unwrap_or(usize::MAX));
    let rows: Vec<Value> = shown
        .map(|kept| listing::row(&HEADERS, row(kept, now, arguments.no_trunc)))
        .collect();
    listing.print(&rows)
}

/// A condition on containers.
#[derive(Debug)]
enum Filter {
    Name(String),
    Status(String),
}

impl Filter {
    fn read(text: &str) -> Result<Self, Failure> {
        let wrong = |wanted: &str| Failure::usage(format!("--filter {text}: expected {wanted}"));
        let (key, value) = text.split_once('=').ok_or_else(|| wrong("KEY=VALUE"))?;
        match key.trim() {
            "name" => {
                glob::check(value).map_err(|_| wrong("a pattern"))?;
                Ok(Self::Name(value.to_owned()))
            }
            "status" if ["created", "running", "exited"].contains(&value) => {
                Ok(Self::Status(value.to_owned()))
            }
            "status" => Err(wrong("created, running or exited")),
            _ => Err(wrong("one of name, status")),
        }
    }

    fn admits(&self, kept: &Kept) -> bool {
        match self {
            Self::Name(pattern) => {
                let name = kept.record.draft.name.as_deref().unwrap_or_default();
                // docker's finds parts of names
                name.contains(pattern) || glob::matches(pattern, name).unwrap_or(false)
            }
            Self::Status(status) => state(kept) == status,
        }
    }
}

fn state(kept: &Kept) -> &'static str {
    match kept.status {
        Status::Created => "created",
        Status::Running(_) => "running",
        Status::Exited(..) => "exited",
    }
}

/// The values of [`HEADERS`].
fn row(kept: &Kept, now: i64, whole: bool) -> [String; HEADERS.len()] {
    let draft = &kept.record.draft;
    let ports: Vec<String> = draft.container.ports.iter().map(ports::shown).collect();
    let created = draft.created_us.div_euclid(1_000_000);
    [
        format!("{:?}", command(kept, whole)),
        units::date(created),
        kept.record.id.clone(),
        draft.image.clone(),
        draft.name.clone().unwrap_or_default(),
        ports.join(", "),
        units::ago(now - created),
        state(kept).to_owned(),
        status(kept.status, now),
    ]
}

fn command(kept: &Kept, whole: bool) -> String {
    let command = kept.record.draft.container.argv.join(" ");
    if whole || command.chars().count() <= SHORT {
        return command;
    }
    let short: String = command.chars().take(SHORT - 1).collect();
    format!("{short}…")
}

fn status(status: Status, now: i64) -> String {
    let since = |time: i64| units::ago(now - time);
    match status {
        Status::Created => "Created".to_owned(),
        Status::Running(began) => format!("Up {}", since(began).trim_end_matches(" ago")),
        Status::Exited(Some(at), code) => format!("Exited ({code}) {}", since(at)),
        Status::Exited(None, code) => format!("Exited ({code})"),
    }
}
