//! `kiln fsck`: is everything in the store what its name says?

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::pflag::Takes;
use crate::{session, table, units};
use clap::Args;
use kiln_cache::Store;
use kiln_cache::fsck::Finding;
use kiln_cache::rebuild::Rebuilt;
use kiln_engine::event::{Cancel, Events};
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
    let findings = session.store.fsck(arguments.repair)?;
    for finding in &findings {
        table::line(&describe(finding));
    }
    let count = units::counted(findings.len(), "finding");
    if findings.is_empty() {
        table::line("clean");
    } else if arguments.repair {
        table::line(&format!("{count} repaired"));
    } else {
        return Err(Failure::new(Kind::Environment, count)
            .hint("`kiln fsck --repair` removes what is damaged; the next build makes it again"));
    }
    Ok(())
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
