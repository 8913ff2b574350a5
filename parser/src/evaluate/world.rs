//! What all stages share: the Dockerfile, the inputs, the global scope.

use std::collections::{BTreeMap, BTreeSet};

use kiln_oci::Reference;

use super::epoch::{self, Epoch};
use super::globals;
use super::plan::Plan;
use crate::ast::Dockerfile;
use crate::diagnostic::Diagnostic;
use crate::inputs::{Bases, Inputs, NamedContext};
use crate::instruction::{Instruction, MountFields};
use crate::lint::Config;
use crate::path;

/// Variables that processes see although no `ARG` declares them; both cases count.
const PROXIES: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

/// What all stages share.
#[derive(Debug)]
pub(crate) struct World<'e> {
    pub(crate) dockerfile: &'e Dockerfile,
    pub(crate) inputs: &'e Inputs,
    pub(crate) bases: &'e Bases,
    /// Platform arguments and `ARG`s before the first `FROM`, with the command line's values.
    pub(crate) globals: BTreeMap<String, String>,
    /// Which rules are asked.
    pub(super) lint: Config,
    /// `--build-arg`, and `SOURCE_DATE_EPOCH` if it was given otherwise.
    arguments: BTreeMap<String, String>,
    /// What `SOURCE_DATE_EPOCH` says.
    pub(super) epoch: Epoch,
    /// Named contexts by their normalised name.
    contexts: BTreeMap<String, &'e NamedContext>,
}

impl<'e> World<'e> {
    pub(super) fn new(
        dockerfile: &'e Dockerfile,
        inputs: &'e Inputs,
        bases: &'e Bases,
        lint: Config,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut arguments = inputs.build_args.clone();
        if let Some(epoch) = inputs.source_date_epoch {
            arguments
                .entry(epoch::NAME.to_owned())
                .or_insert_with(|| epoch.to_string());
        }
        let contexts = inputs
            .contexts
            .iter()
            .map(|(name, context)| (context_name(name), context));
        let mut globals = globals::evaluate(dockerfile, inputs, &arguments)?;
        let epoch = epoch::settle(&mut arguments, &mut globals);
        Ok(World {
            dockerfile,
            inputs,
            bases,
            globals,
            lint,
            arguments,
            epoch,
            contexts: contexts.collect(),
        })
    }

    /// The value of a `--build-arg`.
    pub(crate) fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.get(name).map(String::as_str)
    }

    /// The named context that replaces a stage or an image, with the name it was given.
    pub(super) fn context(&self, name: &str) -> Option<(String, &'e NamedContext)> {
        if name.eq_ignore_ascii_case("scratch") || name.eq_ignore_ascii_case("context") {
            return None;
        }
        let name = context_name(name);
        let context = self.contexts.get(&name)?;
        let given = self
            .inputs
            .contexts
            .keys()
            .find(|given| context_name(given) == name);
        Some((given.cloned().unwrap_or(name), context))
    }

    /// `KEY=value` of the proxies that were given, both cases, in a fixed order. An empty one is none.
    pub(crate) fn proxy_env(&self) -> Vec<String> {
        let mut list = Vec::new();
        for name in PROXIES {
            let mut given = self
                .arguments
                .iter()
                .filter(|(key, _)| key.eq_ignore_ascii_case(name));
            // Of several spellings the last in order counts.
            if let Some((_, value)) = given.next_back().filter(|(_, value)| !value.is_empty()) {
                list.push(format!("{name}={value}"));
                list.push(format!("{}={value}", name.to_ascii_lowercase()));
            }
        }
        list
    }

    /// The id of a cache mount, in the build's namespace.
    pub(crate) fn cache_id(&self, fields: &MountFields) -> String {
        let id = match fields.id.as_str() {
            "" => path::clean(&fields.target),
            id => id.to_owned(),
        };
        match self.argument("BUILDKIT_CACHE_MOUNT_NS") {
            None | Some("") => id,
            Some(namespace) => format!("{namespace}/{id}"),
        }
    }

    /// Build arguments that nothing consumed.
    pub(super) fn unused_build_args(&self, plan: &Plan, reachable: &[usize]) -> Vec<String> {
        let mut used: BTreeSet<&str> = self.globals.keys().map(String::as_str).collect();
        let globals = self
            .dockerfile
            .globals
            .iter()
            .flat_map(|global| &global.arg.arguments);
        used.extend(globals.map(|argument| argument.name.as_str()));
        for &index in reachable {
            for (_, instruction) in plan.statements(self.dockerfile, index) {
                if let Instruction::Arg(arg) = instruction {
                    used.extend(arg.arguments.iter().map(|argument| argument.name.as_str()));
                }
            }
        }
        let names = self.inputs.build_args.keys();
        let unused = names.filter(|name| !used.contains(name.as_str()) && !is_known(name));
        unused.cloned().collect()
    }
}

fn is_known(name: &str) -> bool {
    name == epoch::NAME
        || name.starts_with("BUILDKIT_")
        || PROXIES.iter().any(|proxy| name.eq_ignore_ascii_case(proxy))
}

/// `docker.io/library/alpine:latest` and `alpine` are one name.
fn context_name(name: &str) -> String {
    let lower = name.to_lowercase();
    match Reference::parse(&lower) {
        Ok(reference) => {
            let familiar = reference.familiar();
            familiar
                .strip_suffix(":latest")
                .unwrap_or(&familiar)
                .to_owned()
        }
        Err(_) => lower,
    }
}
