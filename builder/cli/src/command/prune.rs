//! `kiln prune`, `kiln image prune`, `kiln builder prune`: removes what no tag and no running build needs, or what is worth
//! least until the store is small enough.

pub mod cache;
pub mod images;

use crate::catalog::{self, Listed};
use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::filter::Filters;
use crate::pflag::Takes;
use crate::{command::rmi, render, session, table, units};
use clap::Args;
use kiln_cache::{PruneOptions, PruneReport, Store};
use kiln_engine::event::{Cancel, Events};
use kiln_engine::seconds;
use std::io::{BufRead, IsTerminal, Write};
use std::time::SystemTime;

const FILTERS: [&str; 4] = ["dangling", "label", "label!", "until"];

/// Arguments of `kiln prune`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Remove images with names too
    #[arg(short, long, add = Takes::Switch)]
    all: bool,
    /// Do not ask before all images are removed; kiln only asks on a terminal
    #[arg(short, long, add = Takes::Switch)]
    force: bool,
    /// Accepted for compatibility with docker: kiln keeps no volumes
    #[arg(long, add = Takes::Switch)]
    volumes: bool,
    /// Remove only what matches: until=TIME (made or used before; 24h means a day ago), label=KEY[=VALUE],
    /// label!=KEY[=VALUE]
    #[arg(long = "filter", value_name = "KEY=VALUE", add = Takes::List)]
    filters: Vec<String>,
    /// Shrink the store below this size, starting with what is cheapest to make again; without it, remove everything
    /// that no image needs
    #[arg(
        long,
        value_name = "SIZE",
        aliases = ["keep-storage", "max-used-space", "reserved-space"],
        add = Takes::Single
    )]
    max_size: Option<String>,
}

impl Arguments {
    fn budget(&self) -> Result<Option<u64>, Failure> {
        let size = self.max_size.as_deref().map(units::parse_bytes);
        size.transpose()
            .map_err(|error| Failure::usage(format!("--max-size: {error}")))
    }
}

/// What a prune looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    Images,
    Cache,
}

/// Prunes images and cache.
///
/// # Errors
/// When the store cannot be changed.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    prune(Scope::All, &arguments, globals)
}

/// Runs inside the namespaces, because views hold files of ids that only exist there.
fn prune(scope: Scope, arguments: &Arguments, globals: &Globals) -> Result<(), Failure> {
    let budget = arguments.budget()?;
    if arguments.volumes {
        render::note("--volumes has no effect: kiln keeps no volumes");
    }
    let takes_images = arguments.all && scope != Scope::Cache;
    if takes_images && !arguments.force && !confirmed()? {
        return Err(Failure::new(Kind::Build, "nothing was removed"));
    }
    let session = session::open_by(
        globals,
        Events::ignored(),
        Cancel::default(),
        Store::open_to_remove,
    )?;
    let now = seconds(SystemTime::now());
    let filters = Filters::parse(&arguments.filters, &FILTERS, &session.store, now)?;
    let looks_at_images = scope != Scope::Cache;
    let mut removed = 0;
    if looks_at_images && (takes_images || !filters.is_empty()) {
        removed = remove_images(&session.store, &filters, takes_images)?;
    }
    let mut report = session.store.garbage().prune(PruneOptions {
        budget,
        images: looks_at_images && filters.is_empty(),
        cache: scope != Scope::Images && !filters.ask_for_labels(),
        used_before: filters.until().filter(|_| scope != Scope::Images),
    })?;
    session.store.settle()?;
    session.store.garbage().hold_room();
    report.images += removed;
    table::line(&summary(&report));
    Ok(())
}

/// Removes the images that fit; those with names only if they are asked for.
fn remove_images(store: &Store, filters: &Filters, with_names: bool) -> Result<u64, Failure> {
    let fits = |listed: &Listed| {
        (with_names || listed.image.references.is_empty()) && filters.admit(listed)
    };
    let images = catalog::all(store)?.into_iter().filter(fits);
    let images: Vec<_> = images.map(|listed| listed.image).collect();
    rmi::whole(store, &images)?;
    Ok(images.len() as u64)
}

/// Asks the user at the terminal; without a terminal the answer is yes, as scripts expect.
fn confirmed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(true);
    }
    let failed = |error: std::io::Error| Failure::new(Kind::Environment, error.to_string());
    let question = b"This removes all images, including those with names. Continue? [y/N] ";
    std::io::stderr().write_all(question).map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn summary(report: &PruneReport) -> String {
    let counts = [
        (report.layers, "layer"),
        (report.views, "view"),
        (report.cache_mounts, "cache mount"),
        (report.records, "record"),
        (report.images, "image"),
        (report.builds, "build"),
    ];
    let removed: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| units::counted(usize::try_from(*count).unwrap_or(usize::MAX), what))
        .collect();
    let removed = if removed.is_empty() {
        "nothing to remove".to_owned()
    } else {
        format!("removed {}", removed.join(", "))
    };
    let (freed, kept) = (units::bytes(report.freed), units::bytes(report.kept));
    format!("{removed}; freed {freed}, the store holds {kept}")
}
