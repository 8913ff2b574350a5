//! Which stage needs which: bases, `--from`, triggers. Unaware of what stages do.

mod from;
mod triggers;

use std::collections::HashMap;

use kiln_oci::{Platform, Reference, ReferenceError};

use super::world::World;
use crate::ast::StageAst;
use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
pub(super) use crate::graph::StageBase as Base;
use crate::inputs::NamedContext;
use crate::instruction::Instruction;
use crate::line::{Line, Word};
use crate::source::Span;
use crate::suggest;
use crate::words::{self, NoVariables, Style};

use from::base_error;

/// One stage and what it needs.
#[derive(Clone, Debug)]
pub(super) struct StagePlan {
    pub(super) base: Base,
    pub(super) platform: Platform,
    /// The `FROM`.
    pub(super) span: Span,
    /// Whether a named context replaces the stage: then its instructions do not count.
    pub(super) replaced: bool,
    /// Stages that it copies from or mounts.
    pub(super) uses: Vec<usize>,
    /// Images that it copies from or mounts.
    pub(super) images: Vec<(String, Span)>,
    /// Whether the base is what a named context says, not what is written.
    pub(super) is_context: bool,
    /// The base's `ONBUILD` instructions, once they are known.
    triggers: Option<Vec<(Line, Instruction)>>,
}

impl StagePlan {
    /// The stages that must be done before it.
    pub(super) fn needs(&self) -> impl Iterator<Item = usize> {
        let uses = self.uses.iter().filter(|_| !self.replaced);
        self.parent().into_iter().chain(uses.copied())
    }

    /// The stage that it continues.
    pub(super) fn parent(&self) -> Option<usize> {
        match self.base {
            Base::Stage(parent) => Some(parent),
            _ => None,
        }
    }
}

/// All stages.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) stages: Vec<StagePlan>,
    /// The last stage of each name. Only looked up.
    names: HashMap<String, usize>,
}

impl Plan {
    /// What rules find in `FROM`s before the first error goes to `warnings`.
    pub(super) fn new(
        world: &World<'_>,
        warnings: &mut Vec<Diagnostic>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let dockerfile = world.dockerfile;
        let mut plan = Plan {
            stages: Vec::new(),
            names: HashMap::new(),
        };
        let heads = from::read_all(world, warnings)?;
        let mut errors = Vec::new();
        for (index, (ast, head)) in dockerfile.stages.iter().zip(heads).enumerate() {
            let given = world.inputs.language.from.as_deref().filter(|_| index == 0);
            match plan.stage(world, ast, head, given) {
                Ok(stage) => plan.stages.push(stage),
                Err(error) => errors.push(error),
            }
            if let Some(name) = &ast.from.name {
                plan.names.insert(name.clone(), index);
            }
        }
        if errors.is_empty() {
            errors = plan.add_all_uses(world);
        }
        if errors.is_empty() {
            Ok(plan)
        } else {
            Err(errors)
        }
    }

    /// `given` is named instead of what the `FROM` says.
    fn stage(
        &self,
        world: &World<'_>,
        ast: &StageAst,
        head: from::Head,
        given: Option<&str>,
    ) -> Result<StagePlan, Diagnostic> {
        let line = &world.dockerfile.lines[ast.line];
        let image = &ast.from.image;
        let name = ast.from.name.as_deref();
        let own_context = name.and_then(|name| world.context(name));
        let replaced = own_context.is_some();
        let base = match (own_context, given) {
            (Some((name, _)), Some(given)) => {
                let both = format!("--from {given} and --build-context {name}");
                let message = format!("{both} both replace the image of this stage");
                return Err(base_error(line, image, message));
            }
            (Some((name, context)), None) => self.context_base(line, name, context)?,
            (None, given) => self.named_base(world, line, image, given.unwrap_or(&head.image))?,
        };
        let platform = match base {
            // The empty file system has no platform of its own.
            Base::Scratch => world.inputs.platform.clone(),
            _ => head.platform,
        };
        let is_written = |base: &Base| matches!(base, Base::Image(image) if *image == head.image);
        Ok(StagePlan {
            is_context: replaced || (given.is_none() && !is_written(&base)),
            base,
            platform,
            span: line.span,
            replaced,
            uses: Vec::new(),
            images: Vec::new(),
            triggers: None,
        })
    }

