//! Ways to make an image, side by side: what each weighs, wastes and takes, and whether it is within limits. The text forms of a
//! comparison are in `compare/`, one file each. Unaware of how images are built and of what reads the texts.

mod amount;
pub mod cause;
pub mod csv;
pub mod gate;
pub mod markdown;
pub mod measure;
pub mod metric;
pub mod page;
pub mod table;

use crate::classify::Class;
use crate::compressed::Size;
use kiln_oci::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Version of the JSON form; raised when a field changes its meaning.
pub const VERSION: u32 = 1;

/// Variants, and what they are measured against.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`VERSION`].
    pub version: u32,
    /// In the order that was asked for.
    pub variants: Vec<Variant>,
    /// The version before, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Variant>,
}

/// One way to make an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// What it is called: what makes it differ from the others.
    pub name: String,
    /// Image ID.
    pub id: String,
    /// What its layers weigh.
    pub weight: Weight,
    /// Its layers, the lowest first.
    pub layers: Vec<LayerWeight>,
    /// How many of them are the base's.
    pub base_layers: usize,
    /// Regular files that a container sees.
    pub files: u64,
    /// Bytes by class; the sum is that of all tars.
    pub classes: BTreeMap<String, u64>,
    /// Bytes of what is known to be of no use in an image, by its name, whatever their class; those of the base do not count.
    #[serde(default)]
    pub known_waste: BTreeMap<String, u64>,
    /// How long it takes to build; nothing of an image that was not built here.
    #[serde(default)]
    pub times: Times,
    /// What a client fetches.
    #[serde(default)]
    pub pulls: Pulls,
    /// The steps of its history that made a layer, the oldest first.
    pub steps: Vec<StepWeight>,
    /// Live bytes by folder, two levels deep.
    pub folders: BTreeMap<String, u64>,
}

/// Bytes of all layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight {
    /// The tars.
    pub uncompressed: u64,
    /// Those of them that are not the base's.
    pub own: u64,
    /// Each compressed with gzip.
    pub gzip: Estimate,
    /// Each compressed with zstd.
    pub zstd: Estimate,
}

/// Bytes that are known, or estimated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// How many.
    pub bytes: u64,
    /// Whether they were not counted.
    #[serde(default)]
    pub estimated: bool,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerWeight {
    /// Digest of the tar.
    pub diff_id: Digest,
    /// Bytes of the tar.
    pub uncompressed: u64,
    /// Compressed with gzip.
    pub gzip: Estimate,
    /// Compressed with zstd.
    pub zstd: Estimate,
}

/// Seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Every own step executed, the base at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold: Option<f64>,
    /// Nothing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<f64>,
    /// One file of the context changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched: Option<f64>,
}

/// Bytes of layers, compressed with gzip, that a client lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulls {
    /// One that has the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_base: Option<Estimate>,
    /// One that has the version before one file of the context changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched: Option<Estimate>,
    /// One that has the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_baseline: Option<Estimate>,
}

/// What one step weighs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepWeight {
    /// The instruction, on one line.
    pub text: String,
    /// Its line in the Dockerfile, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Whether it belongs to the base.
    #[serde(default)]
    pub of_base: bool,
    /// Bytes of its layer by class.
    pub classes: BTreeMap<String, u64>,
}

impl Estimate {
    /// Counted bytes.
    #[must_use]
    pub const fn exact(bytes: u64) -> Self {
        Estimate {
            bytes,
            estimated: false,
        }
    }
}

impl From<Size> for Estimate {
    fn from(size: Size) -> Self {
        Estimate {
            bytes: size.bytes,
            estimated: size.is_estimate,
        }
    }
}

impl std::iter::Sum for Estimate {
    fn sum<I: Iterator<Item = Self>>(estimates: I) -> Self {
        estimates.fold(Estimate::default(), |sum, next| Estimate {
            bytes: sum.bytes + next.bytes,
            estimated: sum.estimated || next.estimated,
        })
    }
}

impl Variant {
    /// Bytes that no container sees.
    #[must_use]
    pub fn waste(&self) -> u64 {
        let classes = Class::ALL.into_iter().filter(|class| class.is_waste());
        classes.map(|class| self.of_class(class)).sum()
    }

    /// Bytes of a class.
    #[must_use]
    pub fn of_class(&self, class: Class) -> u64 {
        self.classes.get(class.name()).copied().unwrap_or_default()
    }

    /// What a client lacks that has layers with these digests.
    pub fn lacking<'a>(&self, has: impl IntoIterator<Item = &'a Digest>) -> Estimate {
        let mut has: BTreeSet<Digest> = has.into_iter().copied().collect();
        let layers = self.layers.iter();
        let lacks = layers.filter(|layer| has.insert(layer.diff_id));
        lacks.map(|layer| layer.gzip).sum()
    }

    /// The digests of its layers.
    pub fn diff_ids(&self) -> impl Iterator<Item = &Digest> {
        self.layers.iter().map(|layer| &layer.diff_id)
    }
}
