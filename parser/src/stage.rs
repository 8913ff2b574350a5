//! A stage while its instructions are applied: what they change, and how they add operations. Unaware of the instructions themselves, of
//! other stages and of where `--from` leads, which [`crate::evaluate`] says.

mod environment;
mod expand;
pub(crate) mod nodes;
pub(crate) mod scope;
mod warn;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kiln_oci::{ImageConfig, Platform, RuntimeConfig};

use crate::code;
use crate::diagnostic::{Diagnostic, Phase};
use crate::graph::{DeclaredArgument, HistoryStep, NodeId, Op};
use crate::line::{Line, Word};
use crate::redact;
use crate::source::Span;
use crate::words::Variables;
use environment::Arguments;
pub(crate) use environment::{Environment, ImageEnv};
use nodes::{MAX_EVALUATED, Nodes, Origin};
use scope::Scope;

/// The comment that BuildKit writes into each history entry that it makes.
const HISTORY_COMMENT: &str = "buildkit.dockerfile.v0";

/// Arguments that steer BuildKit's scanners and never become environment.
const NOT_ENVIRONMENT: [&str; 2] = ["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"];

/// What a stage that continues this one takes over.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) config: RuntimeConfig,
    pub(crate) author: Option<String>,
    pub(crate) env: Environment,
    /// The file system so far.
    pub(crate) output: NodeId,
    /// Whether there was a `WORKDIR`.
    pub(crate) workdir_is_set: bool,
    pub(crate) platform: Platform,
    pub(crate) base_image: Option<ImageConfig>,
    /// Whether the variables of the image below are known.
    pub(crate) base_is_known: bool,
    pub(crate) history: Vec<HistoryStep>,
    pub(crate) arguments: Arguments,
    /// About how many bytes a stage that continues this one takes over.
    pub(crate) weight: usize,
}

impl State {
    pub(crate) fn new(platform: Platform) -> Self {
        State {
            config: RuntimeConfig::default(),
            author: None,
            env: Environment::default(),
            output: NodeId(0),
            workdir_is_set: false,
            platform,
            base_image: None,
            base_is_known: true,
            history: Vec::new(),
            arguments: Arguments::default(),
            weight: 0,
        }
    }
}

/// What `--from` means: a file system that is in the graph, or an operation that brings one.
#[derive(Debug)]
pub(crate) enum Source {
    Node(NodeId),
    Op(Box<Op>),
}

/// Finds what `--from` means, or says why there is no such thing.
pub(crate) type Find<'e> = &'e dyn Fn(&str) -> Result<Source, String>;

/// A stage at the point of the instruction that is being applied.
pub(crate) struct StageBuilder<'e> {
    pub(crate) scope: &'e Scope<'e>,
    pub(crate) state: State,
    /// Whether this stage has a `CMD` of its own.
    pub(crate) cmd_is_set: bool,
    pub(crate) image_env: ImageEnv,
    pub(crate) declared: Vec<DeclaredArgument>,
    pub(crate) warnings: Vec<Diagnostic>,
    /// Whether the instruction is a trigger of the base, whose text stands in no Dockerfile.
    pub(crate) is_trigger: bool,
    /// Its `FROM`.
    pub(crate) from: Span,
    find: Find<'e>,
    nodes: &'e mut Nodes,
    /// Its position among the reachable stages.
    position: usize,
    /// The places of instructions that count once a stage, by their name.
    used: BTreeMap<&'static str, Span>,
    /// The line that is being applied; of `FROM` for triggers.
    line: u32,
    /// Its text.
    text: &'e str,
    /// The comments directly above it.
    comments: &'e [String],
    /// Whether the instruction uses variables that an unknown base may set: nothing can be said about its values.
    is_guess: bool,
}

impl<'e> StageBuilder<'e> {
    /// The stage before its first instruction; `from` is its `FROM`.
    pub(crate) fn new(
        scope: &'e Scope<'e>,
        state: State,
        find: Find<'e>,
        nodes: &'e mut Nodes,
        position: usize,
        from: &Line,
    ) -> Self {
        StageBuilder {
            scope,
            state,
            cmd_is_set: false,
            image_env: ImageEnv::default(),
            declared: Vec::new(),
            warnings: Vec::new(),
            is_trigger: false,
            find,
            nodes,
            position,
            from: from.span,
            used: BTreeMap::new(),
            line: from.first,
            text: "",
            comments: &[],
            is_guess: false,
        }
    }

    /// Applies the instruction of a line: `change` does what it says.
    pub(crate) fn apply(
        &mut self,
        line: &'e Line,
        change: impl FnOnce(&mut Self) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        self.line = line.first;
        self.text = &line.text;
        self.comments = line.comments();
        self.is_guess = false;
        let applied = change(self);
        if !self.is_guess {
            applied.map_err(|error| error.in_phase(Phase::Evaluate))?;
        }
        self.check_budget(line.head_span())
    }

