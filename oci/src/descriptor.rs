//! The descriptor: how manifests and indexes point at content by digest, size and media type.
//! Unaware of where the content is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::digest::Digest;
use crate::document::{is_default, null_is_default};
use crate::platform::Platform;

/// Points at a blob (OCI image specification, "Content Descriptors"). Fields stand in the
/// specification's order; unknown ones are kept in `rest`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    pub media_type: String,
    /// The digest of the content's raw bytes.
    pub digest: Digest,
    /// The size of the content in bytes.
    pub size: u64,
    /// Where else the content may be fetched from; kiln keeps but never follows these.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub urls: Vec<String>,
    /// Free-form metadata.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub annotations: BTreeMap<String, String>,
    /// What the manifest is for, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The type of artifact, when the manifest is not an image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Fields that kiln does not know, verbatim.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Descriptor {
    /// A descriptor with the three required fields.
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
            rest: Map::new(),
        }
    }

    /// Describes `bytes`.
    pub fn of(media_type: impl Into<String>, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// Whether `bytes` are what this points at, by size and digest.
    pub fn describes(&self, bytes: &[u8]) -> bool {
        self.size == bytes.len() as u64 && self.digest == Digest::of(bytes)
    }

    /// The annotation `key`.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_survive_and_null_is_absent() {
        let digest = Digest::of(b"x");
        let json = format!(
            r#"{{"mediaType":"a/b","digest":"{digest}","size":1,"urls":null,"annotations":null,"data":"eA==","x":{{"b":1,"a":2}}}}"#
        );
        let descriptor: Descriptor = serde_json::from_str(&json).unwrap();
        assert!(descriptor.describes(b"x") && !descriptor.describes(b"y"));
        let again = serde_json::to_string(&descriptor).unwrap();
        assert_eq!(
            again,
            json.replace(r#""urls":null,"annotations":null,"#, "")
        );
    }

    #[test]
    fn sizes_and_digests_are_checked() {
        let digest = Digest::of(b"x");
        let parse = |json: String| serde_json::from_str::<Descriptor>(&json);
        assert!(
            parse(format!(
                r#"{{"mediaType":"a","digest":"{digest}","size":-1}}"#
            ))
            .is_err()
        );
        assert!(parse(r#"{"mediaType":"a","digest":"sha256:../../x","size":1}"#.into()).is_err());
    }
}
