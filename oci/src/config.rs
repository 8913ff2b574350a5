//! The image config: what an image runs, on which layers it stands and how it came about. OCI's
//! fields and docker's additional ones (Healthcheck, Shell, OnBuild …), which are kept under OCI
//! media types too, as BuildKit does. Unaware of Dockerfiles.
//!
//! Sources: OCI image specification "Image Configuration"; moby `image/spec/v1.2.md`. Absent and
//! empty fields are not written, `null` is read as empty, fields that kiln does not know survive in
//! `rest`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::document::{self, DocumentError, is_default, null_is_default};
use crate::platform::Platform;

mod runtime;

pub use runtime::{Empty, Healthcheck, RuntimeConfig};

/// The `PATH` of images that set none; docker's.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The whole config document of an image. Its digest is the image ID.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When the image was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it (MAINTAINER).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// GOARCH. Empty in some very old images.
    #[serde(default, deserialize_with = "null_is_default")]
    pub architecture: String,
    /// GOOS. Empty in some very old images.
    #[serde(default, deserialize_with = "null_is_default")]
    pub os: String,
    /// Windows build.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// Features that the image demands of the system.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub os_features: Vec<String>,
    /// Variant of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What a container of this image runs.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: RuntimeConfig,
    /// The layers below.
    #[serde(default)]
    pub rootfs: RootFs,
    /// How the layers came about, the oldest first.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub history: Vec<History>,
    /// Fields that kiln does not know, verbatim.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl ImageConfig {
    /// A config without layers for `platform`.
    pub fn new(platform: &Platform) -> Self {
        Self {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            os_version: platform.os_version.clone(),
            os_features: platform.os_features.clone(),
            variant: platform.variant.clone(),
            ..Self::default()
        }
    }

    /// Reads a config.
    ///
    /// # Errors
    /// [`DocumentError`] when it is larger than 4 MiB, deeper than 128 levels or malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        document::parse(bytes, "image config")
    }

    /// Compact JSON in the specification's field order: the same bytes for equal values.
    pub fn to_bytes(&self) -> Vec<u8> {
        document::write(self)
    }

    /// The digest of [`ImageConfig::to_bytes`]: the image ID.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// The platform that the image is for, as written.
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            variant: self.variant.clone(),
        }
    }

    /// Says that the image is for `platform`.
    pub fn set_platform(&mut self, platform: &Platform) {
        let platform = platform.clone();
        self.architecture = platform.architecture;
        self.os = platform.os;
        self.os_version = platform.os_version;
        self.os_features = platform.os_features;
        self.variant = platform.variant;
    }
}

/// The layers of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", default = "layers")]
    pub kind: String,
    /// The digests of the uncompressed layer tars, the lowest first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub diff_ids: Vec<Digest>,
    /// Fields that kiln does not know, verbatim.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self {
            kind: layers(),
            diff_ids: Vec::new(),
            rest: Map::new(),
        }
    }
}

fn layers() -> String {
    "layers".into()
}

/// One step of an image's history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When the step ran, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command, as people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Free text: BuildKit writes `buildkit.dockerfile.v0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub empty_layer: bool,
    /// Fields that kiln does not know, verbatim.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[cfg(test)]
mod tests;
