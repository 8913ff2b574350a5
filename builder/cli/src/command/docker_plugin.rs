//! `kiln docker-plugin`: makes kiln the program behind `docker build`, `docker buildx` and `docker builder`, and takes it back. Unaware of what
//! the plugin does.
//!
//! docker looks for `docker-buildx` in its folders in turn, and the first one counts. `install` puts a link to this binary into one of them.
//! A plugin that is at that very place is moved aside to `docker-buildx.before-kiln`, and `uninstall` brings it back; what is no plugin is left
//! alone. Folders that `install` makes are listed in `.made-by-kiln` beside the link, so that `uninstall` leaves none behind.

mod alias;

use crate::environment::{Globals, variable};
use crate::failure::{Failure, Kind};
use crate::network::docker_config;
use crate::pflag::Takes;
use crate::{plugin, render, table};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where docker looks after the user's folder, in this order.
const SYSTEM: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];
/// What a plugin at the same place is called meanwhile.
const ASIDE: &str = "docker-buildx.before-kiln";
/// The folders that were made, one a line, outermost first.
const MADE: &str = ".made-by-kiln";

/// Arguments of `kiln docker-plugin`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make `docker build` and `docker buildx` run kiln
    Install(Install),
    /// Give them back to whom they belonged
    Uninstall(Place),
    /// Show which program docker runs
    Status,
}

#[derive(Debug, Args)]
struct Install {
    #[command(flatten)]
    place: Place,
    /// Let docker before 23 run it for `docker build` too, by aliases.builder in its config.json
    #[arg(long, add = Takes::Switch, conflicts_with = "system")]
    alias: bool,
}

#[derive(Debug, Args)]
struct Place {
    /// For this user alone, in the folder of docker's config.json [default]
    #[arg(long, add = Takes::Switch, conflicts_with = "system")]
    user: bool,
    /// For everybody, in /usr/local/lib/docker
    #[arg(long, add = Takes::Switch)]
    system: bool,
}

/// Does it.
///
/// # Errors
/// Something that is no plugin of docker's is at the place, or it cannot be written.
pub fn run(arguments: Arguments, _globals: &Globals) -> Result<(), Failure> {
    match arguments.action {
        Action::Install(how) => {
            let folder = how.place.folder()?;
            install(&folder, how.alias)?;
            match how.alias {
                true => alias::install(&folder, &own()?),
                false => Ok(()),
            }
        }
        Action::Uninstall(place) => {
            let folder = place.folder()?;
            alias::uninstall(&folder)?;
            uninstall(&folder)
        }
        Action::Status => status(),
    }
}

impl Place {
    fn folder(&self) -> Result<PathBuf, Failure> {
        match self.system {
            true => Ok(SYSTEM[0].into()),
            false => of_user().ok_or_else(|| {
                Failure::new(Kind::Environment, "there is no home folder")
                    .hint("set HOME or DOCKER_CONFIG, or use --system")
            }),
        }
    }
}

fn of_user() -> Option<PathBuf> {
    Some(docker_config()?.parent()?.join("cli-plugins"))
}

fn install(folder: &Path, has_alias: bool) -> Result<(), Failure> {
    let (link, kiln) = (folder.join(plugin::NAME), own()?);
    match Found::at(&link) {
        Found::Kiln if fs::read_link(&link).is_ok_and(|target| target == kiln) => {
            render::note(&format!("{} is kiln already", link.display()));
            return Ok(());
        }
        Found::Other(what) => {
            let message = format!("{} is {what}: it is left alone", link.display());
            return Err(environment(message).hint("move it away yourself"));
        }
        Found::Kiln => remove(&link)?,
        Found::Plugin => move_aside(&link)?,
        Found::Nothing => make(folder)?,
    }
    symlink(&kiln, &link).map_err(failed("make", &link))?;
    let runs = "docker build, docker buildx and docker builder run it";
    render::note(&format!("{} is kiln: {runs}", link.display()));
    warn(&link, has_alias);
    Ok(())
}

fn move_aside(link: &Path) -> Result<(), Failure> {
    let aside = link.with_file_name(ASIDE);
    if aside.symlink_metadata().is_ok() {
        let why = "is there already: nothing is moved over it";
        return Err(environment(format!("{} {why}", aside.display())));
    }
    fs::rename(link, &aside).map_err(failed("move", link))
}

fn environment(message: String) -> Failure {
    Failure::new(Kind::Environment, message)
}

/// What else keeps docker from running the link.
fn warn(link: &Path, has_alias: bool) {
    if let Some(first) = first().filter(|first| first != link) {
        render::warning(&format!("docker looks at {} earlier", first.display()));
    }
    if variable("DOCKER_BUILDKIT").is_some_and(|value| matches!(value.as_str(), "0" | "false")) {
        render::warning("DOCKER_BUILDKIT=0 makes docker use its classic builder: unset it");
    }
    if !has_alias && docker_major().is_some_and(|major| major < 23) {
        render::warning(
            "docker before 23 runs plugins only for `docker buildx build`, not for `docker build`: --alias changes that",
        );
    }
}

fn docker_major() -> Option<u32> {
    let told = Command::new("docker")
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    let version = told.strip_prefix("Docker version ")?;
    version.split('.').next()?.parse().ok()
}

