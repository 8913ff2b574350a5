//! Which stage needs which: bases, `--from`, triggers. Nothing is built here.

mod triggers;

use std::collections::HashMap;

use kiln_oci::{Platform, Reference};

use super::world::World;
use crate::ast::StageAst;
use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
pub(super) use crate::graph::StageBase as Base;
use crate::inputs::NamedContext;
use crate::instruction::Instruction;
use crate::line::{Line, Word};
use crate::lint::evaluated;
use crate::source::Span;
use crate::suggest;
use crate::words::{self, Expansion, NoVariables, Style};

/// One stage and what it needs.
#[derive(Clone, Debug)]
pub(super) struct StagePlan {
    pub(super) base: Base,
    pub(super) platform: Platform,
    /// The `FROM`.
    pub(super) span: Span,
    /// A named context stands in for the stage: its instructions do not count.
    pub(super) replaced: bool,
    /// Stages that it copies from or mounts.
    pub(super) uses: Vec<usize>,
    /// Images that it copies from or mounts.
    pub(super) images: Vec<(String, Span)>,
    /// What rules say about the `FROM`.
    pub(super) warnings: Vec<Diagnostic>,
    /// The base's `ONBUILD` instructions, once they are known.
    triggers: Option<Vec<(Line, Instruction)>>,
}

