//! `--allow`: what targets may use of the machine beyond the current folder. A definition may come from anywhere, so that it is asked for
//! first. Unaware of builds.

use crate::environment;
use crate::failure::{Failure, Kind};
use crate::pflag::boolean;
use kiln_bake::{Entry, Plan, Target, is_elsewhere};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Rights that are no files.
const NAMED: [&str; 3] = ["network.host", "security.insecure", "device"];

/// Checks what all targets use.
///
/// # Errors
/// One uses what is not allowed; the hint names the flags.
pub fn check(allowed: &[String], plan: &Plan) -> Result<(), Failure> {
    let mut missing = BTreeSet::new();
    let rights = Rights::of(allowed);
    for target in plan.targets.values() {
        for right in target.list("entitlements") {
            if NAMED.contains(&right.as_str()) && !allowed.contains(right) {
                missing.insert(format!("--allow {right}"));
            }
        }
        for (kind, path) in paths(target) {
            if !rights.cover(kind, &path) {
                missing.insert(format!("--allow {kind}={path}"));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> = missing.into_iter().collect();
    let message = "the targets use what is not allowed to them";
    Err(Failure::new(Kind::Build, message).hint(format!("allow it with {}", missing.join(" "))))
}

/// Which paths may be read and written.
struct Rights {
    all: bool,
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
}

impl Rights {
    fn of(allowed: &[String]) -> Self {
        let off = environment::variable("BUILDX_BAKE_ENTITLEMENTS_FS");
        let mut rights = Rights {
            all: off.as_deref().and_then(boolean) == Some(false),
            read: vec![real(".")],
            write: vec![real(".")],
        };
        for (kind, path) in allowed.iter().filter_map(|right| right.split_once('=')) {
            rights.all |= kind == "fs" && path == "*";
            if matches!(kind, "fs" | "fs.read") {
                rights.read.push(any_or_real(path));
            }
            if matches!(kind, "fs" | "fs.write") {
                rights.write.push(any_or_real(path));
            }
        }
        rights
    }

    fn cover(&self, kind: &str, path: &str) -> bool {
        let within = match kind {
            "fs.write" => &self.write,
            _ => &self.read,
        };
        let path = real(path);
        self.all || within.iter().any(|folder| path.starts_with(folder))
    }
}

fn any_or_real(path: &str) -> PathBuf {
    match path {
        "*" => PathBuf::from("/"),
        path => real(path),
    }
}

/// The path with links resolved, as far as it is there.
fn real(path: &str) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let there = path.ancestors().find_map(|part| {
        let rest = path.strip_prefix(part).ok()?;
        Some(std::fs::canonicalize(part).ok()?.join(rest))
    });
    there.unwrap_or(path)
}

/// The paths of this machine that a target uses, and how.
fn paths(target: &Target) -> Vec<(&'static str, String)> {
    let contexts = target.map("contexts").map(|(_, context)| context.as_str());
    let contexts = target.text("context").into_iter().chain(contexts);
    let contexts = contexts.filter(|context| is_local(context));
    let contexts = contexts.map(|path| path.strip_prefix("cwd://").unwrap_or(path).to_owned());
    let agents = target.entries("ssh").iter().flat_map(|agent| &agent.paths);
    let dockerfile = target.text("dockerfile").unwrap_or_default();
    let dockerfile = dockerfile.strip_prefix("cwd://").map(str::to_owned);
    let mut read: Vec<String> = contexts.chain(agents.cloned()).chain(dockerfile).collect();
    read.extend(files(target, "cache-from", "src"));
    read.extend(files(target, "secret", "src"));
    let written = files(target, "cache-to", "dest");
    let written = written.into_iter().chain(files(target, "output", "dest"));
    let read = read.into_iter().map(|path| ("fs.read", path));
    read.chain(written.map(|path| ("fs.write", path))).collect()
}

/// The paths that entries name; caches may be elsewhere.
fn files(target: &Target, field: &str, key: &str) -> Vec<String> {
    let is_here = |entry: &&Entry| !field.starts_with("cache") || entry.get("type") == "local";
    let entries = target.entries(field).iter().filter(is_here);
    let paths = entries.map(|entry| entry.get(key));
    let paths = paths.filter(|path| !path.is_empty() && *path != "-");
    paths.map(str::to_owned).collect()
}

/// Whether a context is a path of this machine.
pub fn is_local(context: &str) -> bool {
    context.starts_with("cwd://") || !is_elsewhere(context)
}
