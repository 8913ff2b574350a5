//! What a target takes from outside: build arguments, secrets, SSH agents, cache mounts; `--call=outline` shows it. Unaware of how it is
//! shown.

use std::collections::{BTreeMap, BTreeSet};

use kiln_oci::ImageConfig;

use super::world::World;
use crate::ast::{Dockerfile, StageAst};
use crate::check::{self, Report};
use crate::diagnostic::Diagnostic;
use crate::graph::{Node, Op, RunMount, Stage, StageGraph};
use crate::inputs::{Bases, ImageRequest, Inputs};
use crate::instruction::Argument;
use crate::line::Line;
use crate::lint::Config;
use crate::source::Span;
use crate::words::{self, Expansion, Style};

/// What a target takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// The target's name, if it has one.
    pub name: Option<String>,
    /// Its description in the comment above its `FROM`, or nothing.
    pub description: String,
    /// Build arguments, by place.
    pub arguments: Vec<OutlineArgument>,
    /// Secrets, by place.
    pub secrets: Vec<OutlineMount>,
    /// SSH agents, by place.
    pub ssh: Vec<OutlineMount>,
    /// Cache mounts, by place.
    pub caches: Vec<OutlineMount>,
}

/// A build argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineArgument {
    /// Its name.
    pub name: String,
    /// Its description in the comment above its definition (`# NAME description`), or nothing.
    pub description: String,
    /// Its value in a build: `--build-arg`, else its default, else nothing.
    pub value: String,
    /// Its `ARG`.
    pub span: Span,
}

/// A secret, an SSH agent or a cache mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutlineMount {
    /// Its id.
    pub id: String,
    /// Whether the build fails without it.
    pub required: bool,
    /// The `RUN` that asks for it first.
    pub span: Span,
}

/// The outline of the target. `find` gives the configuration of an image, if it has one.
///
/// # Errors
/// What is wrong with the Dockerfile.
pub fn outline(
    dockerfile: &Dockerfile,
    inputs: &Inputs,
    find: &mut dyn FnMut(&ImageRequest) -> Option<ImageConfig>,
) -> Result<Outline, Vec<Diagnostic>> {
    let graph = check::graph(dockerfile, inputs, find, &mut Report::default())?;
    let bases = Bases::default();
    let world = World::new(dockerfile, inputs, &bases, Config::default())?;
    let mut outline = Outline {
        arguments: arguments(&world, &graph),
        ..Outline::default()
    };
    let target = graph.target_stage();
    let from = |stage: &Stage| &dockerfile.lines[dockerfile.stages[stage.index].line];
    if let Some(name) = &target.name {
        outline.description = from(target).description_of(name);
        outline.name = Some(name.clone());
    }
    for position in by_closeness(&graph) {
        let own = |node: &&Node| node.stage == Some(position);
        for node in graph.nodes.iter().filter(own) {
            outline.mounts(node, from(&graph.stages[position]).span);
        }
    }
    for list in [&mut outline.secrets, &mut outline.ssh, &mut outline.caches] {
        list.sort_by_key(|mount| mount.span);
    }
    Ok(outline)
}

/// The target, then the other stages from the last to the first: of several definitions of a name the first in this order counts.
fn by_closeness(graph: &StageGraph) -> impl Iterator<Item = usize> {
    let others = (0..graph.stages.len()).rev();
    let target = graph.target;
    std::iter::once(target).chain(others.filter(move |&position| position != target))
}

impl Outline {
    /// Those of a node; `from` is its stage's `FROM`.
    fn mounts(&mut self, node: &Node, from: Span) {
        let Op::Run(run) = &node.op else {
            return;
        };
        let span = node.span.unwrap_or(from);
        for mount in &run.mounts {
            let (list, id, required) = match mount {
                RunMount::Secret(secret) => (&mut self.secrets, &secret.id, secret.required),
                RunMount::Ssh(ssh) => (&mut self.ssh, &ssh.id, ssh.required),
                RunMount::Cache(cache) => (&mut self.caches, &cache.id, false),
                RunMount::Bind(_) | RunMount::Tmpfs { .. } => continue,
            };
            match list.iter_mut().find(|known| known.id == *id) {
                Some(known) => known.required |= required,
                None => list.push(OutlineMount {
                    id: id.clone(),
                    required,
                    span,
                }),
            }
        }
    }
}

/// The arguments that stages declare and that their `FROM`s use, with those that the defaults of these use.
fn arguments(world: &World<'_>, graph: &StageGraph) -> Vec<OutlineArgument> {
    let globals = Globals::of(world);
    let mut arguments: BTreeMap<String, OutlineArgument> = BTreeMap::new();
    for position in by_closeness(graph) {
        let stage = &graph.stages[position];
        let ast = &world.dockerfile.stages[stage.index];
        let mut used = used_by_from(world, ast);
        for declared in stage.arguments.iter().rev() {
            let name = declared.name.clone();
            if declared.is_imported {
                used.insert(name);
                continue;
            }
            arguments
                .entry(name)
                .or_insert_with_key(|name| OutlineArgument {
                    name: name.clone(),
                    description: declared.description.clone(),
                    value: declared.value.clone().unwrap_or_default(),
                    span: declared.span,
                });
        }
        for (name, argument) in globals.closure(used) {
            arguments.entry(name).or_insert(argument);
        }
    }
    let mut arguments: Vec<_> = arguments.into_values().collect();
    arguments.sort_by(|a, b| (a.span, &a.name).cmp(&(b.span, &b.name)));
    arguments
}

