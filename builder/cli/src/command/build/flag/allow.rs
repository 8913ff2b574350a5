//! `--allow`: rights that a Dockerfile must be granted before one of its steps uses them.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::Request;
use kiln_parser::inputs::Entitlement;

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

#[derive(Debug, clap::Args)]
pub struct Allow {
    /// Grant RUN a right: security.insecure, network.host or device; buildx.local.delete lets --output type=local,mode=delete delete
    /// outside of the current folder
    #[arg(long, value_name = "RIGHT")]
    allow: Vec<String>,
}

impl Allow {
    /// Whether an output may delete files outside of the current folder.
    pub fn deletes(&self) -> bool {
        let mut names = self.allow.iter().flat_map(|text| text.split(','));
        names.any(|name| name == DELETE)
    }
}

impl Flag for Allow {
    fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        for text in &self.allow {
            if NAMED_BY_THE_CALLER.contains(&kind(text)) {
                let why = "what a build may read and write is named on the command line";
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
