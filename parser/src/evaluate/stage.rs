//! Evaluates one stage: what it takes over from its base, then its instructions in order. Unaware of what each instruction does.

use kiln_oci::{DEFAULT_PATH, ImageConfig, RuntimeConfig};

use super::base;
use super::plan::{Base, Plan};
use super::world::World;
use crate::diagnostic::Diagnostic;
use crate::graph::{CopyOp, CopySource, DeclaredArgument, NodeId, Op, SourcePath, Stage, Unpack};
use crate::stage::nodes::Nodes;
use crate::stage::{ImageEnv, Source, StageBuilder, State};

/// A stage that is done.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    index: usize,
    /// The file system that it began with.
    base: NodeId,
    state: State,
    declared: Vec<DeclaredArgument>,
}

/// The stages in their order in the Dockerfile; none where one is not done.
pub(super) type Done = [Option<Finished>];

/// Evaluates a stage; those that it needs are done. What rules find goes to `warnings`, even if there is an error.
pub(super) fn evaluate(
    world: &World<'_>,
    plan: &Plan,
    nodes: &mut Nodes,
    done: &Done,
    (position, index): (usize, usize),
    warnings: &mut Vec<Diagnostic>,
) -> Result<Finished, Diagnostic> {
    let find = |from: &str| source(world, plan, done, index, from);
    let from = &world.dockerfile.lines[world.dockerfile.stages[index].line];
    let state = State::new(plan.stages[index].platform.clone());
    let mut stage = StageBuilder::new(&world.scope, state, &find, nodes, position, from);
    let mut run = Run {
        world,
        plan,
        done,
        index,
        base: NodeId(0),
        stage: &mut stage,
    };
    run.begin();
    let (applied, base) = (run.apply_all(), run.base);
    warnings.append(&mut stage.warnings);
    applied?;
    stage.state.config.env = stage.image_env.to_list();
    Ok(Finished {
        index,
        base,
        state: stage.state,
        declared: stage.declared,
    })
}

/// What `--from` means in a stage.
fn source(
    world: &World<'_>,
    plan: &Plan,
    done: &Done,
    index: usize,
    from: &str,
) -> Result<Source, String> {
    let brings = |op: Op| Source::Op(Box::new(op));
    Ok(match plan.source(world, from)? {
        Base::Scratch => brings(Op::Scratch),
        Base::Context(name) => brings(Op::Context { name: Some(name) }),
        Base::Image(reference) => brings(Op::Image {
            reference,
            platform: world.inputs.platform.clone(),
        }),
        Base::Stage(used) => match &done[used] {
            Some(done) if used < index => Source::Node(done.state.output),
            _ => {
                return Err(format!(
                    "cannot copy from stage {from:?}, it needs to be defined before the stage that uses it"
                ));
            }
        },
    })
}

impl Finished {
    /// The stage of the graph.
    pub(super) fn into_stage(self, world: &World<'_>, plan: &Plan) -> Stage {
        let ast = &world.dockerfile.stages[self.index];
        Stage {
            index: self.index,
            name: ast.from.name.clone(),
            output: self.state.output,
            base: self.base,
            from: plan.stages[self.index].base.clone(),
            image_platform: base::image_platform(world, &self.state),
            platform: self.state.platform,
            config: self.state.config,
            author: self.state.author,
            base_image: self.state.base_image,
            history: self.state.history,
            arguments: self.declared,
            line: world.dockerfile.lines[ast.line].first,
        }
    }
}

struct Run<'r, 'e> {
    world: &'e World<'e>,
    plan: &'e Plan,
    done: &'e Done,
    index: usize,
    base: NodeId,
    stage: &'r mut StageBuilder<'e>,
}

