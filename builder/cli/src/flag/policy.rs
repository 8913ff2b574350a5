//! `--allow`, `--source-policy-file`: what the steps of a Dockerfile may do, and what a build may take from outside, as in buildah and
//! buildx. Unaware of what rules mean.

use super::context::read_pipe;
use super::{Flag, Setup};
use crate::environment;
use crate::failure::Failure;
use crate::pflag::Takes;
use kiln_engine::{Policy, Request};
use kiln_parser::inputs::Entitlement;
use std::path::Path;

/// BuildKit's names.
const RIGHTS: [(&str, Entitlement); 3] = [
    ("security.insecure", Entitlement::SecurityInsecure),
    ("network.host", Entitlement::NetworkHost),
    ("device", Entitlement::Device),
];

/// Rights of `docker buildx bake`, which asks for them where a file names things: here the command line does.
const NAMED_BY_THE_CALLER: [&str; 7] = [
    "fs",
    "fs.read",
    "fs.write",
    "image",
    "image.load",
    "image.push",
    "ssh",
];

/// buildx's right to delete anywhere, which is not about RUN.
const DELETE: &str = "buildx.local.delete";
/// Where buildx reads the name of a file of source policies.
const VARIABLE: &str = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY";

#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Flags {
    /// Grant RUN a right: security.insecure, network.host or device; buildx.local.delete lets --output
    /// type=local,mode=delete remove files outside of the current folder (may be repeated)
    #[arg(long, value_name = "RIGHT", add = Takes::List)]
    allow: Vec<String>,
    /// BuildKit source policy: a JSON file of rules that allow, deny or replace images, URLs and repositories; the file
    /// in EXPERIMENTAL_BUILDKIT_SOURCE_POLICY applies too (may be repeated)
    #[arg(long, value_name = "FILE", add = Takes::List)]
    source_policy_file: Vec<String>,
}

impl Flag for Flags {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        self.rights(request)?;
        self.policies(request)
    }

    fn set_up(&self, setup: &mut Setup, _request: &Request) -> Result<(), Failure> {
        let mut names = self.allow.iter().flat_map(|text| text.split(','));
        setup.may_delete = names.any(|name| name == DELETE);
        Ok(())
    }
}

impl Flags {
    fn rights(&self, request: &mut Request) -> Result<(), Failure> {
        for text in &self.allow {
            if NAMED_BY_THE_CALLER.contains(&kind(text)) {
                let why = "the command line already names what a build may read and write";
                let notice = format!("--allow {text} has no effect: {why}");
                request.notices.push(notice);
                continue;
            }
            for name in text.split(',').filter(|name| *name != DELETE) {
                request.language.allow.insert(right(name)?);
            }
        }
        Ok(())
    }

    /// All policies must agree: the variable may have been set by somebody else than the author of the command line.
    fn policies(&self, request: &mut Request) -> Result<(), Failure> {
        let variable = environment::variable(VARIABLE).filter(|file| !file.is_empty());
        let variable = variable.iter().map(|file| (VARIABLE, file));
        let given = self.source_policy_file.iter();
        for (origin, file) in variable.chain(given.map(|file| ("--source-policy-file", file))) {
            let wrong = |error: String| Failure::usage(format!("{origin} {file}: {error}"));
            if !Path::new(file).exists() {
                return Err(wrong("there is no such file".to_owned()));
            }
            let text = read_pipe(Path::new(file))?;
            let policy = Policy::parse(file, &text).map_err(|error| wrong(error.to_string()))?;
            request.sources.policies.push(policy);
        }
        Ok(())
    }
}

/// `device` of `device=NAME`.
fn kind(right: &str) -> &str {
    right.split_once('=').map_or(right, |(kind, _)| kind)
}

fn right(name: &str) -> Result<Entitlement, Failure> {
    let is_named = |known: &str| known == name || (known == "device" && kind(name) == "device");
    let found = RIGHTS.iter().find(|(known, _)| is_named(known));
    found.map(|(_, right)| *right).ok_or_else(|| {
        let names = RIGHTS.map(|(known, _)| known).join(", ") + ", " + DELETE;
        Failure::usage(format!("--allow {name}: there is no such right"))
            .hint(format!("the rights are {names}"))
    })
}