    /// Counts bytes that the stage has made or taken over.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.state.weight = self.state.weight.saturating_add(bytes);
        self.nodes.spend(bytes);
    }

    pub(crate) fn check_budget(&mut self, span: Span) -> Result<(), Diagnostic> {
        if self.nodes.spend(0) {
            return Ok(());
        }
        let message = format!("the expanded values add up to more than {MAX_EVALUATED} bytes");
        Err(Diagnostic::error(
            code::TOO_MUCH,
            Phase::Evaluate,
            span,
            message,
        ))
    }

    /// Adds an operation, which becomes the stage's file system, and its history entry.
    pub(crate) fn change(&mut self, line: &Line, op: Op, created_by: String) {
        let span = (!self.is_trigger).then_some(line.span);
        self.state.output = self.add_node(op, span, self.title());
        self.add_history(created_by, Some(self.state.output));
    }

    /// The instruction that is being applied, for people.
    fn title(&self) -> String {
        let trigger = if self.is_trigger { "ONBUILD " } else { "" };
        trigger.to_owned() + &redact::credentials(self.text)
    }

    /// Adds a history entry without a layer.
    pub(crate) fn record(&mut self, created_by: String) {
        self.add_history(created_by, None);
    }

    fn add_history(&mut self, created_by: String, node: Option<NodeId>) {
        let text = self.title();
        self.spend(created_by.len() + text.len() + size_of::<HistoryStep>());
        self.state.history.push(HistoryStep {
            created_by,
            node,
            line: self.line,
            text,
            comment: HISTORY_COMMENT,
        });
    }

    /// The main build context. The span is the place that asks for it.
    pub(crate) fn context(&mut self, span: Span) -> NodeId {
        self.source_node(Op::Context { name: None }, span)
    }

    /// The file system that `--from` names.
    pub(crate) fn source(&mut self, from: &str, span: Span) -> Result<NodeId, Diagnostic> {
        match (self.find)(from) {
            Ok(Source::Node(id)) => Ok(id),
            Ok(Source::Op(op)) => Ok(self.source_node(*op, span)),
            Err(why) => Err(Diagnostic::error(
                code::STAGE_ORDER,
                Phase::Evaluate,
                span,
                why,
            )),
        }
    }

    /// A node that `FROM` asks for.
    pub(crate) fn base_node(&mut self, op: Op) -> NodeId {
        self.source_node(op, self.from)
    }

    /// A node that the text at `span` asks for; for triggers it is `FROM`.
    fn source_node(&mut self, op: Op, span: Span) -> NodeId {
        let title = match &op {
            Op::Image { reference, .. } => format!("FROM {reference}"),
            Op::Context { name: None } => "load build context".to_owned(),
            Op::Context { name: Some(name) } => format!("load context {name}"),
            _ => "FROM scratch".to_owned(),
        };
        self.add_node(op, Some(self.place(span)), title)
    }

    pub(crate) fn add_node(&mut self, op: Op, span: Option<Span>, title: String) -> NodeId {
        let (stage, line) = (self.position, self.line);
        self.nodes.add(op, || Origin {
            stage,
            span,
            line,
            title,
        })
    }

    /// Sets a variable by `ENV`.
    pub(crate) fn set_env(&mut self, key: &str, value: &str) {
        self.image_env.set(key, value);
        self.state.env.set(key, value);
    }

    /// Declares an argument; its value, if it has one.
    pub(crate) fn declare(
        &mut self,
        line: &Line,
        name: &str,
        default: Option<&Word>,
    ) -> Result<Option<String>, Diagnostic> {
        let global = self.scope.globals.get(name);
        let (value, is_imported) = match (self.scope.argument(name), default) {
            (Some(given), _) => (Some(given.to_owned()), false),
            (None, Some(default)) => (Some(self.expand(default)?), false),
            (None, None) => (global.cloned(), global.is_some()),
        };
        if let Some(value) = value.as_ref().filter(|_| !NOT_ENVIRONMENT.contains(&name)) {
            self.state.env.set(name, value);
        }
        self.state.arguments.declare(name, value.clone());
        self.spend(size_of::<DeclaredArgument>() + 2 * value.as_ref().map_or(0, String::len));
        self.declared.push(DeclaredArgument {
            name: name.to_owned(),
            value: value.clone(),
            description: line.description_of(name),
            is_imported,
            span: self.place(line.span),
        });
        Ok(value)
    }

    /// `|2 A=1 B=2 `, or nothing if there are no arguments.
    pub(crate) fn arguments_for_history(&self) -> String {
        let entries = self.state.arguments.entries();
        if entries.is_empty() {
            return String::new();
        }
        let mut text = format!("|{} ", entries.len());
        for (name, value) in entries {
            let value = self.state.env.get(name).or(value.as_deref());
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "{name}={} ",
                redact::credentials(value.unwrap_or_default())
            );
        }
        text
    }

    /// The environment of a process. Each process gets its own copy, which counts.
    pub(crate) fn process_env(&mut self) -> Vec<String> {
        let env = self.state.env.to_list();
        let bytes = env.iter().map(|entry| entry.len() + size_of::<String>());
        self.nodes.spend(bytes.sum());
        env
    }

    /// The program that runs shell forms.
    pub(crate) fn shell(&self) -> Vec<String> {
        if !self.state.config.shell.is_empty() {
            return self.state.config.shell.clone();
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
        self.state.platform.os == "windows"
    }

    /// Absolute.
    pub(crate) fn working_dir(&self) -> String {
        crate::path::join("/", &self.state.config.working_dir)
    }
}
