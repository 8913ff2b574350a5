//! `kiln fsck`: is everything in the store what its name says?

use crate::environment::Globals;
use crate::failure::{Failure, Kind};
use crate::{session, table, units};
use clap::Args;
use kiln_cache::fsck::Finding;
use kiln_engine::cancel::Cancel;
use kiln_engine::event::Events;

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
    let session = session::open(globals, Events::ignored(), Cancel::default())?;
    let mut findings = session.store.fsck(arguments.repair)?;
    // Garbage, not damage: the next build sweeps it.
    findings.retain(|finding| !matches!(finding, Finding::Leftover(_)));
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

fn describe(finding: &Finding) -> String {
    match finding {
        Finding::CorruptBlob(digest) => format!("blob {digest}: its bytes have another digest"),
        Finding::MissingBlob(digest) => format!("blob {digest}: is not there"),
        Finding::BadIndex(digest) => {
            format!("layer {digest}: its index is missing or is not what its tar says")
        }
        Finding::Unknown(path) => format!("{}: belongs to nothing", path.display()),
        Finding::DanglingRecord(digest) => format!("record {digest}: its layer is not there"),
        Finding::BrokenImage(digest) => {
            format!("image {digest}: its config or a layer is not there")
        }
        Finding::DanglingTag(name) => format!("name {name}: points to no image"),
        Finding::Leftover(path) => format!("{}: scratch of a process that is gone", path.display()),
    }
}
