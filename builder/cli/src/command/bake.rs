//! `kiln bake`, and `docker buildx bake`: builds the targets of bake files, or shows them. What a target asks for is the command line of a
//! `kiln build`. Unaware of how files are read and of how builds go on side by side.

mod allow;
mod definition;
mod list;
mod order;
mod remote;
mod work;

use crate::environment::{self, Globals};
use crate::failure::{Failure, Kind};
use crate::pflag::{Takes, boolean};
use crate::render::{Ending, Progress, Shown};
use crate::{output, table};
use clap::Args;
use definition::Read;
use kiln_bake::{Overrides, Plan};
use remote::Remote;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments of `kiln bake`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Targets and groups to build, which may be patterns [default: default]; before them, where the definition is from: a git repository, or the
    /// URL of a file or an archive
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// File with definitions, - for standard input, or cwd://FILE for one of this machine beside a repository's; later ones go before earlier ones (may be repeated)
    /// [default: those of docker-bake.json, docker-bake.hcl and their overrides that exist]
    #[arg(short, long, value_name = "FILE", add = Takes::List)]
    file: Vec<String>,
    /// Change a key of targets, as TARGET.KEY=VALUE; += adds to a list (may be repeated)
    #[arg(long, value_name = "TARGET.KEY=VALUE", add = Takes::List)]
    set: Vec<String>,
    /// Value of a variable; goes before the environment (may be repeated)
    #[arg(long, value_name = "NAME=VALUE", add = Takes::List)]
    var: Vec<String>,
    /// Print the targets as JSON instead of building them
    #[arg(long, add = Takes::Switch)]
    print: bool,
    /// List targets or variables; add ,format=json for machine-readable output
    #[arg(long, value_name = "WHAT", add = Takes::Single)]
    list: Option<String>,
    /// Answer a question about the Dockerfiles instead of building them: check, outline or targets
    #[arg(long, value_name = "METHOD", add = Takes::Single)]
    call: Option<String>,
    /// Check the Dockerfiles; short for --call=check
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", add = Takes::Optional)]
    check: Option<String>,
    /// Load all images into docker; short for --set=*.output=type=docker
    #[arg(long, add = Takes::Switch)]
    load: bool,
    /// Push all images; short for --set=*.output=type=registry
    #[arg(long, add = Takes::Switch)]
    push: bool,
    /// Use no cached results; short for --set=*.no-cache=true
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", add = Takes::Optional)]
    no_cache: Option<String>,
    /// Ask registries for base images; short for --set=*.pull=true
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", add = Takes::Optional)]
    pull: Option<String>,
    /// Short for --set=*.attest=type=provenance
    #[arg(long, value_name = "OPTIONS", add = Takes::Single)]
    provenance: Option<String>,
    /// Short for --set=*.attest=type=sbom
    #[arg(long, value_name = "OPTIONS", add = Takes::Single)]
    sbom: Option<String>,
    /// Let targets use something: network.host, security.insecure, fs=PATH, fs.read=PATH, fs.write=PATH (may be repeated)
    #[arg(long, value_name = "RIGHT", add = Takes::List)]
    allow: Vec<String>,
    /// Write digests and names of all results to a file, as JSON by target
    #[arg(long, value_name = "FILE", add = Takes::Single)]
    metadata_file: Option<PathBuf>,
    /// No effect: kiln needs no builder instance
    #[arg(long, hide = true, value_name = "NAME", add = Takes::Single)]
    builder: Option<String>,
    #[command(flatten)]
    shown: Shown,
    /// Flags of `kiln build` for all builds
    #[arg(last = true, value_name = "BUILD FLAGS")]
    build: Vec<OsString>,
}

/// Builds, or shows.
///
/// # Errors
/// A definition is wrong, or a build fails.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let ending = Ending::new(arguments.shown.progress(), None, "bake");
    ending.tell(baked(&arguments, globals))
}

