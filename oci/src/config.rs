//! The image config: what an image runs, on which layers it stands and how it came about. OCI's
//! fields and docker's additional ones (Healthcheck, Shell, OnBuild …), which are kept under OCI
//! media types too, as BuildKit does. Unaware of Dockerfiles.
//!
//! Sources: OCI image specification "Image Configuration"; moby `image/spec/v1.2.md` and
//! `api/types/container/config.go`. Absent and empty fields are not written, `null` is read as
//! empty, fields that kiln does not know survive in `rest`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::document::{self, DocumentError, is_default, null_is_default};
use crate::platform::Platform;

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

    /// The value of the environment variable `key`.
    pub fn env_get(&self, key: &str) -> Option<&str> {
        self.config.env_get(key)
    }

    /// Sets the environment variable `key`: in its place when it is there, else at the end.
    pub fn env_set(&mut self, key: &str, value: &str) {
        self.config.env_set(key, value);
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

/// What a container of the image runs and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RuntimeConfig {
    /// `user`, `uid`, `user:group` or `uid:gid`.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub user: String,
    /// `port/protocol` -> `{}`.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// `KEY=value`, in the order of their first assignment.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub env: Vec<String>,
    /// What is run; none when unset, and an empty list is written as unset.
    #[serde(default, deserialize_with = "words", skip_serializing_if = "no_words")]
    pub entrypoint: Option<Vec<String>>,
    /// Arguments to the entrypoint, or what is run when there is none.
    #[serde(default, deserialize_with = "words", skip_serializing_if = "no_words")]
    pub cmd: Option<Vec<String>>,
    /// Path -> `{}`.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub volumes: BTreeMap<String, Empty>,
    /// The working directory; empty means `/`.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub working_dir: String,
    /// Free-form metadata.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub labels: BTreeMap<String, String>,
    /// The signal that stops the container: `SIGTERM`, `15`.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub stop_signal: String,
    /// Seconds between the stop signal and the kill. Docker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// How to tell that the container is well. Docker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// The shell of shell-form instructions; empty means the default one. Docker's.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub shell: Vec<String>,
    /// Instructions that run in images built from this one. Docker's.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub on_build: Vec<String>,
    /// Whether the command is already escaped (Windows).
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub args_escaped: bool,
    /// Whether the container has no network. Docker's.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub network_disabled: bool,
    /// Fields that kiln does not know, verbatim.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl RuntimeConfig {
    /// The value of the environment variable `key`. Of several the last counts, as for exec.
    pub fn env_get(&self, key: &str) -> Option<&str> {
        self.env
            .iter()
            .rev()
            .find_map(|entry| env_value(entry, key))
    }

    /// Sets the environment variable `key`: in its place when it is there, else at the end. Further
    /// entries of the same key are dropped.
    pub fn env_set(&mut self, key: &str, value: &str) {
        let entry = format!("{key}={value}");
        let Some(at) = self
            .env
            .iter()
            .position(|entry| env_value(entry, key).is_some())
        else {
            self.env.push(entry);
            return;
        };
        let mut later = self.env.split_off(at + 1);
        later.retain(|entry| env_value(entry, key).is_none());
        self.env[at] = entry;
        self.env.append(&mut later);
    }
}

fn env_value<'a>(entry: &'a str, key: &str) -> Option<&'a str> {
    // An entry without `=` is a variable without a value.
    let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
    (name == key).then_some(value)
}

/// How to tell that a container is well. Durations are nanoseconds, 0 means inherit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", args…]` or `["CMD-SHELL", command]`; empty inherits.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub test: Vec<String>,
    /// Between two checks.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub interval: i64,
    /// Until a check counts as hung.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub timeout: i64,
    /// During which failures do not count.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub start_period: i64,
    /// Between two checks during the start period.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub start_interval: i64,
    /// Failures in a row that make the container unhealthy.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub retries: i64,
    /// Fields that kiln does not know, verbatim.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The value of Go's `map[string]struct{}`: written as `{}`, read from anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Empty {}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        de::IgnoredAny::deserialize(deserializer).map(|_| Self {})
    }
}

/// Reads docker's `strslice`: a list, or one string from the time before lists, or `null`.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        List(Vec<String>),
        One(String),
    }
    let words = Option::deserialize(deserializer)?;
    Ok(words.map(|words| match words {
        Words::List(list) => list,
        Words::One(word) => vec![word],
    }))
}

fn no_words(words: &Option<Vec<String>>) -> bool {
    words.as_ref().is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests;
