//! What a caller asks of one build. Plain data; unaware of how the command line spells it.

use crate::exchange::{CacheFrom, CacheTo};
use crate::host::agent::AgentSource;
use crate::image::export::Exporter;
use crate::image::squash::Squash;
use crate::request::annotations::Annotation;
use crate::request::policy::Policy;
use crate::source::image::Pull;
use kiln_oci::{Digest, Platform, Reference};
use kiln_parser::graph::{GitSource, Network};
use kiln_parser::inputs::Entitlement;
use kiln_sandbox::Limits;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A Dockerfile that was read.
#[derive(Debug, Clone)]
pub struct DockerfileText {
    /// What messages call it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Text of `<Dockerfile>.dockerignore`, which replaces the context's own.
    pub ignore: Option<String>,
    /// Whether some of its bytes were no UTF-8 and were replaced.
    pub is_repaired: bool,
}

impl DockerfileText {
    /// Of the bytes of a file, which messages call `name`.
    #[must_use]
    pub fn of_bytes(name: String, bytes: Vec<u8>) -> Self {
        let (text, is_repaired) = match String::from_utf8(bytes) {
            Ok(text) => (text, false),
            Err(error) => (repaired(error.as_bytes()), true),
        };
        DockerfileText {
            name,
            text,
            ignore: None,
            is_repaired,
        }
    }
}

/// Text with U+FFFD in the place of each byte that is no UTF-8: what becomes of them in the documents that BuildKit writes.
#[must_use]
pub fn repaired(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// What `--secret` gives: the content, which no message, event or debug output ever shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Of a content.
    #[must_use]
    pub fn new(content: Vec<u8>) -> Self {
        Secret(content)
    }
}

impl std::ops::Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a build context is: the main one, or what `--build-context NAME=…` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextSource {
    /// A folder; its own `.dockerignore` applies.
    Directory(PathBuf),
    /// Programs of the host with what they need.
    HostTools(Vec<String>),
    /// An image of the store.
    Image(String),
    /// Another stage.
    Stage(String),
    /// A file by http(s), called `context`. As the main context: a Dockerfile, or an archive with all files.
    File {
        /// The address.
        url: String,
        /// What its content must be, as `algorithm:hex`.
        checksum: Option<String>,
    },
    /// A git repository.
    Git(GitSource),
    /// A tar, perhaps compressed.
    Archive(PathBuf),
    /// An image of an OCI layout: its folder, and a tag or digest where it has several.
    OciLayout(PathBuf, Option<String>),
    /// What is read from standard input: a Dockerfile or a tar. Only the main context.
    Stream,
    /// Files that were fetched: a layer of the store, or none for no files.
    Layer(Option<Digest>),
}

impl ContextSource {
    /// The folder of the caller's machine, if it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            ContextSource::Directory(folder) => Some(folder),
            _ => None,
        }
    }
}

/// Where a Dockerfile is that the caller could not read itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// In the main context, under this name or a usual one.
    InContext(Option<String>),
    /// At an address.
    File {
        /// The address.
        url: String,
        /// What its content must be, as `algorithm:hex`.
        checksum: Option<String>,
    },
}

/// `--volume`: a folder or file of the machine in every RUN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Where it is, without links.
    pub source: PathBuf,
    /// Where RUN sees it: absolute, without `..`.
    pub target: String,
    /// What becomes of changes.
    pub access: VolumeAccess,
}

/// What a RUN may do with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeAccess {
    /// Change it.
    Kept,
    /// Read it.
    ReadOnly,
    /// Change what it sees; the next RUN sees the folder as it is.
    Dropped,
}

