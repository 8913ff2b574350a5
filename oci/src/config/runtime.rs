//! What a container of an image runs and how: the `config` object of an image config, with docker's
//! additional fields. Unaware of layers and history.
//!
//! Source: moby `api/types/container/config.go`, of which OCI's `ImageConfig` is a part.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use crate::document::{is_default, null_is_default};

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
