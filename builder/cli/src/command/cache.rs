//! `kiln cache`: shared caches outside of builds. `export` and `import` move cache mounts; results go with builds (`--cache-to`). `prune` keeps a
//! place of caches to a size.

use crate::environment::Globals;
use crate::failure::{Failure, Fault, Kind};
use crate::flag::cache::place;
use crate::pflag::Takes;
use crate::render::Shown;
use crate::{network, table, transfer, units};
use clap::{Args, Subcommand};
use kiln_engine::cache::{MovedMount, export_all, import_all, prune};
use kiln_engine::event::{Cancel, Events};
use kiln_engine::{BackendError, Session, chain_of_causes};
use std::collections::BTreeSet;

/// Arguments of `kiln cache`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Export cache mounts of the store to a shared cache
    Export(Move),
    /// Import the cache mounts of a shared cache, for builds that name it with --cache-from
    Import(Move),
    /// Remove the caches of a folder, bucket or repository that were written longest ago
    Prune(Prune),
}

#[derive(Debug, Args)]
struct Prune {
    /// What all caches there may have in all, such as 20GB
    #[arg(long, value_name = "SIZE", add = Takes::Single)]
    max_size: String,
    /// The place, as --cache-to describes it; caches of all names in it count
    #[arg(value_name = "CACHE")]
    cache: String,
}

#[derive(Debug, Args)]
struct Move {
    /// Move cache mounts: all, or those with these IDs
    #[arg(
        long,
        value_name = "ID;ID",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        required = true,
        add = Takes::Optional
    )]
    mounts: String,
    /// The cache, as --cache-to (for export) or --cache-from (for import) describe it
    #[arg(value_name = "CACHE")]
    cache: String,
    #[command(flatten)]
    shown: Shown,
}

/// Moves.
///
/// # Errors
/// The cache cannot be read or written.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    match arguments.command {
        Command::Export(export) => export.run(globals, "exporting", |session, export| {
            let to = place(&export.cache, &[("mounts", &export.mounts)])?;
            export_all(session, &to).map_err(|error| failure(&error))
        }),
        Command::Import(import) => import.run(globals, "importing", |session, import| {
            let from = place(&import.cache, &[])?;
            let ids: BTreeSet<String> = import.mounts.split(';').map(str::to_owned).collect();
            let ids = Some(&ids).filter(|_| import.mounts != "true");
            import_all(session, &from, ids).map_err(|error| failure(&error))
        }),
        Command::Prune(arguments) => arguments.run(globals),
    }
}

impl Prune {
    fn run(&self, globals: &Globals) -> Result<(), Failure> {
        let wrong = |wrong: String| Failure::usage(format!("--max-size: {wrong}"));
        let most = units::parse_bytes(&self.max_size).map_err(wrong)?;
        let place = place(&self.cache, &[])?;
        let remote = network::remote(globals, &Events::ignored(), &Cancel::default())?;
        let shrunk = prune(&remote, &place, most).map_err(|error| failure(&error))?;
        for name in &shrunk.removed {
            table::line(&format!("removed {name}"));
        }
        let [freed, kept] = [shrunk.freed, shrunk.kept].map(units::bytes);
        table::line(&format!("freed {freed}, the caches hold {kept}"));
        Ok(())
    }
}

impl Move {
    fn run(
        &self,
        globals: &Globals,
        verb: &str,
        work: impl FnOnce(&Session, &Self) -> Result<Vec<MovedMount>, Failure>,
    ) -> Result<(), Failure> {
        let progress = self.shown.progress();
        let ending = transfer::ending(progress);
        ending.tell(
            transfer::in_session(globals, (progress, verb), |session| work(session, self)).map(
                |moved| {
                    for mount in moved.iter().filter(|_| !self.shown.quiet) {
                        table::line(&format!("{}: {}", mount.id, units::bytes(mount.bytes)));
                    }
                },
            ),
        )
    }
}

fn failure(error: &BackendError) -> Failure {
    let kind = match error {
        BackendError::Options(_) => Kind::Usage,
        _ => Kind::Build,
    };
    let failure = Failure::new(kind, chain_of_causes(error)).hints(error.hint());
    failure.for_fault(Fault::among(error))
}