fn baked(arguments: &Arguments, globals: &Globals) -> Result<(), Failure> {
    if arguments.print && arguments.list.is_some() {
        return Err(Failure::usage("--print and --list contradict each other"));
    }
    let remote = Remote::open(&arguments.targets, globals)?;
    let read = definition::read(arguments, remote.as_ref())?;
    read.warn(arguments.shown.progress());
    if let Some(list) = &arguments.list {
        return list::print(list, read.definition());
    }
    let plan = arguments.plan(&read, remote.as_ref())?;
    if arguments.print {
        table::line(&plan.print());
        return Ok(());
    }
    let progress = arguments.shown.progress();
    if progress != Progress::RawJson {
        allow::check(&arguments.allow, &plan)?;
    }
    let (builder, mut words) = remote.map_or((None, Vec::new()), Remote::into_parts);
    words.extend(arguments.build.iter().cloned());
    let orders = order::all(&plan, &words, arguments.format())?;
    let built = work::all(orders, progress, (globals, builder))?;
    arguments.tell(&built)
}

impl Arguments {
    /// What is asked for, resolved.
    fn plan(&self, read: &Read, remote: Option<&Remote>) -> Result<Plan, Failure> {
        let addresses = remote.map_or(0, Remote::addresses);
        let targets = &self.targets[addresses..];
        let overrides = self.overrides()?;
        let definition = read.definition();
        let overrides = Overrides::read(definition, &overrides, environment::variable);
        let plan = overrides.and_then(|overrides| definition.plan(targets, &overrides));
        let mut plan = plan.map_err(|error| read.failure(&error))?;
        // what each build would take by itself is to be seen
        let epoch = environment::variable("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty());
        if let Some(epoch) = epoch {
            plan.set_argument("SOURCE_DATE_EPOCH", &epoch);
        }
        Ok(plan)
    }

    /// `--set`, and what is short for it, which comes later.
    fn overrides(&self) -> Result<Vec<String>, Failure> {
        let mut overrides = self.set.clone();
        let mut add = |key: &str, value: &str| overrides.push(format!("*.{key}={value}"));
        for (key, is_on) in [("push", self.push), ("load", self.load)] {
            if is_on {
                add(key, "true");
            }
        }
        if let Some(method) = self.method()? {
            add("call", method);
        }
        for (key, value) in [("no-cache", &self.no_cache), ("pull", &self.pull)] {
            if let Some(value) = value {
                add(key, value);
            }
        }
        for (kind, value) in [("sbom", &self.sbom), ("provenance", &self.provenance)] {
            if let Some(value) = value {
                add("attest", &attestation(kind, value));
            }
        }
        Ok(overrides)
    }

    /// The question that `--call` and `--check` ask.
    fn method(&self) -> Result<Option<&str>, Failure> {
        let check = self.check.as_deref().map(|text| {
            boolean(text).ok_or_else(|| Failure::usage(format!("--check={text}: no truth value")))
        });
        let named = self.call.as_deref().map(|call| call.split(',').next());
        match (check.transpose()?, named.flatten()) {
            (Some(true), None) => Ok(Some("check")),
            (Some(true), Some(_)) => Err(Failure::usage("--call and --check cannot be combined")),
            (_, named) => Ok(named),
        }
    }

    /// The form of answers: what `--call` has behind the method.
    fn format(&self) -> &str {
        let options = self.call.as_deref().and_then(|call| call.split_once(','));
        options.map_or("", |(_, options)| options)
    }

    /// Writes what was built, by target.
    fn tell(&self, built: &BTreeMap<String, Value>) -> Result<(), Failure> {
        let Some(file) = &self.metadata_file else {
            return Ok(());
        };
        let text = format!("{:#}\n", serde_json::json!(built));
        output::report(file, &text).map_err(|error| {
            let message = format!("--metadata-file {}: {error}", file.display());
            Failure::new(Kind::Environment, message)
        })
    }
}

fn attestation(kind: &str, value: &str) -> String {
    match boolean(value) {
        Some(is_on) => format!("type={kind},disabled={}", !is_on),
        None => format!("type={kind},{value}"),
    }
}
