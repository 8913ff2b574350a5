//! `SOURCE_DATE_EPOCH`: a number of seconds, or the name of something that has a time: the main context, a named context, or a stage
//! that only fetches one thing. The rules are BuildKit's (`dockerfile2llb/epoch.go`). Unaware of how such a time is found.

use std::collections::BTreeMap;

use super::plan::Base;
use super::world::World;
use crate::ast::Dockerfile;
use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::graph::{CopySource, Op};
use crate::inputs::{Bases, Evaluation, Inputs};
use crate::instruction::Instruction;
use crate::lint::Config;
use crate::source::Span;

/// The argument.
pub const NAME: &str = "SOURCE_DATE_EPOCH";
/// The name of the main context.
const CONTEXT: &str = "context";

/// What has the time of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EpochSource {
    /// The main context.
    Context,
    /// The named context that was given under this name.
    Named(String),
    /// What the `ADD` of a stage fetches.
    Added(Box<CopySource>),
}

/// What has the time, if `SOURCE_DATE_EPOCH` names something instead of saying a time.
///
/// # Errors
/// It names nothing, or a stage that does more than fetch one thing.
pub fn epoch_source(
    dockerfile: &Dockerfile,
    inputs: &Inputs,
) -> Result<Option<EpochSource>, Vec<Diagnostic>> {
    let bases = Bases::default();
    let world = World::new(dockerfile, inputs, &bases, Config::default())?;
    let Epoch::Named(name) = &world.epoch else {
        return Ok(None);
    };
    if name == CONTEXT {
        return Ok(Some(EpochSource::Context));
    }
    if let Some((given, _)) = world.context(name) {
        return Ok(Some(EpochSource::Named(given)));
    }
    let Some(stage) = stage(dockerfile, name) else {
        return Err(vec![unknown(dockerfile, name)]);
    };
    let added = added(dockerfile, inputs, stage)?;
    Ok(Some(EpochSource::Added(Box::new(added))))
}

/// What the argument says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Epoch {
    /// Nothing.
    None,
    /// Seconds since 1970.
    Seconds(i64),
    /// A name of something that has a time.
    Named(String),
}

/// Reads the argument, from the command line or a global `ARG`, and leaves there what stages see of it: a number, or nothing at all.
pub(super) fn settle(
    arguments: &mut BTreeMap<String, String>,
    globals: &mut BTreeMap<String, String>,
) -> Epoch {
    let global = globals.get(NAME).filter(|value| !value.is_empty());
    let Some(text) = arguments.get(NAME).or(global).cloned() else {
        return Epoch::None;
    };
    let epoch = match text.trim().parse() {
        Ok(seconds) => Epoch::Seconds(seconds),
        Err(_) if text.is_empty() => Epoch::None,
        Err(_) => Epoch::Named(text),
    };
    for values in [arguments, globals] {
        match &epoch {
            Epoch::Seconds(seconds) => {
                let value = values.get_mut(NAME).into_iter();
                value.for_each(|value| *value = seconds.to_string());
            }
            Epoch::None | Epoch::Named(_) => _ = values.remove(NAME),
        }
    }
    epoch
}

impl World<'_> {
    /// The time of the build. None if it has to be found first: then the caller evaluates again.
    pub(super) fn epoch(&self) -> Result<Option<i64>, Diagnostic> {
        match &self.epoch {
            Epoch::None => Ok(None),
            Epoch::Seconds(seconds) => Ok(Some(*seconds)),
            Epoch::Named(name) => {
                let is_known = name == CONTEXT
                    || self.context(name).is_some()
                    || stage(self.dockerfile, name).is_some();
                is_known
                    .then_some(None)
                    .ok_or_else(|| unknown(self.dockerfile, name))
            }
        }
    }
}

fn stage(dockerfile: &Dockerfile, name: &str) -> Option<usize> {
    let is_called = |own: &String| own.eq_ignore_ascii_case(name);
    let mut stages = dockerfile.stages.iter();
    stages.position(|stage| stage.from.name.as_ref().is_some_and(is_called))
}

fn unknown(dockerfile: &Dockerfile, name: &str) -> Diagnostic {
    let mut globals = dockerfile.global_arguments();
    let declared = globals.rfind(|argument| argument.name == NAME);
    let default = declared.and_then(|argument| argument.default.as_ref());
    let span = default.map_or(Span::default(), |default| default.span);
    let message = format!("invalid {NAME}: {name}");
    let error = Diagnostic::error(code::VALUE, Phase::Evaluate, span, message);
    error.with_help("give seconds since 1970, `context`, a named context, or a stage that only fetches one thing")
}

/// What a stage fetches that exists only for its time: one file or repository from outside, into an empty file system.
fn added(
    dockerfile: &Dockerfile,
    inputs: &Inputs,
    index: usize,
) -> Result<CopySource, Vec<Diagnostic>> {
    let stage = &dockerfile.stages[index];
    let line = &dockerfile.lines[stage.line];
    let wrong = |what: &str| {
        let message = format!("{NAME} names this stage, which {what}");
        vec![line.error(code::VALUE, message).in_phase(Phase::Evaluate)]
    };
    let mut instructions = stage
        .statements
        .iter()
        .map(|statement| &statement.instruction);
    if !instructions.all(|other| matches!(other, Instruction::Arg(_) | Instruction::Add(_))) {
        return Err(wrong("may hold ARG and ADD only"));
    }
    let mut alone = inputs.clone();
    alone.language.build_args.remove(NAME);
    alone.language.source_date_epoch = None;
    alone.language.target = Some(index.to_string());
    let graph = match super::evaluate(dockerfile, &alone, &Bases::default())? {
        Evaluation::Graph(graph) if graph.target_stage().from == Base::Scratch => graph,
        _ => return Err(wrong("must be FROM scratch")),
    };
    let target = graph.target_stage();
    if let Op::Copy(copy) = &graph.node(target.output).op
        && copy.base == target.base
        && let [source @ (CopySource::Url { .. } | CopySource::Git(_))] = &copy.sources[..]
    {
        return Ok(source.clone());
    }
    Err(wrong(
        "must ADD one address or one git repository, and nothing else",
    ))
}
