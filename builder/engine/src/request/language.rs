//! The inputs of the language: what the parser evaluates a Dockerfile with. Unaware of files and of steps.

use kiln_cache::KeyBuilder;
use kiln_oci::Platform;
use kiln_parser::graph::Network;
use kiln_parser::inputs::Entitlement;
use std::collections::{BTreeMap, BTreeSet};

/// What decides how the Dockerfile is understood.
#[derive(Debug, Clone)]
pub struct Language {
    /// `--build-arg`, values resolved.
    pub build_args: BTreeMap<String, String>,
    /// `--target`.
    pub target: Option<String>,
    /// `--from`: the base of the first stage.
    pub from: Option<String>,
    /// `--platform`, each once. Several give an index; without one a base for another platform that runs here decides.
    pub platforms: Vec<Platform>,
    /// An index also for one platform (`BUILDKIT_MULTI_PLATFORM=1`).
    pub always_index: bool,
    /// `--env`: what every stage begins with.
    pub env: BTreeMap<String, String>,
    /// `--unsetenv`: variables that the image does not set.
    pub unset_env: BTreeSet<String>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--unsetlabel`: labels that the image does not have.
    pub unset_labels: BTreeSet<String>,
    /// Whether stages take over the labels of their base; not with `--inherit-labels=false`.
    pub inherit_labels: bool,
    /// `--network`.
    pub network: Network,
    /// `--allow`.
    pub allow: BTreeSet<Entitlement>,
    /// `SOURCE_DATE_EPOCH`, from the environment or a flag.
    pub source_date_epoch: Option<i64>,
}

impl Default for Language {
    fn default() -> Self {
        Language {
            build_args: BTreeMap::new(),
            target: None,
            from: None,
            platforms: Vec::new(),
            always_index: false,
            env: BTreeMap::new(),
            unset_env: BTreeSet::new(),
            labels: BTreeMap::new(),
            unset_labels: BTreeSet::new(),
            inherit_labels: true,
            network: Network::Default,
            allow: BTreeSet::new(),
            source_date_epoch: None,
        }
    }
}

impl Language {
    /// What is built for, at least one.
    #[must_use]
    pub fn platforms(&self) -> Vec<Platform> {
        if self.platforms.is_empty() {
            return vec![Platform::host()];
        }
        self.platforms.clone()
    }

    /// Whether a build argument of this name says yes, as Go reads it.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        let yes = ["1", "t", "T", "true", "TRUE", "True"];
        let given = self.build_args.get(name);
        given.is_some_and(|value| yes.contains(&value.as_str()))
    }

    /// Adds what the graph does not say. The rest is in it: the parser has evaluated the Dockerfile with it.
    pub(crate) fn key(&self, key: KeyBuilder) -> KeyBuilder {
        let Self {
            platforms: _, // how many is in `makes_index`; which is in the stages
            always_index: _,
            build_args: _,
            target: _,
            from: _,
            env: _,
            unset_env: _,
            labels: _,
            unset_labels: _,
            inherit_labels: _,
            network: _,
            allow: _,
            source_date_epoch: _,
        } = self;
        key.bytes("index", &[u8::from(self.makes_index())])
    }

    /// Whether the result is an index.
    #[must_use]
    pub fn makes_index(&self) -> bool {
        self.always_index || self.platforms.len() > 1
    }
}
