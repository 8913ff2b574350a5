//! `kiln fsck`: is everything in the store what its name says?

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::{containers, session, table, units};
use clap::Args;
use kiln_cache::Store;
use kiln_cache::fsck::Finding;
use kiln_cache::rebuild::Rebuilt;
use kiln_engine::event::{Cancel, Events};
use kiln_engine::trial::{self, Flaw, What};
use kiln_oci::Reference;

/// Arguments of `kiln fsck`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Remove what is damaged, and rebuild what can be rebuilt
    #[arg(long, add = Takes::Switch)]
    repair: bool,
}

/// Checks.
///
/// # Errors
/// When something is wrong, unless it was repaired.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let mut rebuilt = None;
    let open = |options| match arguments.repair {
        false => Store::open(options),
        true => {
            let (store, made) = Store::open_or_rebuild(options)?;
            rebuilt = made;
            Ok(store)
        }
    };
    let session = session::open_by(globals, Events::ignored(), Cancel::default(), open)?;
    if let Some(rebuilt) = &rebuilt {
        tell(rebuilt);
    }
    // before what is damaged goes
    let flaws = trial::check(&session.store, arguments.repair).map_err(containers::failure)?;
    let findings = session.store.fsck(arguments.repair)?;
    let lines = findings.iter().map(describe).chain(flaws.iter().map(told));
    lines.for_each(|line| table::line(&line));
    let left = flaws.iter().filter(|flaw| !flaw.is_mended).count();
    judged(arguments.repair, findings.len() + flaws.len(), left)
}

/// What is said at the end; some findings are beyond repair.
fn judged(repairs: bool, count: usize, left: usize) -> Result<(), Failure> {
    let counted = units::counted(count, "finding");
    match (repairs, count, left) {
        (_, 0, _) => table::line("clean"),
        (true, _, 0) => table::line(&format!("{counted} repaired")),
        (true, _, _) => {
            let message = format!("{counted}, of which {left} cannot be repaired");
            let failure = Failure::new(Kind::Environment, message);
            return Err(failure.hint("remove the folder of a container that is of no use"));
        }
        (false, _, _) => {
            let failure = Failure::new(Kind::Environment, counted);
            return Err(failure.hint(
                "`kiln fsck --repair` removes what is damaged; the next build makes it again",
            ));
        }
    }
    Ok(())
}

/// What is wrong with a container, and what became of it.
fn told(flaw: &Flaw) -> String {
    let (wrong, mended) = match &flaw.what {
        What::Record => (
            "what it is cannot be read".to_owned(),
            "it is a shell without a name now, on its layers and with what it has changed",
        ),
        What::Foreign => ("another kiln has written what it is".to_owned(), ""),
        What::Layers => (
            "on which layers it stands cannot be read".to_owned(),
            "it stands on those that it was made on",
        ),
        What::Both { changes } => (
            format!(
                "neither what it is can be read nor on which layers it stands; what it has changed is in {}",
                changes.display()
            ),
            "that is nothing, and it is removed",
        ),
        What::Lost(layer) => (format!("its layer {layer} is missing"), ""),
    };
    match flaw.is_mended {
        true => format!("container {}: {wrong}: {mended}", flaw.id),
        false => format!("container {}: {wrong}", flaw.id),
    }
}

/// What became of a store whose database was lost.
fn tell(rebuilt: &Rebuilt) {
    for id in rebuilt.images.iter().chain(&rebuilt.indexes) {
        table::line(&format!("{id}: restored, without a name"));
    }
    let images = units::counted(rebuilt.images.len(), "image");
    table::line(&format!(
        "the database was unreadable and has been rebuilt: {images} came back by ID; all names and results of steps are lost"
    ));
    if let Some(old) = &rebuilt.old {
        table::line(&format!("the old database is {}", old.display()));
    }
    if !rebuilt.images.is_empty() {
        table::line("`kiln tag ID NAME` gives an image a name again");
    }
}

fn describe(finding: &Finding) -> String {
    match finding {
        Finding::CorruptBlob(digest) => {
            format!("blob {digest}: its content has a different digest")
        }
        Finding::MissingBlob(digest) => format!("blob {digest}: is missing"),
        Finding::BadIndex(digest) => format!("layer {digest}: its index does not match its tar"),
        Finding::BadView(id_map, digest) => {
            format!("view {id_map}/{}: does not match its layer", digest.hex())
        }
        Finding::WrongType(path) => format!("{}: is not a regular file", path.display()),
        Finding::Unknown(path) => format!("{}: does not belong to the store", path.display()),
        Finding::BrokenImage(digest, names) => {
            let names: String = names
                .iter()
                .map(|name| format!(" ({})", familiar(name)))
                .collect();
            format!("image {digest}{names}: its config or a layer is missing")
        }
        Finding::DanglingTag(name) => format!("name {name}: its image is missing"),
    }
}

/// A name as people write it.
fn familiar(name: &str) -> String {
    Reference::parse(name).map_or_else(|_| name.to_owned(), |parsed| parsed.familiar())
}