impl Run<'_, '_> {
    fn apply_all(&mut self) -> Result<(), Diagnostic> {
        let from = self.stage.from;
        self.stage.check_budget(from)?;
        if self.plan.stages[self.index].replaced {
            return Ok(());
        }
        self.stage.is_trigger = true;
        for (line, instruction) in self.plan.triggers(self.index) {
            let applied = self
                .stage
                .apply(line, |stage| instruction.apply(line, stage));
            applied.map_err(|error| Diagnostic {
                span: from,
                ..error
            })?;
        }
        self.stage.is_trigger = false;
        for statement in &self.world.dockerfile.stages[self.index].statements {
            let line = &self.world.dockerfile.lines[statement.line];
            let instruction = &statement.instruction;
            self.stage
                .apply(line, |stage| instruction.apply(line, stage))?;
        }
        Ok(())
    }

    /// Takes over what the base gives.
    fn begin(&mut self) {
        let base = &self.plan.stages[self.index].base;
        match base {
            Base::Stage(parent) => self.inherit(*parent),
            Base::Scratch => self.begin_with(Op::Scratch),
            Base::Context(name) => self.begin_with_context(name),
            Base::Image(reference) => self.begin_with_image(reference),
        }
        let stage = &mut *self.stage;
        self.base = stage.state.output;
        stage.image_env = ImageEnv::read(&stage.state.config.env);
        stage.state.config.on_build.clear();
        if !self.world.inputs.language.inherit_labels {
            stage.state.config.labels.clear();
        }
        if !stage.image_env.contains("PATH") && !stage.is_windows() {
            stage.image_env.set("PATH", DEFAULT_PATH);
        }
        for (key, value) in stage.image_env.entries() {
            stage.state.env.set(key, value);
        }
        let continues = matches!(base, Base::Stage(_));
        for (key, value) in self.world.inputs.language.env.iter().filter(|_| !continues) {
            stage.set_env(key, value);
        }
        let folder = &mut stage.state.config.working_dir;
        if !folder.is_empty() {
            *folder = crate::path::written("/", folder);
        }
    }

    fn inherit(&mut self, parent: usize) {
        // The caller skips stages whose parent is not done.
        if let Some(parent) = &self.done[parent] {
            self.stage.state = State {
                weight: self.stage.state.weight,
                ..parent.state.clone()
            };
            self.stage.spend(parent.state.weight);
        }
    }

    /// The empty configuration on what an operation brings.
    fn begin_with(&mut self, op: Op) {
        self.stage.state.config = RuntimeConfig {
            working_dir: "/".to_owned(),
            ..RuntimeConfig::default()
        };
        self.stage.state.output = self.stage.base_node(op);
    }

    fn begin_with_image(&mut self, reference: &str) {
        let world = self.world;
        let asked = self.stage.state.platform.clone();
        self.stage.state.base_is_known = world.bases.is_known(reference, &asked);
        let config = world.bases.get(reference, &asked);
        if let Some(config) = config {
            let state = &mut self.stage.state;
            state.config = config.config.clone();
            state.author.clone_from(&config.author);
            state.base_image = Some(config.clone());
            self.stage.spend(config.to_bytes().len());
        }
        if let Some(actual) = config.map(ImageConfig::platform) {
            self.stage.state.platform = base::platform(world, self.plan, self.index, &actual);
        }
        self.stage.state.output = self.stage.base_node(match config {
            Some(config) if !base::has_layers(config) => Op::Scratch,
            _ => Op::Image {
                reference: reference.to_owned(),
                platform: asked,
            },
        });
    }

    /// All files of a context, copied into the empty file system.
    fn begin_with_context(&mut self, name: &str) {
        self.begin_with(Op::Scratch);
        let stage = &mut *self.stage;
        let from = stage.base_node(Op::Context {
            name: Some(name.to_owned()),
        });
        let root = SourcePath {
            pattern: String::new(),
            pivot: String::new(),
        };
        let copy = Op::Copy(CopyOp {
            base: stage.state.output,
            sources: vec![CopySource::Files {
                from,
                paths: vec![root],
            }],
            destination: "/".to_owned(),
            chown: None,
            chmod: None,
            link: false,
            parents: false,
            exclude: Vec::new(),
            unpack: Unpack::No,
            is_add: false,
        });
        let (span, title) = (Some(stage.from), format!("FROM {name}"));
        stage.state.output = stage.add_node(copy, span, title);
    }
}
