//! What evaluation needs from outside, and its answer. Plain data; unaware of who resolves images, and how.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::graph::{Network, StageGraph};
use crate::ignore::Matcher;
use crate::source::Span;
use kiln_oci::{ImageConfig, Platform};

/// What the caller says to the language: the same for each platform.
#[derive(Clone, Debug)]
pub struct Language {
    /// `--build-arg`, values resolved.
    pub build_args: BTreeMap<String, String>,
    /// `--target`, a stage's name in any case; None is the last stage.
    pub target: Option<String>,
    /// `--from`: replaces the image of the first `FROM`.
    pub from: Option<String>,
    /// `--env`: the initial environment of stages that do not continue another one.
    pub env: BTreeMap<String, String>,
    /// `--label`, applied last, to the target.
    pub labels: BTreeMap<String, String>,
    /// Whether stages inherit the labels of their base.
    pub inherit_labels: bool,
    /// `--unsetlabel`, applied after `labels`, to the target.
    pub unset_labels: BTreeSet<String>,
    /// `--unsetenv`: variables that the target's image does not set.
    pub unset_env: BTreeSet<String>,
    /// `--network` of the build: for RUNs that say nothing.
    pub network: Network,
    /// Seconds since 1970; the Dockerfile sees it as the ARG of the same name.
    pub source_date_epoch: Option<i64>,
    /// Entitlements granted with `--allow`.
    pub allow: BTreeSet<Entitlement>,
}

impl Default for Language {
    fn default() -> Self {
        Language {
            build_args: BTreeMap::new(),
            target: None,
            from: None,
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            inherit_labels: true,
            unset_labels: BTreeSet::new(),
            unset_env: BTreeSet::new(),
            network: Network::Default,
            source_date_epoch: None,
            allow: BTreeSet::new(),
        }
    }
}

impl Language {
    /// Whether a build argument of this name says yes, as Go reads it.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        let yes = ["1", "t", "T", "true", "TRUE", "True"];
        let given = self.build_args.get(name);
        given.is_some_and(|value| yes.contains(&value.as_str()))
    }
}

/// What an evaluation for one platform depends on besides the Dockerfile and its bases.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// What the caller says.
    pub language: Language,
    /// Evaluate all stages, even those that the target does not need: for checks.
    pub all_stages: bool,
    /// The platform of the image (`TARGETPLATFORM`).
    pub platform: Platform,
    /// The platform of the machine that builds (`BUILDPLATFORM`).
    pub build_platform: Platform,
    /// Whether the user named `platform`: then the image names it, even if its base names another one.
    pub platform_is_given: bool,
    /// Whether programs for another platform run here, asked only where it matters: if neither the user nor `FROM` names a platform, a
    /// stage whose base is for one that does is for it too.
    pub can_run: fn(&Platform) -> bool,
    /// `--build-context`: names (lower case) of stages or images that are replaced.
    pub contexts: BTreeMap<String, NamedContext>,
    /// The main context's `.dockerignore`, for the rule about files that it excludes.
    pub ignore: Matcher,
}

impl Inputs {
    /// A build of the last stage for `platform`, on the same platform, with no other options.
    pub fn new(platform: Platform) -> Self {
        Inputs {
            language: Language::default(),
            all_stages: false,
            build_platform: platform.clone(),
            platform_is_given: false,
            can_run: |_| false,
            platform,
            contexts: BTreeMap::new(),
            ignore: Matcher::default(),
        }
    }
}

/// The meaning of a `--build-context` name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedContext {
    /// A folder: becomes `Op::Context` with the name.
    Directory,
    /// An image (`docker-image://…`): becomes `Op::Image` with this reference.
    Image(String),
    /// Another stage of this Dockerfile (`target:…`).
    Stage(String),
}

/// A right that a Dockerfile must be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entitlement {
    /// `RUN --network=host`.
    NetworkHost,
    /// `RUN --security=insecure`.
    SecurityInsecure,
    /// `RUN --device`.
    Device,
}

/// The configurations of the images that were asked for, by reference (as asked) and platform.
#[derive(Clone, Debug, Default)]
pub struct Bases {
    known: BTreeMap<(String, Platform), ImageConfig>,
    /// Nothing is known about these: an empty configuration replaces theirs.
    unknown: BTreeSet<(String, Platform)>,
}

impl Bases {
    /// Adds the answer to a request.
    pub fn insert(&mut self, request: &ImageRequest, config: ImageConfig) {
        self.known.insert(key(request), config);
    }

    /// Continues without an image, for checks: its variables and triggers are unknown.
    pub fn insert_unknown(&mut self, request: &ImageRequest) {
        let config = ImageConfig::new(&request.platform);
        self.known.insert(key(request), config);
        self.unknown.insert(key(request));
    }

    /// The answer to an earlier request.
    pub fn get(&self, reference: &str, platform: &Platform) -> Option<&ImageConfig> {
        self.known.get(&(reference.to_owned(), platform.clone()))
    }

    /// Whether an image's variables and triggers are known.
    pub(crate) fn is_known(&self, reference: &str, platform: &Platform) -> bool {
        let key = (reference.to_owned(), platform.clone());
        !self.unknown.contains(&key)
    }
}

fn key(request: &ImageRequest) -> (String, Platform) {
    (request.reference.clone(), request.platform.clone())
}

/// An image whose configuration evaluation needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageRequest {
    /// As written, variables expanded.
    pub reference: String,
    /// The platform to pick.
    pub platform: Platform,
    /// The place that asks, in the Dockerfile.
    pub span: Span,
    /// True for `FROM`: evaluation needs the configuration. False for `COPY --from` and mounts, which use only the file system: no answer is
    /// needed, and the request is made so that all images can be resolved at once.
    pub needs_config: bool,
}

/// The answer of [`crate::evaluate`].
#[derive(Clone, Debug)]
pub enum Evaluation {
    /// Ask again with these in [`Bases`]. At least one of them has `needs_config`.
    Needs(Vec<ImageRequest>),
    /// The finished graph.
    Graph(Box<StageGraph>),
}
