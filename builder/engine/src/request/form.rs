//! The form of the result: for which platforms, what images say of themselves and of their stages, how many layers they have. Unaware of how it is assembled.

use super::annotations::Annotation;
use kiln_cache::KeyBuilder;
use kiln_oci::Platform;
use std::collections::BTreeMap;

/// What is made of the files.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// `--platform`, each once. Several give an index; without one a base for another platform that runs here decides.
    pub platforms: Vec<Platform>,
    /// An index also for one platform (`BUILDKIT_MULTI_PLATFORM=1`).
    pub always_index: bool,
    /// `--annotation`, in their order.
    pub annotations: Vec<Annotation>,
    /// `--omit-history`: the image does not say how it was made.
    pub omit_history: bool,
    /// `--origin-label`: the image says which line of which Dockerfile each entry of its history comes from.
    pub origin_label: bool,
    /// `--squash`, `--squash-all`: layers that become one.
    pub squash: Squash,
    /// `--save-stages`: stages that the target needs stay as images.
    pub save_stages: bool,
    /// `--timestamp`, `--reproducible`: `SOURCE_DATE_EPOCH` is the time of all that commands leave, not only the latest one.
    pub sets_times: bool,
    /// `--stage-labels`: all images say which stage they are.
    pub stage_labels: bool,
    /// `--layer-label`: labels of the stages that stay.
    pub layer_labels: BTreeMap<String, String>,
}

impl Form {
    /// What is built for, at least one.
    #[must_use]
    pub fn platforms(&self) -> Vec<Platform> {
        if self.platforms.is_empty() {
            return vec![Platform::host()];
        }
        self.platforms.clone()
    }

    /// Whether the result is an index.
    #[must_use]
    pub fn makes_index(&self) -> bool {
        self.always_index || self.platforms.len() > 1
    }

    /// Adds what decides about the image; `None` where it names images of other stages, or lines, which no key knows.
    pub(crate) fn key(&self, key: KeyBuilder) -> Option<KeyBuilder> {
        let Self {
            // part of the definition of each RUN
            sets_times: _,
            // which platforms is in the stages
            platforms: _,
            always_index: _,
            annotations,
            omit_history,
            squash,
            stage_labels,
            origin_label,
            // images beside the result: whether they are wanted is asked before a memo is looked up
            save_stages: _,
            layer_labels: _,
        } = self;
        if *stage_labels || *origin_label {
            return None;
        }
        // Plain data of our own: serialising it cannot fail.
        let annotations = serde_json::to_vec(annotations).unwrap_or_default();
        Some(
            key.bytes("index", &[u8::from(self.makes_index())])
                .bytes("squash", &[*squash as u8])
                .bytes("omit-history", &[u8::from(*omit_history)])
                .bytes("annotations", &annotations),
        )
    }
}

/// Which layers of the image become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Squash {
    /// None.
    #[default]
    Nothing,
    /// Those that the build adds to its base.
    Added,
    /// All, those of the base too.
    All,
}
