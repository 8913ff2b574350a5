//! One stage while it is evaluated: what instructions change, and how they add operations.

mod begin;
mod expand;
mod warn;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kiln_oci::{ImageConfig, Platform, RuntimeConfig};

use super::environment::{Arguments, Environment, ImageEnv};
use super::nodes::{MAX_EVALUATED, Nodes, Origin};
use super::plan::{Base, Plan};
use super::world::World;
use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::graph::{DeclaredArgument, HistoryStep, NodeId, Op, Stage};
use crate::instruction::{Argument, Instruction};
use crate::line::Line;
use crate::redact;
use crate::source::Span;
use crate::words::Variables;

/// What BuildKit writes as the comment of each history entry it makes.
const HISTORY_COMMENT: &str = "buildkit.dockerfile.v0";

/// Arguments that steer BuildKit's scanners and never become environment.
const NOT_ENVIRONMENT: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// A stage that is done, with what stages based on it inherit.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub(super) stage: Stage,
    env: Environment,
    arguments: Arguments,
    workdir_is_set: bool,
    base_is_known: bool,
    /// Bytes that a stage based on it takes over, about.
    weight: usize,
}

/// A stage at the point of the instruction that is being applied.
#[derive(Debug)]
pub(crate) struct StageBuilder<'e> {
    pub(crate) world: &'e World<'e>,
    pub(crate) config: RuntimeConfig,
    pub(crate) author: Option<String>,
    pub(crate) env: Environment,
    /// The file system so far.
    pub(crate) output: NodeId,
    /// Whether this stage has a `CMD` of its own.
    pub(crate) cmd_is_set: bool,
    /// Whether this stage, or one that it continues, has a `WORKDIR`.
    pub(crate) workdir_is_set: bool,
    plan: &'e Plan,
    nodes: &'e mut Nodes,
    done: &'e [Option<Finished>],
    index: usize,
    position: usize,
    platform: Platform,
    base: NodeId,
    base_image: Option<ImageConfig>,
    image_env: ImageEnv,
    arguments: Arguments,
    declared: Vec<DeclaredArgument>,
    /// Whether the variables of the image below are known.
    base_is_known: bool,
    weight: usize,
    history: Vec<HistoryStep>,
    warnings: Vec<Diagnostic>,
    /// Where instructions stand that count once a stage, by their name.
    used: BTreeMap<&'static str, Span>,
    /// The line that is being applied; of `FROM` for triggers.
    line: u32,
    /// The comments directly above it.
    comments: &'e [String],
    /// It uses variables of which nobody knows whether the base sets them: nothing can be said about its values.
    is_guess: bool,
    is_trigger: bool,
}

impl<'e> StageBuilder<'e> {
    /// Evaluates the stage. What rules find goes to `warnings`, also when there is an error.
    pub(super) fn build(mut self, warnings: &mut Vec<Diagnostic>) -> Result<Finished, Diagnostic> {
        let applied = self.apply_all();
        warnings.append(&mut self.warnings);
        applied.map(|()| self.finish())
    }

    fn apply_all(&mut self) -> Result<(), Diagnostic> {
        let (world, plan) = (self.world, self.plan);
        let from = plan.stages[self.index].span;
        self.begin();
        self.check_budget(from)?;
        if plan.stages[self.index].replaced {
            return Ok(());
        }
        self.is_trigger = true;
        for (line, instruction) in plan.triggers(self.index) {
            let applied = self.apply(line, instruction);
            applied.map_err(|error| Diagnostic {
                span: from,
                ..error
            })?;
        }
        self.is_trigger = false;
        for statement in &world.dockerfile.stages[self.index].statements {
            let line = &world.dockerfile.lines[statement.line];
            self.apply(line, &statement.instruction)?;
        }
        Ok(())
    }

    /// The stage before its first instruction; those that it needs are done.
    pub(super) fn new(
        world: &'e World<'e>,
        plan: &'e Plan,
        nodes: &'e mut Nodes,
        done: &'e [Option<Finished>],
        index: usize,
        position: usize,
    ) -> Self {
        let platform = plan.stages[index].platform.clone();
        let line = world.dockerfile.lines[world.dockerfile.stages[index].line].first;
        StageBuilder {
            world,
            config: RuntimeConfig::default(),
            author: None,
            env: Environment::default(),
            output: NodeId(0),
            cmd_is_set: false,
            workdir_is_set: false,
            plan,
            nodes,
            done,
            index,
            position,
            platform,
            base: NodeId(0),
            base_image: None,
            image_env: ImageEnv::default(),
            arguments: Arguments::default(),
            declared: Vec::new(),
            base_is_known: true,
            weight: 0,
            history: Vec::new(),
            warnings: Vec::new(),
            used: BTreeMap::new(),
            line,
            comments: &[],
            is_guess: false,
            is_trigger: false,
        }
    }

    fn apply(&mut self, line: &'e Line, instruction: &Instruction) -> Result<(), Diagnostic> {
        self.line = line.first;
        self.comments = &line.comments;
        self.is_guess = false;
        let applied = instruction.apply(line, self);
        let applied = if self.is_guess { Ok(()) } else { applied };
        applied.map_err(|error| Diagnostic {
            phase: Phase::Evaluate,
            ..error
        })?;
        self.check_budget(line.head_span())
    }

    /// Counts bytes that the stage has made or taken over.
    fn spend(&mut self, bytes: usize) {
        self.weight = self.weight.saturating_add(bytes);
        self.nodes.spend(bytes);
    }

    fn check_budget(&mut self, span: Span) -> Result<(), Diagnostic> {
        if self.nodes.spend(0) {
            return Ok(());
        }
        let message = format!("values add up to more than {MAX_EVALUATED} bytes");
        Err(Diagnostic::error(
            code::TOO_MUCH,
            Phase::Evaluate,
            span,
            message,
        ))
    }