fn uninstall(folder: &Path) -> Result<(), Failure> {
    let link = folder.join(plugin::NAME);
    if !matches!(Found::at(&link), Found::Kiln) {
        render::note(&format!("{} is not kiln: nothing to do", link.display()));
        return Ok(());
    }
    remove(&link)?;
    let aside = folder.join(ASIDE);
    if aside.symlink_metadata().is_ok() {
        fs::rename(&aside, &link).map_err(failed("bring back", &link))?;
    }
    unmake(folder)?;
    render::note(&format!("{} is kiln no more", link.display()));
    Ok(())
}

fn status() -> Result<(), Failure> {
    let kind = |path: &Path| match Found::at(path) {
        Found::Kiln => "kiln".to_owned(),
        Found::Plugin => "a plugin".to_owned(),
        Found::Other(what) => what,
        Found::Nothing => "nothing".to_owned(),
    };
    match first() {
        Some(first) => table::line(&format!(
            "docker runs {}: {}",
            first.display(),
            kind(&first)
        )),
        None => table::line("docker has no plugin for docker build"),
    }
    let others = places().into_iter().map(|folder| folder.join(plugin::NAME));
    let others = others.filter(|place| place.exists() && first().as_ref() != Some(place));
    others
        .for_each(|place| table::line(&format!("behind it {}: {}", place.display(), kind(&place))));
    Ok(())
}

/// Where docker looks, in this order.
fn places() -> Vec<PathBuf> {
    let configured = docker_config().and_then(|file| fs::read(file).ok());
    let configured: Option<Value> =
        configured.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let extra = configured
        .as_ref()
        .and_then(|value| value.get("cliPluginsExtraDirs")?.as_array());
    let extra = extra
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(PathBuf::from);
    extra
        .chain(of_user())
        .chain(SYSTEM.map(PathBuf::from))
        .collect()
}

/// The program that docker runs; a link that leads nowhere is as if it were absent.
fn first() -> Option<PathBuf> {
    let mut places = places().into_iter().map(|folder| folder.join(plugin::NAME));
    places.find(|place| place.is_file())
}

/// What is at the plugin's place.
enum Found {
    Nothing,
    /// A link to this binary, or to another kiln.
    Kiln,
    /// What answers docker's question as a plugin.
    Plugin,
    /// Something else, in words.
    Other(String),
}

impl Found {
    fn at(link: &Path) -> Self {
        let Ok(metadata) = link.symlink_metadata() else {
            return Found::Nothing;
        };
        let target = fs::read_link(link).unwrap_or_default();
        let is_own = own().is_ok_and(|own| target == own);
        if metadata.is_symlink() && (is_own || target.file_name() == Some("kiln".as_ref())) {
            return Found::Kiln;
        }
        match vendor(link) {
            Some(vendor) if vendor == "kiln" && metadata.is_symlink() => Found::Kiln,
            Some(_) => Found::Plugin,
            None if metadata.is_dir() => Found::Other("a folder".to_owned()),
            None => Found::Other("no plugin of docker's".to_owned()),
        }
    }
}

/// Who made a plugin, as it says itself.
fn vendor(link: &Path) -> Option<String> {
    let mut asked = Command::new(link);
    asked.arg("docker-cli-plugin-metadata");
    asked.stdin(Stdio::null()).stderr(Stdio::null());
    let told = asked.output().ok().filter(|told| told.status.success())?;
    let told: Value = serde_json::from_slice(&told.stdout).ok()?;
    told.get("SchemaVersion")?.as_str()?;
    Some(told.get("Vendor")?.as_str()?.to_owned())
}

fn own() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().and_then(fs::canonicalize);
    own.map_err(|error| {
        Failure::new(
            Kind::Environment,
            format!("cannot find this binary: {error}"),
        )
    })
}

/// Makes a folder, and notes which ones were not there.
fn make(folder: &Path) -> Result<(), Failure> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|folder| !folder.exists())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(failed("make", folder))?;
    let lines = missing
        .iter()
        .rev()
        .map(|folder| format!("{}\n", folder.display()));
    let made = folder.join(MADE);
    fs::write(&made, lines.collect::<String>()).map_err(failed("write", &made))
}

/// Removes the folders that were made, as far as nothing else is in them.
fn unmake(folder: &Path) -> Result<(), Failure> {
    let note = folder.join(MADE);
    let made = match fs::read_to_string(&note) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        read => read.map_err(failed("read", &note))?,
    };
    let others = fs::read_dir(folder)
        .map_err(failed("read", folder))?
        .count();
    if others > 1 {
        return Ok(());
    }
    remove(&note)?;
    let inner_first = made
        .lines()
        .rev()
        .map(Path::new)
        .filter(|made| folder.starts_with(made));
    let gone = inner_first
        .take_while(|made| fs::remove_dir(made).is_ok())
        .count();
    tracing::debug!(gone, "folders of the plugin");
    Ok(())
}

fn remove(path: &Path) -> Result<(), Failure> {
    fs::remove_file(path).map_err(failed("remove", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    move |error| {
        Failure::new(
            Kind::Environment,
            format!("cannot {action} {}: {error}", path.display()),
        )
    }
}
