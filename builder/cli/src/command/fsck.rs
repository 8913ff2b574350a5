//! `kiln fsck`: is everything in the store what its name says?

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
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
    /// Drop what is damaged and rebuild what can be
    #[arg(long)]
    repair: bool,
}

/// Checks.
///
/// # Errors
/// When something is wrong, unless it was repaired.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let mut rebuilt = None;
    let open = |options| {
        if !arguments.repair {
            return Store::open(options);
        }
        let (store, made) = Store::open_or_rebuild(options)?;
        rebuilt = made;
        Ok(store)
    };
    let session = session::open_by(globals, Events::ignored(), Cancel::default(), open)?;
    if let Some(rebuilt) = &rebuilt {
        tell(rebuilt);
    }
    let findings = session.store.fsck(arguments.repair)?;
    for finding in &findings {
        table::line(&describe(finding));
    }
    match (findings.len(), arguments.repair) {
        (0, _) => table::line("clean"),
        (count, true) => table::line(&format!("{} repaired", units::counted(count, "finding"))),
        (count, false) => {
            let failure = Failure::new(Kind::Environment, units::counted(count, "finding"));
            return Err(failure.hint(
                "`kiln fsck --repair` drops what is damaged; the next build makes it again",
            ));
        }
    }
    Ok(())
}

/// What became of a store whose database was lost.
fn tell(rebuilt: &Rebuilt) {
    for id in rebuilt.images.iter().chain(&rebuilt.indexes) {
        table::line(&format!("{id}: is back, without a name"));
    }
    let images = units::counted(rebuilt.images.len(), "image");
    table::line(&format!(
        "the database could not be read and was made anew: {images} came back by ID; all names and the results of steps are lost"
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
        Finding::CorruptBlob(digest) => format!("blob {digest}: its bytes have another digest"),
        Finding::MissingBlob(digest) => format!("blob {digest}: is not there"),
        Finding::BadIndex(digest) => format!("layer {digest}: its index is not what its tar says"),
        Finding::BadView(id_map, digest) => {
            format!("view {id_map}/{}: is not what its layer says", digest.hex())
        }
        Finding::WrongType(path) => format!("{}: is no regular file", path.display()),
        Finding::Unknown(path) => format!("{}: belongs to nothing", path.display()),
        Finding::BrokenImage(digest, names) => {
            let names: String = names
                .iter()
                .map(|name| format!(" ({})", familiar(name)))
                .collect();
            format!("image {digest}{names}: its config or a layer is not there")
        }
        Finding::DanglingTag(name) => format!("name {name}: points to no image"),
    }
}

/// A name as people write it.
fn familiar(name: &str) -> String {
    Reference::parse(name).map_or_else(|_| name.to_owned(), |parsed| parsed.familiar())
}