    /// The base that a name means; `image` is the place that asks.
    fn named_base(
        &self,
        world: &World<'_>,
        line: &Line,
        image: &Word,
        text: &str,
    ) -> Result<Base, Diagnostic> {
        // Exactly: `FROM FOO` is not the stage foo, whose name is lower case.
        if let Some(&index) = self.names.get(text) {
            return Ok(Base::Stage(index));
        }
        if text == "scratch" {
            return Ok(Base::Scratch);
        }
        if let Some((name, context)) = world.context(text) {
            return self.context_base(line, name, context);
        }
        image_base(text).map_err(|message| {
            let mut error = base_error(line, image, message);
            let valueless = from::valueless(image).filter(|_| from::has_gap(text));
            let near = || suggest::help(text, world.dockerfile.stage_names());
            error.help = valueless.or_else(near);
            error
        })
    }

    fn context_base(
        &self,
        line: &Line,
        name: String,
        context: &NamedContext,
    ) -> Result<Base, Diagnostic> {
        self.of_context(name, context).map_err(|(name, stage)| {
            let message =
                format!("context {name} names stage {stage}, which is not defined before");
            line.error(code::STAGE_ORDER, message)
                .in_phase(Phase::Evaluate)
        })
    }

    /// What a named context means; the error is its name and that of a stage that is not known.
    fn of_context<'c>(
        &self,
        name: String,
        context: &'c NamedContext,
    ) -> Result<Base, (String, &'c str)> {
        match context {
            NamedContext::Directory => Ok(Base::Context(name)),
            NamedContext::Image(reference) => Ok(Base::Image(reference.clone())),
            NamedContext::Stage(stage) => match self.names.get(&stage.to_lowercase()) {
                Some(&index) => Ok(Base::Stage(index)),
                None => Err((name, stage)),
            },
        }
    }

    /// What `--from` means, after all stages are known: context, stage, image.
    pub(super) fn source(&self, world: &World<'_>, from: &str) -> Result<Base, String> {
        if let Ok(index) = from.parse::<usize>() {
            let known = (index < self.stages.len()).then_some(Base::Stage(index));
            let last = self.stages.len().saturating_sub(1);
            let wrong =
                || format!("invalid stage index {index}: stages are numbered from 0 to {last}");
            return known.ok_or_else(wrong);
        }
        if let Some(&index) = self.names.get(&from.to_lowercase()) {
            return Ok(Base::Stage(index));
        }
        if from == "scratch" {
            return Ok(Base::Scratch);
        }
        let Some((name, context)) = world.context(from) else {
            return image_base(from);
        };
        self.of_context(name, context).map_err(|(name, stage)| {
            format!("context {name} names stage {stage}, which does not exist")
        })
    }

    /// Finds what all instructions need besides their stage's base.
    fn add_all_uses(&mut self, world: &World<'_>) -> Vec<Diagnostic> {
        let dockerfile = world.dockerfile;
        let mut errors = Vec::new();
        for (index, ast) in dockerfile.stages.iter().enumerate() {
            for statement in &ast.statements {
                let line = &dockerfile.lines[statement.line];
                let used = self.add_uses(world, index, line, &statement.instruction);
                errors.extend(used.err());
            }
        }
        errors
    }

    /// Finds what an instruction needs besides the stage's base.
    fn add_uses(
        &mut self,
        world: &World<'_>,
        index: usize,
        line: &Line,
        instruction: &Instruction,
    ) -> Result<(), Diagnostic> {
        for (from, span) in sources(instruction) {
            let error =
                |code, message: &str| line.error_at(span, code, message).in_phase(Phase::Evaluate);
            let literal = words::expand(from, Style::new(world.scope.escape), &NoVariables);
            if !literal.is_ok_and(|word| word.text == from) {
                let message = "variable expansion is not supported for --from, define a new stage \
                    with FROM using ARG from global scope as a workaround";
                return Err(error(code::FROM_VARIABLE, message));
            }
            let source = self.source(world, from);
            let stage = &mut self.stages[index];
            match source.map_err(|why| error(code::STAGE_ORDER, &why))? {
                Base::Stage(used) if used == index => {
                    let message = format!("circular dependency detected on stage: {from}");
                    return Err(error(code::STAGE_ORDER, &message));
                }
                Base::Stage(used) => stage.uses.push(used),
                Base::Image(reference) => stage.images.push((reference, span)),
                Base::Context(_) | Base::Scratch => {}
            }
        }
        Ok(())
    }

    /// The stage to build: by name, else by number, as in the classic builder and buildah.
    pub(super) fn target(&self, world: &World<'_>) -> Result<usize, Diagnostic> {
        let last = world.dockerfile.stages.len().checked_sub(1);
        let end = Span::default();
        let Some(name) = &world.inputs.language.target else {
            let message = "dockerfile contains no stages to build";
            return last
                .ok_or_else(|| Diagnostic::error(code::NO_STAGE, Phase::Evaluate, end, message));
        };
        if let Some(&index) = self.names.get(&name.to_lowercase()) {
            return Ok(index);
        }
        let stages = world.dockerfile.stages.len();
        if let Some(index) = name.parse().ok().filter(|index| *index < stages) {
            return Ok(index);
        }
        let message = format!("target stage {name:?} could not be found");
        let mut error = Diagnostic::error(code::TARGET, Phase::Evaluate, end, message);
        let near = suggest::help(&name.to_lowercase(), world.dockerfile.stage_names());
        error.help = near.or_else(|| targets(world));
        Err(error)
    }

    /// The stages that are evaluated, in Dockerfile order: all of them for a check, else what the target needs.
    pub(super) fn reachable(&self, world: &World<'_>, target: usize) -> Vec<usize> {
        if world.inputs.all_stages {
            return (0..self.stages.len()).collect();
        }
        self.needed(target)
    }

    /// The target and everything that it needs, in Dockerfile order.
    pub(super) fn needed(&self, target: usize) -> Vec<usize> {
        let mut seen = vec![false; self.stages.len()];
        let mut open = vec![target];
        while let Some(index) = open.pop() {
            if !std::mem::replace(&mut seen[index], true) {
                open.extend(self.stages[index].needs());
            }
        }
        (0..seen.len()).filter(|&index| seen[index]).collect()
    }
}

