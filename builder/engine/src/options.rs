//! What a caller asks of one build. Plain data; unaware of how the command line spells it.

use kiln_oci::{Platform, Reference};
use kiln_parser::graph::Network;
use kiln_parser::inputs::Entitlement;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A Dockerfile that was read.
#[derive(Debug, Clone)]
pub struct DockerfileText {
    /// What messages call it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Text of `<Dockerfile>.dockerignore`, which replaces the context's own.
    pub ignore: Option<String>,
}

/// What `--build-context NAME=…` says.
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
}

/// One build.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The Dockerfile.
    pub dockerfile: DockerfileText,
    /// The main context's folder.
    pub context: PathBuf,
    /// Named contexts, by lower-case name.
    pub contexts: BTreeMap<String, ContextSource>,
    /// Names for the image.
    pub tags: Vec<Reference>,
    /// `--build-arg`, values resolved.
    pub build_args: BTreeMap<String, String>,
    /// `--target`.
    pub target: Option<String>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--secret`, contents read.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Execute everything.
    pub no_cache: bool,
    /// `--network`.
    pub network: Network,
    /// `--allow`.
    pub allow: BTreeSet<Entitlement>,
    /// RUNs at once; `None` for all that are ready.
    pub jobs: Option<usize>,
    /// What is built for.
    pub platform: Platform,
    /// `SOURCE_DATE_EPOCH`, from the environment or a build-arg.
    pub source_date_epoch: Option<i64>,
    /// `--add-host`: name and address.
    pub extra_hosts: Vec<(String, String)>,
    /// `--shm-size`, bytes.
    pub shm_size: Option<u64>,
}

impl BuildOptions {
    /// A build of this Dockerfile for this machine, and nothing else asked.
    #[must_use]
    pub fn new(dockerfile: DockerfileText, context: PathBuf) -> Self {
        BuildOptions {
            dockerfile,
            context,
            contexts: BTreeMap::new(),
            tags: Vec::new(),
            build_args: BTreeMap::new(),
            target: None,
            labels: BTreeMap::new(),
            secrets: BTreeMap::new(),
            no_cache: false,
            network: Network::Default,
            allow: BTreeSet::new(),
            jobs: None,
            platform: Platform::host(),
            source_date_epoch: None,
            extra_hosts: Vec::new(),
            shm_size: None,
        }
    }
}
