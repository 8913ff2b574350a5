//! How a stage begins: what it takes over from its base.

use kiln_oci::{ImageConfig, Platform, RuntimeConfig};

use super::StageBuilder;
use crate::evaluate::base;
use crate::evaluate::environment::ImageEnv;
use crate::evaluate::nodes::Origin;
use crate::evaluate::plan::Base;
use crate::graph::{CopyOp, CopySource, NodeId, Op, SourcePath, Unpack};
use crate::source::Span;

/// The `PATH` of images that have none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl StageBuilder<'_> {
    /// Takes over what the base gives.
    pub(super) fn begin(&mut self) {
        match &self.plan.stages[self.index].base {
            Base::Stage(parent) => self.inherit(*parent),
            Base::Scratch => {
                self.config = empty_config();
                self.output = self.base_source(Op::Scratch);
            }
            Base::Context(name) => {
                self.config = empty_config();
                self.output = self.context_as_root(name);
            }
            Base::Image(reference) => self.begin_with_image(reference),
        }
        self.base = self.output;
        self.image_env = ImageEnv::read(&self.config.env);
        self.config.on_build.clear();
        if !self.world.inputs.inherit_labels {
            self.config.labels.clear();
        }
        if !self.image_env.contains("PATH") && self.platform.os != "windows" {
            self.image_env.set("PATH", DEFAULT_PATH);
        }
        for (key, value) in self.image_env.entries() {
            self.env.set(key, value);
        }
        let continues = matches!(self.plan.stages[self.index].base, Base::Stage(_));
        for (key, value) in self.world.inputs.env.iter().filter(|_| !continues) {
            self.set_env(key, value);
        }
        if !self.config.working_dir.is_empty() {
            self.config.working_dir = crate::path::written("/", &self.config.working_dir);
        }
    }

    fn inherit(&mut self, parent: usize) {
        // The caller skips stages whose parent is not done.
        let Some(parent) = &self.done[parent] else {
            return;
        };
        self.spend(parent.weight);
        self.config = parent.stage.config.clone();
        self.author.clone_from(&parent.stage.author);
        self.platform = parent.stage.platform.clone();
        self.base_image.clone_from(&parent.stage.base_image);
        self.history.clone_from(&parent.stage.history);
        self.output = parent.stage.output;
        self.env = parent.env.clone();
        self.arguments.clone_from(&parent.arguments);
        self.workdir_is_set = parent.workdir_is_set;
        self.base_is_known = parent.base_is_known;
    }

    fn begin_with_image(&mut self, reference: &str) {
        self.base_is_known = self.world.bases.is_known(reference, &self.platform);
        let asked = self.platform.clone();
        let config = self.world.bases.get(reference, &asked);
        if let Some(config) = config {
            self.config = config.config.clone();
            self.author.clone_from(&config.author);
            self.base_image = Some(config.clone());
            self.spend(config.to_bytes().len());
        }
        let has_layers = config.is_none_or(base::has_layers);
        if let Some(actual) = config.map(ImageConfig::platform) {
            self.platform = base::platform(self.world, self.plan, self.index, &actual);
        }
        self.output = if has_layers {
            self.base_source(Op::Image {
                reference: reference.to_owned(),
                platform: asked,
            })
        } else {
            self.base_source(Op::Scratch)
        };
    }

    /// What an image of this stage says that it is for: what the user named, else what its base says. Where both are of one
    /// processor, a variant that only the base names stays.
    pub(super) fn image_platform(&self) -> Platform {
        let base = self.base_image.as_ref().map(ImageConfig::platform);
        let inputs = self.world.inputs;
        let mut platform = base.unwrap_or_else(|| self.platform.clone());
        if inputs.platform_is_given {
            let given = &inputs.platform;
            let is_same =
                (&platform.os, &platform.architecture) == (&given.os, &given.architecture);
            let kept = |own: &Option<String>, base: Option<String>| {
                own.clone().or(base.filter(|_| is_same))
            };
            platform = Platform {
                os: given.os.clone(),
                architecture: given.architecture.clone(),
                variant: kept(&given.variant, platform.variant),
                os_version: kept(&given.os_version, platform.os_version),
                os_features: platform.os_features,
            };
        }
        platform.normalized()
    }

    fn context_as_root(&mut self, name: &str) -> NodeId {
        let base = self.base_source(Op::Scratch);
        let from = self.base_source(Op::Context {
            name: Some(name.to_owned()),
        });
        let root = SourcePath {
            pattern: String::new(),
            pivot: String::new(),
        };
        let copy = Op::Copy(CopyOp {
            base,
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
        self.titled_source(copy, self.base_span(), format!("FROM {name}"))
    }

    fn base_span(&self) -> Span {
        self.plan.stages[self.index].span
    }

    /// A node that `FROM` asks for.
    fn base_source(&mut self, op: Op) -> NodeId {
        self.source_node(op, self.base_span())
    }

    /// A node that the text at `span` asks for; for triggers it is `FROM`.
    pub(super) fn source_node(&mut self, op: Op, span: Span) -> NodeId {
        let title = match &op {
            Op::Image { reference, .. } => format!("FROM {reference}"),
            Op::Context { name: None } => "load build context".to_owned(),
            Op::Context { name: Some(name) } => format!("load context {name}"),
            _ => "FROM scratch".to_owned(),
        };
        self.titled_source(op, self.place(span), title)
    }

    fn titled_source(&mut self, op: Op, span: Span, title: String) -> NodeId {
        let (stage, line) = (self.position, self.line);
        self.nodes.add(op, || Origin {
            stage,
            span: Some(span),
            line,
            title,
        })
    }
}

/// The configuration of `FROM scratch`.
fn empty_config() -> RuntimeConfig {
    RuntimeConfig {
        working_dir: "/".to_owned(),
        ..RuntimeConfig::default()
    }
}