/// One build.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The Dockerfile.
    pub dockerfile: DockerfileText,
    /// Where the Dockerfile is, if it still has to be read ([`open`](crate::source::open::open)).
    pub unread: Option<Unread>,
    /// The main context.
    pub context: ContextSource,
    /// `--ignorefile`: text that is used instead of any `.dockerignore` of the main context.
    pub ignore_file: Option<String>,
    /// Named contexts, by lower-case name.
    pub contexts: BTreeMap<String, ContextSource>,
    /// Names for the image.
    pub tags: Vec<Reference>,
    /// `--manifest`: the index that the images are put into.
    pub manifest: Option<Reference>,
    /// `--build-arg`, values resolved.
    pub build_args: BTreeMap<String, String>,
    /// `--target`.
    pub target: Option<String>,
    /// `--from`: the base of the first stage.
    pub from: Option<String>,
    /// `--env`: what every stage begins with.
    pub env: BTreeMap<String, String>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--secret`, contents read.
    pub secrets: BTreeMap<String, Secret>,
    /// `--ssh`, by id.
    pub ssh: BTreeMap<String, AgentSource>,
    /// Execute everything.
    pub no_cache: bool,
    /// `--no-cache-filter`: stages, by name or number, whose steps are executed whatever the cache holds.
    pub no_cache_filter: BTreeSet<String>,
    /// `--cache-ttl`: seconds after which a result is no longer used.
    pub cache_ttl: Option<i64>,
    /// `--network`.
    pub network: Network,
    /// `--allow`.
    pub allow: BTreeSet<Entitlement>,
    /// RUNs at once; `None` for all that are ready.
    pub jobs: Option<usize>,
    /// What is built for, at least one and none twice. Several give an index.
    pub platforms: Vec<Platform>,
    /// Whether they are the user's wish: if not, a base for another platform that runs here decides.
    pub platform_is_given: bool,
    /// An index also for one platform (`BUILDKIT_MULTI_PLATFORM=1`).
    pub always_index: bool,
    /// `SOURCE_DATE_EPOCH`, from the environment or a build-arg.
    pub source_date_epoch: Option<i64>,
    /// The time of the main context's commit, of its last change, or of its newest file; none of a folder.
    pub context_time: Option<i64>,
    /// `--add-host`: name and address.
    pub extra_hosts: Vec<(String, String)>,
    /// `--no-hosts`: RUN sees the `/etc/hosts` of its root.
    pub no_hosts: bool,
    /// `--pull`: whether registries are asked for base images.
    pub pull: Pull,
    /// `--shm-size`, bytes.
    pub shm_size: Option<u64>,
    /// `--annotation`, in their order.
    pub annotations: Vec<Annotation>,
    /// `--unsetenv`: variables that the image does not set.
    pub unset_env: BTreeSet<String>,
    /// `--unsetlabel`: labels that the image does not have.
    pub unset_labels: BTreeSet<String>,
    /// Whether stages take over the labels of their base; not with `--inherit-labels=false`.
    pub inherit_labels: bool,
    /// `--omit-history`: the image says nothing of how it was made.
    pub omit_history: bool,
    /// `--save-stages`: stages that the target needs stay as images.
    pub save_stages: bool,
    /// `--stage-labels`: all images say which stage they are.
    pub stage_labels: bool,
    /// `--layer-label`: of the stages that stay.
    pub layer_labels: BTreeMap<String, String>,
    /// `--squash`, `--squash-all`: layers that become one.
    pub squash: Squash,
    /// `--cache-from`: whose results are taken, in this order.
    pub cache_from: Vec<CacheFrom>,
    /// `--cache-to`: who gets the results.
    pub cache_to: Vec<CacheTo>,
    /// `--output`: where the result goes besides the store, in this order.
    pub outputs: Vec<Arc<dyn Exporter>>,
    /// `--ulimit`: name, soft and hard limit of every RUN; `u64::MAX` is unlimited.
    pub ulimits: Vec<(String, u64, u64)>,
    /// `--source-policy-file`: what may be taken from outside.
    pub policies: Vec<Policy>,
    /// `--memory` and its family: what every RUN may use of the machine. No part of keys, as in docker: a limit decides whether a RUN
    /// succeeds and how long it takes, not what it makes.
    pub limits: Limits,
    /// `--volume`: what every RUN sees of the machine.
    pub volumes: Vec<Volume>,
    /// `--stdin`: what RUN reads, one after the other.
    pub stdin: Option<Arc<OwnedFd>>,
    /// What there is to say about the options: warnings at the begin of the build.
    pub notices: Vec<String>,
}

impl BuildOptions {
    /// What every RUN can notice of the options, under the flags' names; nothing for flags that were not given. Not the limits: see there.
    #[must_use]
    pub fn surroundings(&self) -> Vec<(&'static str, String)> {
        let mut given = Vec::new();
        if !self.extra_hosts.is_empty() {
            given.push(("--add-host", format!("{:?}", self.extra_hosts)));
        }
        if self.no_hosts {
            given.push(("--no-hosts", String::new()));
        }
        if let Some(size) = self.shm_size {
            given.push(("--shm-size", size.to_string()));
        }
        if !self.ulimits.is_empty() {
            given.push(("--ulimit", format!("{:?}", self.ulimits)));
        }
        if !self.volumes.is_empty() {
            given.push(("--volume", format!("{:?}", self.volumes)));
        }
        given
    }
}

impl BuildOptions {
    /// What is used instead of the main context's own `.dockerignore`.
    #[must_use]
    pub fn ignore(&self) -> Option<&str> {
        let of_dockerfile = self.dockerfile.ignore.as_deref();
        self.ignore_file.as_deref().or(of_dockerfile)
    }

    /// What is built for, or what comes first of it.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.platforms
            .first()
            .cloned()
            .unwrap_or_else(Platform::host)
    }

    /// Whether the result is an index.
    #[must_use]
    pub fn makes_index(&self) -> bool {
        self.always_index || self.platforms.len() > 1
    }

    /// A build of this Dockerfile for this machine, and nothing else asked.
    #[must_use]
    pub fn new(dockerfile: DockerfileText, context: ContextSource) -> Self {
        BuildOptions {
            dockerfile,
            unread: None,
            context,
            ignore_file: None,
            contexts: BTreeMap::new(),
            tags: Vec::new(),
            manifest: None,
            build_args: BTreeMap::new(),
            target: None,
            from: None,
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            secrets: BTreeMap::new(),
            ssh: BTreeMap::new(),
            no_cache: false,
            no_cache_filter: BTreeSet::new(),
            cache_ttl: None,
            network: Network::Default,
            allow: BTreeSet::new(),
            jobs: None,
            platforms: vec![Platform::host()],
            platform_is_given: false,
            always_index: false,
            source_date_epoch: None,
            context_time: None,
            extra_hosts: Vec::new(),
            no_hosts: false,
            pull: Pull::default(),
            shm_size: None,
            annotations: Vec::new(),
            unset_env: BTreeSet::new(),
            unset_labels: BTreeSet::new(),
            inherit_labels: true,
            omit_history: false,
            save_stages: false,
            stage_labels: false,
            layer_labels: BTreeMap::new(),
            squash: Squash::default(),
            cache_from: Vec::new(),
            cache_to: Vec::new(),
            outputs: Vec::new(),
            ulimits: Vec::new(),
            policies: Vec::new(),
            limits: Limits::default(),
            volumes: Vec::new(),
            stdin: None,
            notices: Vec::new(),
        }
    }
}
