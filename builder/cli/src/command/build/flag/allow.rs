//! `--allow`: rights that a Dockerfile must be granted before one of its steps uses them.

use super::Flag;
use crate::failure::Failure;
use kiln_engine::options::BuildOptions;
use kiln_parser::inputs::Entitlement;

/// BuildKit's names.
const RIGHTS: [(&str, Entitlement); 3] = [
    ("security.insecure", Entitlement::SecurityInsecure),
    ("network.host", Entitlement::NetworkHost),
    ("device", Entitlement::Device),
];

/// Rights of `docker buildx bake`, which asks for them where a file names things: here the command line does.
const NAMED_BY_THE_CALLER: [&str; 8] = [
    "fs",
    "fs.read",
    "fs.write",
    "image",
    "image.load",
    "image.push",
    "ssh",
    "buildx.local.delete",
];

#[derive(Debug, clap::Args)]
pub struct Allow {
    /// Grant RUN a right: security.insecure, network.host or device
    #[arg(long, value_name = "RIGHT")]
    allow: Vec<String>,
}

impl Flag for Allow {
    fn apply(&self, options: &mut BuildOptions) -> Result<(), Failure> {
        for text in &self.allow {
            if NAMED_BY_THE_CALLER.contains(&kind(text)) {
                let why = "what a build may read and write is named on the command line";
                let notice = format!("--allow {text} has no effect: {why}");
                options.notices.push(notice);
                continue;
            }
            for name in text.split(',') {
                options.allow.insert(right(name)?);
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
        let names = RIGHTS.map(|(known, _)| known).join(", ");
        Failure::usage(format!("--allow {name}: there is no such right"))
            .hint(format!("the rights are {names}"))
    })
}