fn used_by_from(world: &World<'_>, ast: &StageAst) -> BTreeSet<String> {
    let words = std::iter::once(&ast.from.image).chain(ast.from.platform.as_deref());
    let expansions = words.map(|word| expand(world, &word.text));
    expansions.flat_map(|expansion| expansion.used).collect()
}

fn expand(world: &World<'_>, text: &str) -> Expansion {
    // Evaluation has expanded it before, without an error.
    let style = Style::new(world.scope.escape);
    words::expand(text, style, &world.scope.globals).unwrap_or_default()
}

/// The `ARG`s before the first `FROM`, and what their defaults use.
struct Globals(BTreeMap<String, (OutlineArgument, BTreeSet<String>)>);

impl Globals {
    fn of(world: &World<'_>) -> Self {
        let mut globals = Globals(BTreeMap::new());
        for global in &world.dockerfile.globals {
            let line = &world.dockerfile.lines[global.line];
            for argument in &global.arg.arguments {
                globals.add(world, line, argument);
            }
        }
        globals
    }

    fn add(&mut self, world: &World<'_>, line: &Line, argument: &Argument) {
        let name = argument.name.to_string();
        // A value from the command line makes the default irrelevant.
        let is_given = world.inputs.language.build_args.contains_key(&name);
        let default = argument.default.as_ref().filter(|_| !is_given);
        let expansion = default.map(|text| expand(world, &text.text));
        let mut used = expansion.unwrap_or_default().used;
        // A default that uses its own name rests on what the name was made of before.
        if used.remove(&name)
            && let Some((_, before)) = self.0.get(&name)
        {
            used.extend(before.iter().cloned());
        }
        let value = world.scope.globals.get(&name);
        let argument = OutlineArgument {
            description: line.description_of(&name),
            value: value.cloned().unwrap_or_default(),
            span: line.span,
            name: name.clone(),
        };
        self.0.insert(name, (argument, used));
    }

    /// These names, and everything that their defaults use.
    fn closure(&self, names: BTreeSet<String>) -> Vec<(String, OutlineArgument)> {
        let mut open: Vec<String> = names.into_iter().collect();
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            if let Some((argument, used)) = self.0.get(&name) {
                open.extend(used.iter().cloned());
                found.push((name, argument.clone()));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{build_arg, no_arguments};

    fn of(source: &str, inputs: &Inputs) -> Outline {
        let parsed = crate::parse(source);
        assert!(!parsed.has_errors(), "{:?}", parsed.errors);
        outline(&parsed.dockerfile, inputs, &mut |_| None).unwrap()
    }

    fn values(outline: &Outline) -> Vec<(&str, &str)> {
        let arguments = outline.arguments.iter();
        arguments
            .map(|argument| (argument.name.as_str(), argument.value.as_str()))
            .collect()
    }

    const SOURCE: &str = "# BASE what all stands on\nARG BASE=a\nARG TAG=${BASE}-1 UNUSED=x\n\
        FROM scratch AS other\nARG NOT_NEEDED\n\
        # app is what runs\nFROM $TAG AS app\nARG BASE\n# LEVEL of detail\nARG LEVEL=3 EMPTY\nARG TARGETOS\n\
        RUN --mount=type=secret,id=token,required --mount=type=cache,target=/c true\n\
        RUN --mount=type=ssh --mount=type=secret,id=token true\n";

    #[test]
    fn arguments_that_count_with_their_values() {
        let found = of(SOURCE, &no_arguments());
        let expected = [("BASE", "a"), ("TAG", "a-1"), ("EMPTY", ""), ("LEVEL", "3")];
        assert_eq!(values(&found), expected);
        assert_eq!(found.arguments[0].description, "what all stands on");
        assert_eq!(found.arguments[3].description, "of detail");
        let found = of(SOURCE, &build_arg("TAG", "b"));
        assert!(values(&found).contains(&("TAG", "b")));
    }

    #[test]
    fn what_only_a_default_uses_is_told() {
        let source = "ARG C=1\nARG A=$C\nARG A=${A}2\nARG B=$A\nFROM scratch\nARG B\n";
        let found = of(source, &no_arguments());
        assert_eq!(values(&found), [("C", "1"), ("A", "12"), ("B", "12")]);
        // what is given needs no default
        let found = of(source, &build_arg("B", "x"));
        assert_eq!(values(&found), [("B", "x")]);
        let source = "ARG A=1\nARG B=$A\nFROM $B\n";
        let found = of(source, &build_arg("B", "scratch"));
        assert_eq!(values(&found), [("B", "scratch")]);
    }

    #[test]
    fn mounts_once_each() {
        let found = of(SOURCE, &no_arguments());
        assert_eq!(found.name.as_deref(), Some("app"));
        assert_eq!(found.description, "is what runs");
        assert_eq!(found.secrets.len(), 1);
        assert!(found.secrets[0].required);
        assert_eq!(found.ssh[0].id, "default");
        assert_eq!(found.caches[0].id, "/c");
        assert!(SOURCE[found.caches[0].span.start()..].starts_with("RUN --mount=type=secret"));
    }

    #[test]
    fn the_target_decides() {
        let mut inputs = no_arguments();
        inputs.language.target = Some("other".to_owned());
        let found = of(SOURCE, &inputs);
        assert_eq!(values(&found), [("NOT_NEEDED", "")]);
        assert!(found.secrets.is_empty());
    }
}
