//! The result of evaluating a Dockerfile: operations on file systems, and the stages that end in them. Plain data; unaware of caches, keys,
//! mounts and processes.
//!
//! Metadata instructions (`ENV`, `LABEL`, `CMD`, …) never become operations: they change the [`Stage`]'s `config` and add a
//! [`HistoryStep`] without a node. Equal operations are merged, so two stages that do the same work on the same inputs share their nodes.

use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::redact;
use crate::source::Span;

pub use copy::{CopyOp, CopySource, GitSource, SourcePath, Unpack};
pub use run::{
    BindMount, CacheMount, Device, HeredocFile, Network, ProxyEnv, RunMount, RunOp, SecretMount,
    Security, Sharing, SshMount,
};
mod copy;
mod run;

use kiln_oci::{ImageConfig, Platform, RuntimeConfig};

/// Position of a [`Node`] in [`StageGraph::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct NodeId(pub usize);

/// Everything that a build of one target needs, in an order that can be executed.
#[derive(Clone, Debug, Serialize)]
pub struct StageGraph {
    /// All operations. The inputs of a node always have smaller ids than the node itself.
    pub nodes: Vec<Node>,
    /// The stages that the target can reach, in Dockerfile order.
    pub stages: Vec<Stage>,
    /// Position of the target in `stages`.
    pub target: usize,
    /// Warnings that only evaluation can find (undefined variables, wrong platforms, …).
    pub warnings: Vec<Diagnostic>,
    /// Names given with `--build-arg` that no `ARG` consumed, sorted.
    pub unused_build_args: Vec<String>,
    /// The time, in seconds, that all times are clamped to: the command line's, or the default
    /// of a global `ARG SOURCE_DATE_EPOCH`.
    pub source_date_epoch: Option<i64>,
}

/// One operation and where it comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Node {
    /// Its own position in [`StageGraph::nodes`].
    pub id: NodeId,
    /// What to do.
    pub op: Op,
    /// Position in [`StageGraph::stages`] of the first stage that uses it. Sources (images,
    /// contexts) have one too: the stage that first asked for them.
    pub stage: Option<usize>,
    /// The instruction's byte range in the Dockerfile; none for an `ONBUILD` trigger. Of images
    /// and contexts: the place that first asks for them (`FROM`, the value of `--from`, `COPY`).
    pub span: Option<Span>,
    /// 1-based line of the instruction (of `FROM`, for a trigger).
    pub line: u32,
    /// The instruction for people: `RUN apt-get update`, variables not expanded.
    pub title: String,
}

/// An operation on file systems. `NodeId` fields are its inputs; all else is its definition.
///
/// The serialised form with its inputs blanked ([`Op::definition`]) is deterministic and may
/// be hashed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// The empty file system.
    Scratch,
    /// The file system of an image.
    Image {
        /// The reference as written, variables expanded: `alpine:3.20`, `x@sha256:…`.
        reference: String,
        /// The platform whose manifest is wanted.
        platform: Platform,
    },
    /// A folder of the caller's machine.
    Context {
        /// None is the main build context, else the name of a `--build-context`.
        name: Option<String>,
    },
    /// `COPY` and `ADD`.
    Copy(CopyOp),
    /// `WORKDIR`: make a directory (mode 0755) and its missing parents, all owned by `user`.
    MakeDirectory {
        /// The file system to change.
        base: NodeId,
        /// Absolute, cleaned path; never `/`.
        path: String,
        /// The current `USER` (`""` is root), names unresolved: `app`, `1000:1000`.
        user: String,
    },
    /// `RUN`.
    Run(RunOp),
}

/// One stage that the target can reach.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// Its number among all stages of the Dockerfile.
    pub index: usize,
    /// Its name, lower case.
    pub name: Option<String>,
    /// Its file system at the end.
    pub output: NodeId,
    /// The file system it started from.
    pub base: NodeId,
    /// What its `FROM` means.
    pub from: StageBase,
    /// The platform it is built for.
    pub platform: Platform,
    /// The platform that an image of it names (see [`crate::inputs::Inputs::platform_is_given`]).
    pub image_platform: Platform,
    /// Its runtime configuration at the end (`--label` applied in the target only).
    pub config: RuntimeConfig,
    /// `MAINTAINER`, or the base's.
    pub author: Option<String>,
    /// The configuration of the image it is based on, directly or through other stages: its
    /// `rest` fields, history and layers continue in this stage. None for scratch.
    pub base_image: Option<ImageConfig>,
    /// What this stage and the stages it is based on add to the history of `base_image`,
    /// oldest first.
    pub history: Vec<HistoryStep>,
    /// What its `ARG`s declare, in order.
    pub arguments: Vec<DeclaredArgument>,
    /// 1-based line of its `FROM`.
    pub line: u32,
}

