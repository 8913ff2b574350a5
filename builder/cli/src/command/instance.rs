//! buildx's verbs for builder instances: kiln has one, which is this machine, and needs none to be made. Scripts that make one go on working; a
//! name that they made is known until they remove it. Unaware of builds.
//!
//! Names are empty files in the folder `kiln-builders` beside docker's config.json. What is printed has the form that CI actions read
//! (buildx 0.30, `commands/inspect.go`, `commands/ls.go`).

pub mod create;
pub mod inspect;
pub mod ls;
pub mod refused;
pub mod rm;
pub mod select;
pub mod stop;
pub mod version;

use crate::daemon;
use crate::failure::{Failure, Kind};
use crate::network::docker_config;
use std::fs;
use std::path::PathBuf;

/// The builder that is always there.
const DEFAULT: &str = "default";
/// What is said to scripts that manage one.
const NEEDLESS: &str = "kiln needs no builder instance: it builds in this process";

/// The file that stands for a name.
fn file(name: &str) -> Result<PathBuf, Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.starts_with(['.', '-']) || name.is_empty() || !name.chars().all(is_plain) {
        let message = format!("{name:?} is no name of a builder: letters, digits, - and _ are");
        return Err(Failure::usage(message));
    }
    let config = docker_config().and_then(|file| Some(file.parent()?.join("kiln-builders")));
    let none = || {
        Failure::new(
            Kind::Environment,
            "there is no home folder to remember a builder in",
        )
    };
    Ok(config.ok_or_else(none)?.join(name))
}

/// The builders that are known: those that were made, and that of docker's context.
fn known() -> Vec<String> {
    let folder = file(DEFAULT)
        .ok()
        .and_then(|file| Some(file.parent()?.to_owned()));
    let entries = folder.and_then(|folder| fs::read_dir(folder).ok());
    let made = entries.into_iter().flatten().flatten();
    let mut names: Vec<String> = made
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.push(DEFAULT.to_owned());
    names.extend(daemon::context());
    names.sort();
    names.dedup();
    names
}

/// The builder of this name; without one the default.
fn named(name: Option<&String>) -> Result<String, Failure> {
    let name = name.map_or(DEFAULT, String::as_str);
    match known().iter().any(|known| known == name) {
        true => Ok(name.to_owned()),
        false => Err(Failure::new(
            Kind::Build,
            format!("no builder {name:?} found"),
        )),
    }
}
