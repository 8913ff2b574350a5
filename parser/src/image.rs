//! The image types that evaluation speaks, in one place.

use std::collections::BTreeMap;

use serde::Serialize;

/// An operating system and an architecture.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Platform {
    /// `linux`
    pub os: String,
    /// `amd64`
    pub architecture: String,
    /// `v7`
    pub variant: Option<String>,
    /// Windows only.
    pub os_version: Option<String>,
}

/// An image's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ImageConfig {
    /// Who made it.
    pub author: Option<String>,
    /// `amd64`
    pub architecture: String,
    /// `linux`
    pub os: String,
    /// What a container of it runs as.
    pub config: RuntimeConfig,
}

/// What a container runs as.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RuntimeConfig {
    /// `USER`
    pub user: Option<String>,
    /// `ENV`
    pub env: Vec<String>,
    /// `LABEL`
    pub labels: BTreeMap<String, String>,
}