/// The values of `--from` in an instruction, and their places.
fn sources(instruction: &Instruction) -> Vec<(&str, Span)> {
    match instruction {
        Instruction::Copy(copy) => {
            let from = copy.from.iter();
            from.map(|from| (from.text.as_str(), from.span)).collect()
        }
        Instruction::Run(run) => {
            let mounts = run.mounts.iter();
            let from = mounts.map(|mount| mount.from.as_deref().zip(Some(mount.flag.span)));
            from.flatten().collect()
        }
        _ => Vec::new(),
    }
}

/// The image that a text names: by a reference, or by a whole ID.
fn image_base(text: &str) -> Result<Base, String> {
    match Reference::parse(text) {
        Ok(_) | Err(ReferenceError::ImageId(_)) => Ok(Base::Image(text.to_owned())),
        Err(why) => Err(format!("failed to parse stage name {text:?}: {why}")),
    }
}

/// Which targets there are.
fn targets(world: &World<'_>) -> Option<String> {
    let names: Vec<&str> = world.dockerfile.stage_names().collect();
    let last = world.dockerfile.stages.len().checked_sub(1)?;
    Some(match names.is_empty() {
        true => format!("no stage has a name; they are numbered from 0 to {last}"),
        false => format!(
            "there are {}, and numbers from 0 to {last}",
            names.join(", ")
        ),
    })
}