    fn finish(mut self) -> Finished {
        self.config.env = self.image_env.to_list();
        let ast = &self.world.dockerfile.stages[self.index];
        let image_platform = self.image_platform();
        Finished {
            stage: Stage {
                index: self.index,
                name: ast.from.name.clone(),
                output: self.output,
                base: self.base,
                from: self.plan.stages[self.index].base.clone(),
                platform: self.platform,
                image_platform,
                config: self.config,
                author: self.author,
                base_image: self.base_image,
                history: self.history,
                arguments: self.declared,
                line: self.world.dockerfile.lines[ast.line].first,
            },
            env: self.env,
            arguments: self.arguments,
            workdir_is_set: self.workdir_is_set,
            base_is_known: self.base_is_known,
            weight: self.weight,
        }
    }

    /// Adds an operation, which becomes the stage's file system, and its history entry.
    pub(crate) fn change(&mut self, line: &Line, op: Op, created_by: String) {
        let (stage, number) = (self.position, self.line);
        let span = (!self.is_trigger).then_some(line.span);
        let title = if self.is_trigger {
            format!("ONBUILD {}", line.text)
        } else {
            line.text.clone()
        };
        let title = redact::credentials(&title).into_owned();
        self.output = self.nodes.add(op, || Origin {
            stage,
            span,
            line: number,
            title,
        });
        self.add_history(created_by, Some(self.output));
    }

    /// Adds a history entry without a layer.
    pub(crate) fn record(&mut self, created_by: String) {
        self.add_history(created_by, None);
    }

    fn add_history(&mut self, created_by: String, node: Option<NodeId>) {
        self.spend(created_by.len() + size_of::<HistoryStep>());
        self.history.push(HistoryStep {
            created_by,
            node,
            line: self.line,
            comment: HISTORY_COMMENT.to_owned(),
        });
    }

    /// The main build context. The span is the place that asks for it.
    pub(crate) fn context(&mut self, span: Span) -> NodeId {
        self.source_node(Op::Context { name: None }, span)
    }

    /// The file system that `--from` names.
    pub(crate) fn source(&mut self, from: &str, span: Span) -> Result<NodeId, Diagnostic> {
        let error =
            |message: String| Diagnostic::error(code::STAGE_ORDER, Phase::Evaluate, span, message);
        match self.plan.source(self.world, from).map_err(error)? {
            Base::Scratch => Ok(self.source_node(Op::Scratch, span)),
            Base::Context(name) => Ok(self.source_node(Op::Context { name: Some(name) }, span)),
            Base::Image(reference) => {
                let platform = self.world.inputs.platform.clone();
                Ok(self.source_node(
                    Op::Image {
                        reference,
                        platform,
                    },
                    span,
                ))
            }
            Base::Stage(index) => match &self.done[index] {
                Some(done) if index < self.index => Ok(done.stage.output),
                _ => Err(error(format!(
                    "cannot copy from stage {from:?}, it needs to be defined before the stage that uses it"
                ))),
            },
        }
    }

    /// Sets a variable by `ENV`.
    pub(crate) fn set_env(&mut self, key: &str, value: &str) {
        self.image_env.set(key, value);
        self.env.set(key, value);
    }

    /// Declares an argument; its value, if it has one.
    pub(crate) fn declare(
        &mut self,
        line: &Line,
        argument: &Argument,
    ) -> Result<Option<String>, Diagnostic> {
        let given = self.world.argument(&argument.name).map(str::to_owned);
        let is_imported = given.is_none() && argument.default.is_none();
        let is_imported = is_imported && self.world.globals.contains_key(&argument.name);
        let value = match (given, &argument.default) {
            (Some(value), _) => Some(value),
            (None, Some(default)) => Some(self.expand(default)?),
            (None, None) => self.world.globals.get(&argument.name).cloned(),
        };
        if let Some(value) = &value
            && !NOT_ENVIRONMENT.contains(&argument.name.as_str())
        {
            self.env.set(&argument.name, value);
        }
        self.arguments.declare(&argument.name, value.clone());
        self.declared.push(DeclaredArgument {
            name: argument.name.clone(),
            value: value.clone(),
            description: line.description_of(&argument.name),
            is_imported,
            span: self.place(line.span),
        });
        Ok(value)
    }

    /// `|2 A=1 B=2 `, or nothing if there are no arguments.
    pub(crate) fn arguments_for_history(&self) -> String {
        let entries = self.arguments.entries();
        if entries.is_empty() {
            return String::new();
        }
        let mut text = format!("|{} ", entries.len());
        for (name, value) in entries {
            let value = self.env.get(name).or(value.as_deref()).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = write!(text, "{name}={} ", redact::credentials(value));
        }
        text
    }

    /// The environment of a process. Each process gets its own copy, which counts.
    pub(crate) fn process_env(&mut self) -> Vec<String> {
        let env = self.env.to_list();
        let bytes = env
            .iter()
            .map(|entry| entry.len() + size_of::<String>())
            .sum();
        self.nodes.spend(bytes);
        env
    }

    /// What runs shell forms.
    pub(crate) fn shell(&self) -> Vec<String> {
        if !self.config.shell.is_empty() {
            return self.config.shell.clone();
        }
        let default: &[&str] = if self.is_windows() {
            &["cmd", "/S", "/C"]
        } else {
            &["/bin/sh", "-c"]
        };
        default.iter().map(|&word| word.to_owned()).collect()
    }

    /// Whether the stage is for windows.
    pub(crate) fn is_windows(&self) -> bool {
        self.platform.os == "windows"
    }

    /// Absolute.
    pub(crate) fn working_dir(&self) -> String {
        crate::path::join("/", &self.config.working_dir)
    }
}
