//! `kiln prune`, `kiln image prune`, `kiln builder prune`: removes what no tag and no running build needs, all of it or until the
//! store is small enough. In which order things go is written in `cache/src/prune/order.rs`.

pub mod cache;
pub mod containers;
pub mod images;

use crate::catalog::{self, Listed};
use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::filter::{CACHE_FILTERS, Filters};
use crate::pflag::Takes;
use crate::{command::rmi, render, session, table, units};
use clap::Args;
use jiff::Timestamp;
use kiln_cache::{Disk, ImageSummary, PruneOptions, PruneReport, Space, Store};
use kiln_engine::event::{Cancel, Events};
use std::io::{BufRead, IsTerminal, Write};

const IMAGE_FILTERS: [&str; 5] = ["dangling", "label", "label!", "until", "unused-for"];

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
    /// label!=KEY[=VALUE], type=regular, source.local or exec.cachemount, id=ID, inuse=false
    #[arg(long = "filter", value_name = "KEY=VALUE", add = Takes::List)]
    filters: Vec<String>,
    /// Shrink the store to this size (5GB, or 25% of the disk), starting with what is cheapest to make again; without any
    /// size, remove everything that no image needs
    #[arg(
        long,
        value_name = "SIZE",
        env = "KILN_MAX_STORE_SIZE",
        hide_env_values = true,
        alias = "max-used-space",
        add = Takes::Single
    )]
    max_size: Option<String>,
    /// Remove no more than it takes to have so much of the disk free (20GB or 10%)
    #[arg(
        long,
        value_name = "SIZE",
        env = "KILN_MIN_FREE_SPACE",
        hide_env_values = true,
        add = Takes::Single
    )]
    min_free_space: Option<String>,
    /// Keep so much of what no image needs (1GB, or 2% of the disk), the dearest and latest
    #[arg(
        long,
        value_name = "SIZE",
        env = "KILN_RESERVED_SPACE",
        hide_env_values = true,
        alias = "keep-storage",
        add = Takes::Single
    )]
    reserved_space: Option<String>,
    /// Remove nothing: only tell what would go
    #[arg(long, add = Takes::Switch)]
    dry_run: bool,
}

impl Arguments {
    /// What the sizes say, on this disk.
    fn limits(&self, disk: Option<Disk>) -> Result<PruneOptions, Failure> {
        let wrong = |flag: &str, why: String| Failure::usage(format!("{flag}: {why}"));
        let bytes = |flag: &str, size: &Option<String>| {
            let space = size.as_deref().map(units::parse_space).transpose();
            let space = space.map_err(|why| wrong(flag, why))?;
            space.map_or(Ok(None), |space| match (space, disk) {
                (Space::Bytes(bytes), _) => Ok(Some(bytes)),
                (part, Some(disk)) => Ok(Some(part.bytes(disk))),
                (_, None) => Err(wrong(flag, "the size of the disk is not known".to_owned())),
            })
        };
        Ok(PruneOptions {
            budget: bytes("--max-size", &self.max_size)?,
            min_free: bytes("--min-free-space", &self.min_free_space)?,
            reserved: bytes("--reserved-space", &self.reserved_space)?.unwrap_or(0),
            dry_run: self.dry_run,
            ..PruneOptions::default()
        })
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
    let limits = arguments.limits(Disk::of(&globals.store()?))?;
    if arguments.volumes {
        render::note("--volumes has no effect: kiln keeps no volumes");
    }
    let takes_images = arguments.all && scope != Scope::Cache;
    if takes_images && !arguments.force && !arguments.dry_run {
        confirm("all images, including those with names")?;
    }
    let (events, cancel) = (Events::ignored(), Cancel::default());
    let session = session::open_by(globals, events, cancel, Store::open_to_remove)?;
    let store = &session.store;
    let report = pruned(store, scope, arguments, limits)?;
    store.settle()?;
    store.garbage().hold_room();
    table::line(&summary(&report, arguments.dry_run));
    Ok(())
}

fn pruned(
    store: &Store,
    scope: Scope,
    arguments: &Arguments,
    limits: PruneOptions,
) -> Result<PruneReport, Failure> {
    let takes_images = arguments.all;
    let filters = Filters::parse(&arguments.filters, &scope.filters(), store)?;
    let images = match scope != Scope::Cache && (takes_images || filters.ask_for_images()) {
        true => fitting(store, &filters, takes_images)?,
        false => Vec::new(),
    };
    // when things were used is known in seconds
    let until = filters.until().map(Timestamp::as_second);
    let mut without = Vec::new();
    match arguments.dry_run {
        true => without = rmi::whole_named(&images),
        false => rmi::whole(store, &images)?,
    }
    let mut report = store.garbage().prune(PruneOptions {
        images: scope != Scope::Cache && filters.is_empty(),
        cache: scope != Scope::Images && !filters.ask_for_labels(),
        used_before: until.filter(|_| scope != Scope::Images),
        kinds: filters.cache_kinds(),
        ids: filters.ids(),
        without,
        ..limits
    })?;
    report.images += images.len() as u64;
    Ok(report)
}

impl Scope {
    fn filters(self) -> Vec<&'static str> {
        match self {
            Scope::Images => IMAGE_FILTERS.to_vec(),
            Scope::All | Scope::Cache => [&IMAGE_FILTERS[..], &CACHE_FILTERS].concat(),
        }
    }
}

/// The images that fit; those with names only if they are asked for.
fn fitting(
    store: &Store,
    filters: &Filters,
    with_names: bool,
) -> Result<Vec<ImageSummary>, Failure> {
    let fits = |listed: &Listed| {
        (with_names || listed.image.references.is_empty()) && filters.admit(listed)
    };
    let images = catalog::all(store)?.into_iter().filter(fits);
    Ok(images.map(|listed| listed.image).collect())
}

/// Asks the user at the terminal; without a terminal the answer is yes, as scripts expect.
fn confirm(what: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(());
    }
    let failed = |error: std::io::Error| Failure::new(Kind::Environment, error.to_string());
    let question = format!("This removes {what}. Continue? [y/N] ");
    std::io::stderr()
        .write_all(question.as_bytes())
        .map_err(failed)?;
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(failed)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new(Kind::Build, "nothing was removed")),
    }
}

/// What went, or would.
fn summary(report: &PruneReport, dry_run: bool) -> String {
    let counts = [
        (report.layers, "layer"),
        (report.views, "view"),
        (report.cache_mounts, "cache mount"),
        (report.records, "record"),
        (report.images, "image"),
        (report.builds, "build"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counted =
        |count: u64, what| units::counted(usize::try_from(count).unwrap_or(usize::MAX), what);
    let things: Vec<String> = counts.map(|(count, what)| counted(*count, what)).collect();
    let (things, freed, kept) = (
        things.join(", "),
        units::bytes(report.freed),
        units::bytes(report.kept),
    );
    match (things.is_empty(), dry_run) {
        (true, false) => format!("nothing to remove; freed {freed}, the store holds {kept}"),
        (true, true) => format!("nothing to remove; would free {freed}, the store holds {kept}"),
        (false, false) => format!("removed {things}; freed {freed}, the store holds {kept}"),
        (false, true) => format!("would remove {things}; would free {freed}, and hold {kept}"),
    }
}