/// What a stage begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StageBase {
    /// Nothing.
    Scratch,
    /// What the stage of this number ended with.
    Stage(usize),
    /// An image, by its reference as written, variables expanded.
    Image(String),
    /// A named context.
    Context(String),
}

/// An argument that an `ARG` of a stage declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeclaredArgument {
    /// Its name.
    pub name: String,
    /// Its value, expanded; None if nobody gave it one.
    pub value: Option<String>,
    /// Its description in the comment above (`# NAME description`), or nothing.
    pub description: String,
    /// The value is that of the global argument of the same name.
    pub is_imported: bool,
    /// The instruction, or the `FROM` that triggers it.
    pub span: Span,
}

/// One entry of an image's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryStep {
    /// As BuildKit writes it: `ENV A=b`, `COPY src dst # buildkit`,
    /// `RUN |1 A=b /bin/sh -c make # buildkit`.
    pub created_by: String,
    /// The operation that makes the layer; None for metadata (`empty_layer`).
    pub node: Option<NodeId>,
    /// 1-based line of the instruction (of `FROM`, for a trigger).
    pub line: u32,
    /// The instruction as it is written, without heredocs and without the credentials of addresses.
    pub text: String,
    /// `buildkit.dockerfile.v0`: what tools know as "one entry an instruction".
    pub comment: &'static str,
}

impl StageGraph {
    /// The node of an id of this graph.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The stage that is built.
    pub fn target_stage(&self) -> &Stage {
        &self.stages[self.target]
    }
}

impl Op {
    /// The file system that it changes.
    pub fn base(&self) -> Option<NodeId> {
        match self {
            Op::Scratch | Op::Image { .. } | Op::Context { .. } => None,
            Op::Copy(copy) => Some(copy.base),
            Op::MakeDirectory { base, .. } => Some(*base),
            Op::Run(run) => Some(run.base),
        }
    }

    /// Its inputs, in the order of their fields; a node used twice is there twice.
    pub fn inputs(&self) -> Vec<NodeId> {
        let mut ids = Vec::new();
        let _same = self.clone().map_inputs(|id| {
            ids.push(id);
            id
        });
        ids
    }

    /// The operation with all its inputs replaced by what `f` gives for them, in the order of
    /// [`Op::inputs`].
    #[must_use]
    pub fn map_inputs(mut self, mut f: impl FnMut(NodeId) -> NodeId) -> Self {
        match &mut self {
            Op::Scratch | Op::Image { .. } | Op::Context { .. } => {}
            Op::MakeDirectory { base, .. } => *base = f(*base),
            Op::Copy(copy) => {
                copy.base = f(copy.base);
                for source in &mut copy.sources {
                    if let CopySource::Files { from, .. } = source {
                        *from = f(*from);
                    }
                }
            }
            Op::Run(run) => {
                run.base = f(run.base);
                let from = run.mounts.iter_mut().filter_map(RunMount::source_mut);
                from.for_each(|from| *from = f(*from));
            }
        }
        self
    }

    /// The operation without its inputs (all ids are 0) and without the credentials of addresses: what a definition digest covers.
    #[must_use]
    pub fn definition(&self) -> Self {
        let mut definition = self.clone().map_inputs(|_| NodeId(0));
        if let Op::Copy(copy) = &mut definition {
            for source in &mut copy.sources {
                let address = match source {
                    CopySource::Url { url, .. } => url,
                    CopySource::Git(git) => &mut git.remote,
                    CopySource::Files { .. } | CopySource::Inline { .. } => continue,
                };
                *address = redact::credentials(address).into_owned();
            }
        }
        definition
    }
}
