//! The result of evaluating a Dockerfile: operations on file systems, and the stages that
//! end in them. Plain data; it is unaware of caches, keys, mounts and processes.
//!
//! Metadata instructions (`ENV`, `LABEL`, `CMD`, …) never become operations: they change the
//! [`Stage`]'s `config` and add a [`HistoryStep`] without a node. Equal operations are merged,
//! so two stages that do the same work on the same inputs share their nodes.

use serde::Serialize;

use crate::chmod::Chmod;
use crate::diagnostic::Diagnostic;
use crate::source::Span;
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
    /// The instruction's byte range in the Dockerfile; none for an `ONBUILD` trigger.
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

/// `COPY` and `ADD`: put `sources` at `destination` in `base`.
///
/// Semantics that the executor owes (BuildKit's): a directory source gives its contents; a
/// symlink named as a source is followed, one inside a tree is kept; a wildcard may match
/// nothing, a path without wildcards must exist; missing parents are made 0755 and take
/// `chown`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct CopyOp {
    /// The file system to change. With `link` it is only what the new layer is put upon.
    pub base: NodeId,
    /// In the order written; later ones overwrite earlier ones.
    pub sources: Vec<CopySource>,
    /// Absolute and cleaned; a trailing slash (also from `.` or a `WORKDIR`-relative `x/`) is
    /// kept and means "a directory".
    pub destination: String,
    /// `--chown=user[:group]`, expanded, names unresolved. None keeps the owner of files that
    /// come from images and stages; files from contexts, URLs, git and heredocs are 0:0.
    pub chown: Option<String>,
    /// `--chmod`.
    pub chmod: Option<Chmod>,
    /// `--link`: the layer is made without looking at `base`. Already false where the
    /// reference ignores it.
    pub link: bool,
    /// `--parents`: keep the directories of each source below its pivot.
    pub parents: bool,
    /// `--exclude` patterns in the order given (`.dockerignore` syntax, relative to each source).
    pub exclude: Vec<String>,
    /// Whether archives are unpacked.
    pub unpack: Unpack,
    /// True for `ADD`.
    pub is_add: bool,
}

/// One group of sources of a [`CopyOp`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum CopySource {
    /// Paths in a context, a stage or an image.
    Files {
        /// Where they are.
        from: NodeId,
        /// In the order written.
        paths: Vec<SourcePath>,
    },
    /// A heredoc: a file of mode 0644, 0:0.
    Inline {
        /// The delimiter, which is the file's name if the destination is a directory.
        name: String,
        /// Variables expanded and tabs stripped already.
        content: String,
    },
    /// `ADD https://…`: a file of mode 0600, 0:0, with the time of `Last-Modified`.
    Url {
        /// The address, expanded.
        url: String,
        /// The file's name if the destination is a directory (last part of the URL's path).
        name: String,
        /// `--checksum`, as `algorithm:hex`.
        checksum: Option<String>,
    },
    /// `ADD` of a git repository.
    Git(GitSource),
}

/// A path or pattern of `COPY`, relative to the root of its source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct SourcePath {
    /// Cleaned, no leading or trailing slash, `..` clamped to the root; `""` is the root
    /// itself. May hold wildcards (see [`crate::glob`]); with `--parents` also `**`.
    pub pattern: String,
    /// With `--parents`: the directory (cleaned like `pattern`, may hold wildcards) that
    /// `pattern` starts from and whose name is dropped, i.e. what stood before `/./`;
    /// `""` when there was no pivot. Always `""` without `--parents`.
    pub pivot: String,
}

/// A git repository as a source of `ADD`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct GitSource {
    /// The address without fragment and query: `https://github.com/a/b.git`.
    pub remote: String,
    /// Branch, tag or commit; None is the remote's HEAD.
    pub reference: Option<String>,
    /// Folder of the repository that is copied; None is all of it.
    pub subdir: Option<String>,
    /// Prefix (at least 7 hex digits) that the commit must have.
    pub checksum: Option<String>,
    /// `--keep-git-dir` (or the URL's own `keep-git-dir`).
    pub keep_git_dir: bool,
    /// Fetch submodules (the default).
    pub submodules: bool,
}

/// Whether `ADD` and `COPY` unpack archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unpack {
    /// Never: `COPY`, `ADD --unpack=false`, `ADD` of a URL.
    No,
    /// Local files of `ADD` that are archives by content are unpacked, others are copied.
    Auto,
    /// `ADD --unpack=true`: files from URLs are unpacked too if they are archives.
    Yes,
}

/// `RUN`: one process in a file system.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct RunOp {
    /// The root file system, which the process changes.
    pub base: NodeId,
    /// What is executed. The shell form has `SHELL` in front already. A heredoc that is a
    /// program by itself (`#!`) is `["/dev/pipes/NAME"]` with one entry in `heredocs`.
    pub argv: Vec<String>,
    /// The command for people, as written.
    pub command_display: String,
    /// `KEY=value`: the stage's `ENV` with the `ARG`s in scope, each key once, in order.
    pub env: Vec<String>,
    /// Absolute working directory. It may not exist in `base` when no `WORKDIR` made it.
    pub cwd: String,
    /// The current `USER` (`""` is root), names unresolved.
    pub user: String,
    /// In the order written.
    pub mounts: Vec<RunMount>,
    /// `--network`, else the build's.
    pub network: Network,
    /// `--security`.
    pub security: Security,
    /// Files to show at `/dev/pipes/NAME`.
    pub heredocs: Vec<HeredocFile>,
    /// Predefined proxy variables (`KEY=value`) given with `--build-arg`. Part of the
    /// process's environment, not of its definition: they are neither serialised nor compared.
    #[serde(skip)]
    pub proxy_env: ProxyEnv,
    /// `--device`.
    pub devices: Vec<Device>,
    /// Host name to show (`BUILDKIT_SANDBOX_HOSTNAME`).
    pub hostname: Option<String>,
}