impl StagePlan {
    /// The stages that must be done before it.
    pub(super) fn needs(&self) -> impl Iterator<Item = usize> {
        let uses = if self.replaced {
            &[]
        } else {
            self.uses.as_slice()
        };
        self.parent().into_iter().chain(uses.iter().copied())
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
    pub(super) fn new(world: &World<'_>) -> Result<Self, Vec<Diagnostic>> {
        let dockerfile = world.dockerfile;
        let mut plan = Plan {
            stages: Vec::new(),
            names: HashMap::new(),
        };
        let mut errors = Vec::new();
        for (index, ast) in dockerfile.stages.iter().enumerate() {
            let given = world.inputs.from.as_deref().filter(|_| index == 0);
            match plan.stage(world, ast, given) {
                Ok(stage) => plan.stages.push(stage),
                Err(error) => errors.push(error),
            }
            if let Some(name) = &ast.from.name {
                plan.names.insert(name.clone(), index);
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        for index in 0..plan.stages.len() {
            let ast = &dockerfile.stages[index];
            for statement in &ast.statements {
                let line = &dockerfile.lines[statement.line];
                let used = plan.add_uses(world, index, line, &statement.instruction);
                errors.extend(used.err());
            }
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
        given: Option<&str>,
    ) -> Result<StagePlan, Diagnostic> {
        let line = &world.dockerfile.lines[ast.line];
        let mut warnings = Vec::new();
        let platform = match &ast.from.platform {
            Some(word) => parse_platform(world, ast, word, &mut warnings)?,
            None => world.inputs.platform.clone(),
        };
        let own_context = ast
            .from
            .name
            .as_deref()
            .and_then(|name| world.context(name));
        let replaced = own_context.is_some();
        let image = &ast.from.image;
        let base = match (own_context, given) {
            (Some((name, _)), Some(given)) => {
                let message = format!(
                    "--from {given} and --build-context {name} both say what this stage is"
                );
                return Err(base_error(line, image, message));
            }
            (Some((name, context)), None) => self.context_base(line, name, context)?,
            (None, Some(given)) => self.named_base(world, line, image, given.to_owned())?,
            (None, None) => {
                let text = base_name(world, line, image, &mut warnings)?;
                self.named_base(world, line, image, text)?
            }
        };
        let platform = match base {
            // The empty file system has no platform of its own.
            Base::Scratch => world.inputs.platform.clone(),
            _ => platform,
        };
        Ok(StagePlan {
            base,
            platform,
            span: line.span,
            replaced,
            uses: Vec::new(),
            images: Vec::new(),
            warnings,
            triggers: None,
        })
    }

    /// What a stage with this base begins with; `image` is the place that asks.
    fn named_base(
        &self,
        world: &World<'_>,
        line: &Line,
        image: &Word,
        text: String,
    ) -> Result<Base, Diagnostic> {
        // Exactly: `FROM FOO` is not the stage foo, whose name is lower case.
        if let Some(&index) = self.names.get(&text) {
            return Ok(Base::Stage(index));
        }
        if text == "scratch" {
            return Ok(Base::Scratch);
        }
        if let Some((name, context)) = world.context(&text) {
            return self.context_base(line, name, context);
        }
        if let Err(why) = Reference::parse(&text) {
            let message = format!("failed to parse stage name {text:?}: {why}");
            let mut error = base_error(line, image, message);
            let names = world
                .dockerfile
                .stages
                .iter()
                .filter_map(|stage| stage.from.name.as_deref());
            error.help = suggest::nearest(&text, names).map(|near| format!("did you mean {near}?"));
            return Err(error);
        }
        Ok(Base::Image(text))
    }

    fn context_base(
        &self,
        line: &Line,
        name: String,
        context: &NamedContext,
    ) -> Result<Base, Diagnostic> {
        match context {
            NamedContext::Directory => Ok(Base::Context(name)),
            NamedContext::Image(reference) => Ok(Base::Image(reference.clone())),
            NamedContext::Stage(stage) => match self.names.get(&stage.to_lowercase()) {
                Some(&index) => Ok(Base::Stage(index)),
                None => {
                    let message =
                        format!("context {name} names stage {stage}, which is not defined before");
                    Err(Diagnostic {
                        phase: Phase::Evaluate,
                        ..line.error(code::STAGE_ORDER, message)
                    })
                }
            },
        }
    }

    /// What `--from` means, after all stages are known: context, stage, image.
    pub(super) fn source(&self, world: &World<'_>, from: &str) -> Result<Base, String> {
        if let Ok(index) = from.parse::<usize>() {
            let known = index < self.stages.len();
            return if known {
                Ok(Base::Stage(index))
            } else {
                Err(format!("invalid stage index {index}"))
            };
        }
        if let Some(&index) = self.names.get(&from.to_lowercase()) {
            return Ok(Base::Stage(index));
        }
        if from == "scratch" {
            return Ok(Base::Scratch);
        }
        match world.context(from) {
            Some((name, NamedContext::Directory)) => Ok(Base::Context(name)),
            Some((_, NamedContext::Image(reference))) => Ok(Base::Image(reference.clone())),
            Some((name, NamedContext::Stage(stage))) => {
                let index = self.names.get(&stage.to_lowercase()).copied();
                let missing =
                    || format!("context {name} names stage {stage}, which does not exist");
                index.map(Base::Stage).ok_or_else(missing)
            }
            None => match Reference::parse(from) {
                Ok(_) => Ok(Base::Image(from.to_owned())),
                Err(why) => Err(format!("failed to parse stage name {from:?}: {why}")),
            },
        }
    }

    /// Notes what an instruction needs besides the stage's base.
    fn add_uses(
        &mut self,
        world: &World<'_>,
        index: usize,
        line: &Line,
        instruction: &Instruction,
    ) -> Result<(), Diagnostic> {
        let sources: Vec<(&str, Span)> = match instruction {
            Instruction::Copy(copy) => {
                let from = copy.from.iter().map(|from| (from.text.as_str(), from.span));
                from.collect()
            }
            Instruction::Run(run) => {
                let mounts = run.mounts.iter();
                let from = |mount| {
                    let mount: &crate::instruction::MountSpec = mount;
                    mount.from.as_deref().map(|from| (from, mount.flag.span))
                };
                mounts.filter_map(from).collect()
            }
            _ => return Ok(()),
        };
        for (from, span) in sources {
            let error = |code, message: String| Diagnostic {
                span,
                phase: Phase::Evaluate,
                ..line.error(code, message)
            };
            let style = Style::new(world.dockerfile.escape);
            let literal =
                words::expand(from, style, &NoVariables).is_ok_and(|word| word.text == from);
            if !literal {
                let message = "variable expansion is not supported for --from, define a new stage \
                    with FROM using ARG from global scope as a workaround";
                return Err(error(code::FROM_VARIABLE, message.to_owned()));
            }
            let source = self
                .source(world, from)
                .map_err(|why| error(code::STAGE_ORDER, why))?;
            let stage = &mut self.stages[index];
            match source {
                Base::Stage(used) if used == index => {
                    let message = format!("circular dependency detected on stage: {from}");
                    return Err(error(code::STAGE_ORDER, message));
                }
                Base::Stage(used) => stage.uses.push(used),
                Base::Image(reference) => stage.images.push((reference, span)),
                Base::Context(_) | Base::Scratch => {}
            }
        }
        Ok(())
    }

    /// The stage to build: by name, else by number, as the classic builder and buildah take it.
    pub(super) fn target(&self, world: &World<'_>) -> Result<usize, Diagnostic> {
        let last = world.dockerfile.stages.len().checked_sub(1);
        let end = Span::default();
        let Some(name) = &world.inputs.target else {
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
        let names = world
            .dockerfile
            .stages
            .iter()
            .filter_map(|stage| stage.from.name.as_deref());
        error.help = suggest::nearest(&name.to_lowercase(), names)
            .map(|near| format!("did you mean {near}?"));
        Err(error)
    }

    /// The target and all that it needs, in Dockerfile order.
    pub(super) fn reachable(&self, world: &World<'_>, target: usize) -> Vec<usize> {
        if world.inputs.all_stages {
            return (0..self.stages.len()).collect();
        }
        let mut seen = vec![false; self.stages.len()];
        let mut open = vec![target];
        while let Some(index) = open.pop() {
            if std::mem::replace(&mut seen[index], true) {
                continue;
            }
            let stage = &self.stages[index];
            open.extend(stage.needs());
        }
        (0..seen.len()).filter(|&index| seen[index]).collect()
    }
}

/// The name of a base as it is written, expanded.
fn base_name(
    world: &World<'_>,
    line: &Line,
    image: &Word,
    warnings: &mut Vec<Diagnostic>,
) -> Result<String, Diagnostic> {
    let expansion = expand(world, image)?;
    warnings.extend(undeclared(world, &expansion, image.span));
    let style = Style::new(world.dockerfile.escape);
    if let Some(defaults) = &world.defaults
        && let Ok(default) = words::expand(&image.text, style, defaults)
    {
        warnings.extend(evaluated::default_base(
            &image.text,
            &default.text,
            image.span,
        ));
    }
    if expansion.text.is_empty() {
        let message = format!("base name ({}) should not be blank", image.text);
        return Err(base_error(line, image, message));
    }
    Ok(expansion.text)
}

fn base_error(line: &Line, image: &Word, message: String) -> Diagnostic {
    Diagnostic {
        span: image.span,
        phase: Phase::Evaluate,
        ..line.error(code::BASE, message)
    }
}

fn expand(world: &World<'_>, word: &Word) -> Result<Expansion, Diagnostic> {
    let style = Style::new(world.dockerfile.escape);
    words::expand(&word.text, style, &world.globals).map_err(|why| {
        let message = format!("failed to process {:?}: {why}", word.text);
        Diagnostic::error(code::EXPANSION, Phase::Evaluate, word.span, message)
    })
}

fn undeclared(world: &World<'_>, expansion: &Expansion, span: Span) -> Vec<Diagnostic> {
    let declared = world
        .dockerfile
        .globals
        .iter()
        .flat_map(|global| &global.arg.arguments);
    let declared = declared.map(|argument| argument.name.as_str());
    let known = declared.chain(world.globals.keys().map(String::as_str));
    evaluated::undefined_in_from(&expansion.unset, known, span)
}

fn parse_platform(
    world: &World<'_>,
    ast: &StageAst,
    word: &Word,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Platform, Diagnostic> {
    let expansion = expand(world, word)?;
    let text = &expansion.text;
    warnings.extend(undeclared(world, &expansion, word.span));
    warnings.extend(evaluated::platform_flag(
        word,
        &expansion,
        world
            .globals
            .get("TARGETPLATFORM")
            .map_or("", String::as_str),
        ast.from.name.as_deref().unwrap_or_default(),
    ));
    let message = match Platform::parse(text) {
        Ok(platform) => return Ok(platform),
        Err(_) if text.is_empty() => format!("empty platform value from expression {}", word.text),
        Err(why) => format!("failed to parse platform {}: {why}", word.text),
    };
    Err(Diagnostic::error(
        code::PLATFORM,
        Phase::Evaluate,
        word.span,
        message,
    ))
}
