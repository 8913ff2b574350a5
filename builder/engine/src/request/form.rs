//! The form of the image: what it says of itself and of its stages, and how many layers it has. Unaware of how it is assembled.

use super::annotations::Annotation;
use kiln_cache::KeyBuilder;
use std::collections::BTreeMap;

/// How the image is shaped once its files are made.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// `--annotation`, in their order.
    pub annotations: Vec<Annotation>,
    /// `--omit-history`: the image does not say how it was made.
    pub omit_history: bool,
    /// `--squash`, `--squash-all`: layers that become one.
    pub squash: Squash,
    /// `--save-stages`: stages that the target needs stay as images.
    pub save_stages: bool,
    /// `--stage-labels`: all images say which stage they are.
    pub stage_labels: bool,
    /// `--layer-label`: labels of the stages that stay.
    pub layer_labels: BTreeMap<String, String>,
}

impl Form {
    /// Adds what decides about the image; `None` where it names images of other stages, which no key knows.
    pub(crate) fn key(&self, key: KeyBuilder) -> Option<KeyBuilder> {
        let Self {
            annotations,
            omit_history,
            squash,
            stage_labels,
            // images beside the result: whether they are wanted is asked before a memo is looked up
            save_stages: _,
            layer_labels: _,
        } = self;
        if *stage_labels {
            return None;
        }
        let annotations = annotations.iter().flat_map(Annotation::material);
        Some(
            key.bytes("squash", &[*squash as u8])
                .bytes("omit-history", &[u8::from(*omit_history)])
                .list("annotations", annotations),
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
