//! `kiln ps`: containers, the latest first; those that run, or all.

mod filter;

use crate::command::inspect::containers::network;
use crate::command::run::ports;
use crate::environment::Globals;
use crate::failure::Failure;
use crate::listing::{self, Header, Listing};
use crate::pflag::Takes;
use crate::{containers, session, units};
use clap::Args;
use filter::Filters;
use kiln_engine::seconds;
use kiln_engine::trial::{Kept, Status};
use kiln_template::Value;
use std::time::SystemTime;

/// The fields of a row, by the alphabet.
const HEADERS: [Header; 13] = [
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Labels", "LABELS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Mounts", "MOUNTS"),
    ("Names", "NAMES"),
    ("Networks", "NETWORKS"),
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
    /// Show only containers that match: name=EXPRESSION, id=EXPRESSION, status=created, running or exited, exited=CODE, ancestor=IMAGE,
    /// before=CONTAINER, since=CONTAINER (may be repeated)
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
    let store = session::reading(globals)?;
    let filters = Filters::read(&arguments.filters, &store)?;
    let last = arguments.last.or(arguments.latest.then_some(1));
    let shows_all = arguments.all || last.is_some() || filters.ask_for_all();
    let kept = containers::all(&store)?;
    let shown = kept.iter().filter(|kept| shows_all || kept.runs());
    let shown = shown.filter(|kept| filters.admit(kept));
    let now = seconds(SystemTime::now());
    let shown = shown.take(last.unwrap_or(usize::MAX));
    let rows: Vec<Value> = shown
        .map(|kept| listing::row(&HEADERS, row(kept, now, arguments.no_trunc)))
        .collect();
    listing.print(&rows)
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
    let volumes = draft.container.options.volumes.iter();
    let sources = volumes.map(|volume| volume.source.display().to_string());
    let sources: Vec<String> = sources.collect();
    let created = draft.created_us.div_euclid(1_000_000);
    [
        format!("{:?}", command(kept, whole)),
        units::date(created),
        kept.record.id.clone(),
        draft.image.clone(),
        String::new(),
        "0".to_owned(),
        sources.join(","),
        draft.name.clone().unwrap_or_default(),
        network(&draft.container).to_owned(),
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
