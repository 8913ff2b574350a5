//! Containers that people name, and what to say where nothing can be done with one. Unaware of what is done with it.

use crate::failure::{Failure, Kind, step};
use crate::{render, table};
use kiln_cache::Store;
use kiln_engine::chain_of_causes;
use kiln_engine::trial::{self, ContainerError, Kept, KeptError, Line};
use std::io;

/// The container with this name or ID.
///
/// # Errors
/// There is none.
pub fn find(store: &Store, name: &str) -> Result<Kept, Failure> {
    trial::find(store, name).map_err(failure)
}

/// The same, if there is one.
///
/// # Errors
/// It cannot be read.
pub fn known(store: &Store, name: &str) -> Result<Option<Kept>, Failure> {
    match trial::find(store, name) {
        Ok(kept) => Ok(Some(kept)),
        Err(KeptError::NoSuch(_)) => Ok(None),
        Err(error) => Err(failure(error)),
    }
}

/// All containers, the latest first. Those that cannot be read are warned about.
///
/// # Errors
/// The store cannot be read.
pub fn all(store: &Store) -> Result<Vec<Kept>, Failure> {
    let (all, damaged) = trial::list(store).map_err(failure)?;
    for error in damaged {
        render::warning(&failure(error).messages.join("; "));
    }
    Ok(all)
}

/// A line to the process that runs it.
///
/// # Errors
/// None does.
pub fn line(store: &Store, kept: &Kept) -> Result<Line, Failure> {
    Line::to(store, kept).map_err(failure)
}

/// Does something with each, and says which ones that was done with. One that fails keeps no other waiting.
///
/// # Errors
/// Those of `act`, all of them.
pub fn each(
    names: &[String],
    mut act: impl FnMut(&str) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let mut failures = Vec::new();
    for name in names {
        match act(name) {
            Ok(said) => table::line(&said),
            Err(failure) => failures.push(failure),
        }
    }
    Failure::all(failures)
}

/// Does something with each, where what is done says itself with which. One that fails keeps no other waiting.
///
/// # Errors
/// Those of `act`, all of them.
pub fn each_by_itself(
    names: &[String],
    act: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let failed = names.iter().map(String::as_str).map(act);
    Failure::all(failed.filter_map(Result::err).collect())
}

/// What is said of a container that cannot run, or of which nothing can be made.
pub fn of_container(error: ContainerError) -> Failure {
    match error {
        ContainerError::Limit(error) => Failure::usage(error.to_string()),
        ContainerError::Start(error) => step::container(&error),
        ContainerError::Keep(error) => error.into(),
        ContainerError::Change(error) => Failure::usage(chain_of_causes(&error)),
        ContainerError::Kept(error) => failure(error),
        ContainerError::Store(error) => error.into(),
    }
}

/// Whether somebody has named a file that is not there, or is not what it has to be.
fn kind_of(error: &io::Error) -> Kind {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, IsADirectory, NotADirectory, NotFound};
    match error.kind() {
        AlreadyExists | DirectoryNotEmpty | IsADirectory | NotADirectory | NotFound => Kind::Build,
        _ => Kind::Environment,
    }
}

/// What is said of an error.
pub fn failure(error: KeptError) -> Failure {
    let text = error.to_string();
    let of = |kind| Failure::new(kind, text.clone());
    match error {
        KeptError::NoSuch(_) => of(Kind::Build).hint("`kiln ps -a` lists containers"),
        KeptError::Several { .. } => of(Kind::Build).hint("write more of the ID"),
        KeptError::NameTaken { .. } => {
            of(Kind::Build).hint("choose another name, or remove that one with `kiln rm`")
        }
        KeptError::Runs(name) => of(Kind::Build).hint(format!(
            "`kiln stop {name}` stops it, `kiln rm -f {name}` removes it all the same"
        )),
        KeptError::DoesNotRun(name) => {
            of(Kind::Build).hint(format!("`kiln start {name}` starts it again"))
        }
        KeptError::Refused(_) => of(Kind::Build),
        KeptError::Damaged { .. } => {
            of(Kind::Environment).hint("remove the folder of the container if it is of no use")
        }
        KeptError::Io { source, .. } => Failure::new(kind_of(&source), format!("{text}: {source}")),
        KeptError::Store(error) => error.into(),
    }
}
