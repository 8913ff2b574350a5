//! What a target asks of a build, as the command line of a `kiln build`. Unaware of when it is built.

use super::allow::is_local;
use crate::building::Order;
use crate::failure::{Failure, Kind};
use crate::flag::context::read_file;
use kiln_bake::{Entry, Plan, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

/// A target that is to be built.
pub struct Ordered {
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The build.
    pub order: Order,
    /// The targets that it takes as contexts, by the names of these.
    pub needs: BTreeMap<String, String>,
    /// Whether it is a question about its Dockerfile.
    pub asks: bool,
}

/// The orders of all targets.
///
/// # Errors
/// A target asks for something that no build can do.
pub fn all(plan: &Plan, more: &[OsString], format: &str) -> Result<Vec<Ordered>, Failure> {
    let linked: BTreeSet<&str> = plan.targets.values().flat_map(linked).collect();
    let mut orders = Vec::new();
    for (name, target) in &plan.targets {
        let of_target = |failure: Failure| failure.of_flag(&format!("target {name}:"));
        let mut order = ordered(target, more, format).map_err(of_target)?;
        order.request.goal.stays = linked.contains(name.as_str());
        orders.push(Ordered {
            name: name.clone(),
            description: target.text("description").unwrap_or_default().to_owned(),
            order,
            needs: needs(target),
            asks: target.text("call").is_some_and(|call| call != "build"),
        });
    }
    let to_stdout = |order: &&Ordered| {
        let mut outputs = order.order.request.goal.outputs.iter();
        outputs.any(|output| output.is_stream())
    };
    match orders.iter().filter(to_stdout).count() {
        0 | 1 => Ok(orders),
        _ => Err(Failure::usage("only one target can go to standard output")),
    }
}

fn needs(target: &Target) -> BTreeMap<String, String> {
    let needed = |(name, context): (&String, &String)| {
        let target = context.strip_prefix("target:")?;
        Some((name.to_lowercase(), target.to_owned()))
    };
    target.map("contexts").filter_map(needed).collect()
}

fn linked(target: &Target) -> impl Iterator<Item = &str> {
    let contexts = target.map("contexts");
    contexts.filter_map(|(_, context)| context.strip_prefix("target:"))
}

fn ordered(target: &Target, more: &[OsString], format: &str) -> Result<Order, Failure> {
    let mut words = Words::default();
    words.fields(target);
    words.call(target, format);
    let context = target.text("context").unwrap_or(".");
    let context = context.strip_prefix("cwd://").unwrap_or(context);
    let context = if context.is_empty() { "." } else { context };
    if [context, target.text("dockerfile").unwrap_or_default()].contains(&"-") {
        let message = "neither the context nor the Dockerfile can be standard input";
        return Err(Failure::new(Kind::Build, message));
    }
    let beside = beside(target, context)?;
    let inline = target.text("dockerfile-inline").or(beside.as_deref());
    if inline.is_none()
        && let Some(dockerfile) = dockerfile(target, context)
    {
        words.add("file", &dockerfile);
    }
    words.add("context", context);
    let words = words.0.into_iter().map(OsString::from);
    Order::read(words.chain(besides(target, more)), inline)
}

/// Words for all targets, without a second agent of the same name.
fn besides<'w>(target: &Target, more: &'w [OsString]) -> impl Iterator<Item = OsString> + use<'w> {
    let mut agents = target.entries("ssh").iter();
    let has_agent = agents.any(|agent| agent.get("id") == "default");
    let is_agent = |word: &OsString| word.to_string_lossy().starts_with("--ssh=default");
    let more = more
        .iter()
        .filter(move |word| !has_agent || !is_agent(word));
    more.cloned()
}

/// The text of a Dockerfile of this machine beside a context that is outside of it.
fn beside(target: &Target, context: &str) -> Result<Option<String>, Failure> {
    let dockerfile = target.text("dockerfile").unwrap_or_default();
    match dockerfile.strip_prefix("cwd://") {
        Some(path) if !is_local(context) => read_file(Path::new(path)).map(Some),
        _ => Ok(None),
    }
}

/// The Dockerfile in the context, unless that finds it by itself.
fn dockerfile(target: &Target, context: &str) -> Option<String> {
    let name = target
        .text("dockerfile")
        .filter(|name| *name != "Dockerfile")?;
    if let Some(local) = name.strip_prefix("cwd://") {
        let path = std::path::absolute(local).ok();
        return Some(path.map_or(local.to_owned(), |path| path.display().to_string()));
    }
    let is_path = is_local(context) && !name.contains("://");
    Some(match is_path {
        true => Path::new(context).join(name).display().to_string(),
        false => name.to_owned(),
    })
}

/// Lists of a target, and the flag of each item.
const LISTS: [(&str, &str); 6] = [
    ("annotations", "annotation"),
    ("tags", "tag"),
    ("platforms", "platform"),
    ("no-cache-filter", "no-cache-filter"),
    ("ulimits", "ulimit"),
    ("entitlements", "allow"),
];

/// Flags of `kiln build`.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn add(&mut self, flag: &str, value: &str) {
        self.0.push(format!("--{flag}={value}"));
    }

    fn fields(&mut self, target: &Target) {
        for field in ["target", "network", "shm-size"] {
            let text = target.text(field);
            text.iter().for_each(|text| self.add(field, text));
        }
        for (field, flag) in LISTS {
            let items = target.list(field).iter();
            items.for_each(|item| self.add(flag, item));
        }
        for (field, flag) in [("args", "build-arg"), ("labels", "label")] {
            for (key, value) in target.map(field) {
                self.add(flag, &format!("{key}={value}"));
            }
        }
        self.entries(target);
        self.contexts(target);
        for flag in ["pull", "no-cache"] {
            if target.is_on(flag) {
                self.0.push(format!("--{flag}"));
            }
        }
    }

    fn entries(&mut self, target: &Target) {
        for (field, flag) in [
            ("attest", "attest"),
            ("cache-from", "cache-from"),
            ("cache-to", "cache-to"),
            ("secret", "secret"),
            ("output", "output"),
        ] {
            let entries = target.entries(field).iter();
            entries.for_each(|entry| self.add(flag, &entry.flag()));
        }
        let agent = |agent: &Entry| match agent.paths.is_empty() {
            true => agent.get("id").to_owned(),
            false => agent.flag(),
        };
        let agents = target.entries("ssh").iter();
        agents.for_each(|entry| self.add("ssh", &agent(entry)));
    }

    fn contexts(&mut self, target: &Target) {
        for (name, context) in target.map("contexts") {
            if !context.starts_with("target:") {
                let context = context.strip_prefix("cwd://").unwrap_or(context);
                let context = if context.is_empty() { "." } else { context };
                self.add("build-context", &format!("{name}={context}"));
            }
        }
        for (name, addresses) in target.map("extra-hosts") {
            for address in addresses.split(',') {
                self.add("add-host", &format!("{name}={address}"));
            }
        }
    }

    fn call(&mut self, target: &Target, format: &str) {
        if let Some(call) = target.text("call") {
            let options = if format.is_empty() { "" } else { "," };
            self.add("call", &format!("{call}{options}{format}"));
        }
    }
}
