//! What all stages share: the Dockerfile, the inputs, the global scope. Unaware of the order in which stages are evaluated.

use std::collections::{BTreeMap, BTreeSet};

use kiln_oci::Reference;

use super::epoch::{self, Epoch};
use super::globals;
use super::plan::Plan;
use crate::ast::Dockerfile;
use crate::diagnostic::Diagnostic;
use crate::inputs::{Bases, Inputs, NamedContext};
use crate::instruction::Instruction;
use crate::lint::Config;
use crate::stage::scope::{Scope, is_proxy};

/// What all stages share.
#[derive(Debug)]
pub(crate) struct World<'e> {
    pub(crate) dockerfile: &'e Dockerfile,
    pub(crate) inputs: &'e Inputs,
    pub(crate) bases: &'e Bases,
    pub(crate) scope: Scope<'e>,
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
        let mut arguments = inputs.language.build_args.clone();
        if let Some(seconds) = inputs.language.source_date_epoch {
            let name = epoch::NAME.to_owned();
            arguments.entry(name).or_insert_with(|| seconds.to_string());
        }
        let mut globals = globals::evaluate(dockerfile, inputs, &arguments)?;
        let epoch = epoch::settle(&mut arguments, &mut globals);
        let contexts = inputs.contexts.iter();
        Ok(World {
            dockerfile,
            inputs,
            bases,
            scope: Scope {
                inputs,
                escape: dockerfile.escape,
                globals,
                arguments,
                lint,
            },
            epoch,
            contexts: contexts
                .map(|(name, context)| (context_name(name), context))
                .collect(),
        })
    }

    /// The named context that replaces a stage or an image, with the name it was given.
    pub(super) fn context(&self, name: &str) -> Option<(String, &'e NamedContext)> {
        if name.eq_ignore_ascii_case("scratch") || name.eq_ignore_ascii_case("context") {
            return None;
        }
        let name = context_name(name);
        let context = self.contexts.get(&name)?;
        let mut given = self.inputs.contexts.keys();
        let given = given.find(|given| context_name(given) == name);
        Some((given.cloned().unwrap_or(name), context))
    }

    /// Build arguments that nothing consumed.
    pub(super) fn unused_build_args(&self, plan: &Plan, reachable: &[usize]) -> Vec<String> {
        let globals = self.scope.globals.keys();
        let mut used: BTreeSet<&str> = globals.map(String::as_str).collect();
        used.extend(
            self.dockerfile
                .global_arguments()
                .map(|argument| argument.name.as_str()),
        );
        for &index in reachable {
            for (_, instruction) in plan.statements(self.dockerfile, index) {
                if let Instruction::Arg(arg) = instruction {
                    used.extend(arg.arguments.iter().map(|argument| argument.name.as_str()));
                }
            }
        }
        let names = self.inputs.language.build_args.keys();
        let unused = names.filter(|name| !used.contains(name.as_str()) && !is_known(name));
        unused.cloned().collect()
    }
}

fn is_known(name: &str) -> bool {
    name == epoch::NAME || name.starts_with("BUILDKIT_") || is_proxy(name)
}

/// `docker.io/library/alpine:latest` and `alpine` are one name.
fn context_name(name: &str) -> String {
    let lower = name.to_lowercase();
    match Reference::parse(&lower) {
        Ok(reference) => {
            let familiar = reference.familiar();
            let untagged = familiar.strip_suffix(":latest");
            untagged.unwrap_or(&familiar).to_owned()
        }
        Err(_) => lower,
    }
}
