//! `--output`, `--push` and `--load`: where the result goes besides the store. What the exporters know stands in `kiln_engine::image::export`.

use super::{Flag, Setup, source_date_epoch};
use crate::daemon::{self, Engine};
use crate::failure::Failure;
use crate::pflag::{Takes, boolean};
use crate::{plugin, stdout};
use kiln_engine::{Attributes, Request, exporter};
use kiln_parser::csv;
use std::path::{Component, Path};
use std::str::FromStr;
use std::sync::Arc;

/// The key of all outputs that says the time of the image.
const EPOCH: &str = "source-date-epoch";

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Also write the result to FOLDER, to - (a tar on standard output), or to
    /// type=local|tar|oci|docker|image|cacheonly,dest=PATH,… (may be repeated)
    #[arg(short, long, value_name = "OUTPUT", add = Takes::List)]
    output: Vec<String>,
    /// Push the image; short for --output type=registry
    #[arg(long, add = Takes::Switch)]
    push: bool,
    /// Load the image into docker's or podman's daemon too, which gets only the layers that it lacks, or into containerd. Without a
    /// value, as docker has it: the image goes to kiln's store, where it goes anyway
    #[arg(long, value_name = "ENGINE", num_args = 0..=1, require_equals = true, default_missing_value = "true", add = Takes::Optional)]
    load: Option<Load>,
}

/// What `--load` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Into(Engine),
    Containerd,
    /// As docker has it.
    Switched(bool),
}

impl FromStr for Load {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "docker" => Ok(Load::Into(Engine::Docker)),
            "podman" => Ok(Load::Into(Engine::Podman)),
            "containerd" => Ok(Load::Containerd),
            _ => boolean(text).map(Load::Switched).ok_or_else(|| {
                format!("{text:?} is neither true nor false, docker, podman nor containerd")
            }),
        }
    }
}

impl Flags {
    /// The engine whose daemon is to have the image. Behind docker that is docker, unless it goes elsewhere.
    fn engine(&self) -> Option<Engine> {
        let goes_elsewhere = self.push || !self.output.is_empty();
        match self.load {
            Some(Load::Into(engine)) => Some(engine),
            Some(Load::Switched(true)) if plugin::is_active() => Some(Engine::Docker),
            None if plugin::is_active() && !goes_elsewhere => Some(Engine::Docker),
            _ => None,
        }
    }

    /// Where the image is loaded into, as attributes.
    fn loaded(&self) -> Result<Option<Vec<(&'static str, String)>>, Failure> {
        if self.load == Some(Load::Containerd) {
            return Ok(Some(daemon::containerd()));
        }
        let address = self.engine().map(daemon::address).transpose()?;
        Ok(address.map(|address| vec![("daemon", address)]))
    }
}

/// Behind docker, `type=docker` that writes no file means its daemon.
fn meant(mut pairs: Vec<(String, String)>) -> Result<Vec<(String, String)>, Failure> {
    let has = |key: &str, value: Option<&str>| {
        let mut pairs = pairs.iter();
        pairs.any(|(known, given)| known == key && value.is_none_or(|value| value == given))
    };
    if plugin::is_active()
        && has("type", Some("docker"))
        && !has("dest", None)
        && !has("daemon", None)
    {
        pairs.push(("daemon".to_owned(), daemon::address(Engine::Docker)?));
    }
    Ok(pairs)
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        if let Some(pairs) = self.loaded()? {
            let pairs = pairs.into_iter();
            let pairs = pairs.map(|(key, value)| (key.to_owned(), value));
            add(
                request,
                "--load",
                pairs.chain([("type".to_owned(), "docker".to_owned())]),
            )?;
        }
        let push = self.push.then_some("type=registry");
        for text in self.output.iter().map(String::as_str).chain(push) {
            let wrong = |why: String| Failure::usage(format!("--output {text}: {why}"));
            let mut pairs = pairs(text).map_err(wrong)?;
            if let Some(at) = pairs.iter().position(|(key, _)| key == EPOCH) {
                let (_, time) = pairs.swap_remove(at);
                source_date_epoch::of_output(&time, request)?;
            }
            add(request, &format!("--output {text}"), meant(pairs)?)?;
        }
        Ok(())
    }

    /// What is loaded into a daemon may have its base from there. Standard output must be free for an output that wants it, whichever flag says so,
    /// and nothing is deleted where it was not allowed.
    fn set_up(&self, setup: &mut Setup, request: &Request) -> Result<(), Failure> {
        let engine = self
            .engine()
            .or_else(|| plugin::is_active().then_some(Engine::Docker));
        setup.globals.bases = engine.map(daemon::address).transpose()?;
        let outputs = &request.goal.outputs;
        let mut folders = outputs.iter().filter_map(|output| output.deletes_in());
        if let Some(folder) = folders.find(|folder| !setup.may_delete && !is_below_current(folder))
        {
            let message = format!("mode=delete would delete files in {}", folder.display());
            return Err(Failure::usage(message).hint(
                "this is allowed below the current folder, and elsewhere with --allow buildx.local.delete",
            ));
        }
        match outputs.iter().filter(|output| output.is_stream()).count() {
            0 => Ok(()),
            1 if !stdout::is_terminal() => Ok(()),
            1 => Err(Failure::usage("refusing to write an output to a terminal")
                .hint("use a pipe, or dest=FILE")),
            _ => Err(Failure::usage("only one output can go to standard output")),
        }
    }
}

/// One more output, for a flag.
pub(super) fn add(
    request: &mut Request,
    flag: &str,
    pairs: impl IntoIterator<Item = (String, String)>,
) -> Result<(), Failure> {
    let made = exporter(Attributes::new(pairs));
    let made = made.map_err(|error| Failure::usage(format!("{flag}: {error}")))?;
    request.goal.outputs.push(Arc::from(made));
    Ok(())
}

/// Whether a folder, links resolved as far as it is there, is below the current one.
fn is_below_current(folder: &Path) -> bool {
    let real = |path: &Path| {
        let path = std::path::absolute(path).ok()?;
        let there = path.ancestors().find_map(|part| {
            let rest = path.strip_prefix(part).ok()?;
            Some((std::fs::canonicalize(part).ok()?, rest))
        });
        let (there, rest) = there?;
        let plain = !rest.components().any(|part| part == Component::ParentDir);
        plain.then(|| there.join(rest))
    };
    match (real(folder), real(Path::new("."))) {
        (Some(folder), Some(current)) => folder != current && folder.starts_with(current),
        _ => false,
    }
}

/// `FOLDER` and `-` alone stand for `type=local,dest=FOLDER` and `type=tar,dest=-`.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let fields = csv::fields(text)?;
    match &fields[..] {
        [one] if one == "-" => return Ok(vec![pair("type", "tar"), pair("dest", "-")]),
        [one] if !one.contains('=') => return Ok(vec![pair("type", "local"), pair("dest", one)]),
        _ => {}
    }
    let split = |field: &String| match field.split_once('=') {
        Some((key, value)) => Ok(pair(&key.trim().to_lowercase(), value)),
        None => Err(format!("{field} is not KEY=VALUE")),
    };
    fields.iter().map(split).collect()
}