/// Environment that must not influence keys: all values compare equal.
#[derive(Clone, Debug, Default)]
pub struct ProxyEnv(pub Vec<String>);

impl PartialEq for ProxyEnv {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for ProxyEnv {}
impl std::hash::Hash for ProxyEnv {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

/// A file that stands at `/dev/pipes/NAME` while the process runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct HeredocFile {
    /// The delimiter.
    pub name: String,
    /// As the process reads it.
    pub content: String,
    /// Mode 0755 instead of 0644: the file is itself the program.
    pub executable: bool,
}

/// `RUN --device`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Device {
    /// CDI name: `vendor/class`, `vendor/class=name`, `vendor/class=*`.
    pub name: String,
    /// Whether its absence is an error.
    pub required: bool,
}

/// `RUN --mount`. Targets are absolute and cleaned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RunMount {
    /// A file or folder of another file system; writes (with `rw`) are thrown away.
    Bind {
        /// Where it is.
        from: NodeId,
        /// Path in `from`, absolute and cleaned; `/` is its root.
        source: String,
        /// Path in the root file system.
        target: String,
        /// Writable.
        rw: bool,
    },
    /// A directory that is kept between builds. Its content never enters the layer.
    Cache {
        /// Its name; the cleaned target if not given. Holds the namespace
        /// (`BUILDKIT_CACHE_MOUNT_NS`) as `ns/id` if there is one.
        id: String,
        /// Path in the root file system.
        target: String,
        /// What several users at once do.
        sharing: Sharing,
        /// Initial content.
        from: Option<NodeId>,
        /// Path in `from`; `/` is its root.
        source: String,
        /// Mode of a new cache directory.
        mode: u32,
        /// Owner of a new cache directory.
        uid: u32,
        /// Group of a new cache directory.
        gid: u32,
        /// Read-only.
        ro: bool,
    },
    /// An empty file system in memory.
    Tmpfs {
        /// Path in the root file system.
        target: String,
        /// Limit in bytes.
        size: Option<u64>,
    },
    /// A secret as a file, an environment variable or both.
    Secret {
        /// Its name at `--secret`.
        id: String,
        /// File to show it as.
        target: Option<String>,
        /// Environment variable to set.
        env: Option<String>,
        /// Whether its absence is an error.
        required: bool,
        /// Mode of the file.
        mode: u32,
        /// Owner of the file.
        uid: u32,
        /// Group of the file.
        gid: u32,
    },
    /// An SSH agent's socket; `SSH_AUTH_SOCK` points to it.
    Ssh {
        /// Its name at `--ssh`.
        id: String,
        /// Socket's path; None is `/run/buildkit/ssh_agent.N`, N counted from 0 in one RUN.
        target: Option<String>,
        /// Whether its absence is an error.
        required: bool,
        /// Mode of the socket.
        mode: u32,
        /// Owner of the socket.
        uid: u32,
        /// Group of the socket.
        gid: u32,
    },
}

/// What several RUNs that use one cache mount at once do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// Use it at once.
    #[default]
    Shared,
    /// Each has its own; a new one is made if all are in use.
    Private,
    /// Wait for each other.
    Locked,
}

/// Network of a `RUN`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The engine's default.
    #[default]
    Default,
    /// Loopback only.
    None,
    /// The host's; needs an entitlement.
    Host,
}

/// Confinement of a `RUN`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// As usual.
    #[default]
    Sandbox,
    /// Privileged; needs an entitlement.
    Insecure,
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
    /// The platform it is built for.
    pub platform: Platform,
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
    /// 1-based line of its `FROM`.
    pub line: u32,
}

/// One entry of an image's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryStep {
    /// As BuildKit writes it: `ENV A=b`, `COPY src dst # buildkit`,
    /// `RUN |1 A=b /bin/sh -c make # buildkit`.
    pub created_by: String,
    /// The operation that makes the layer; None for metadata (`empty_layer`).
    pub node: Option<NodeId>,
    /// 1-based line of the instruction.
    pub line: u32,
    /// `buildkit.dockerfile.v0`: what tools know as "one entry an instruction".
    pub comment: String,
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
                for mount in &mut run.mounts {
                    match mount {
                        RunMount::Bind { from, .. }
                        | RunMount::Cache {
                            from: Some(from), ..
                        } => *from = f(*from),
                        _ => {}
                    }
                }
            }
        }
        self
    }

    /// The operation without its inputs (all ids are 0): what a definition digest covers.
    #[must_use]
    pub fn definition(&self) -> Self {
        self.clone().map_inputs(|_| NodeId(0))
    }
}
