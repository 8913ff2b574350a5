//! Manifests (one image) and indexes (several manifests), OCI's and docker's schema 2. Unaware of
//! where the blobs are that they name; foreign documents are kept as bytes by their readers, these
//! types are for reading fields and for writing new documents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::descriptor::Descriptor;
use crate::document::{self, DocumentError, is_default, null_is_default};
use crate::media_type;

/// The manifest of one image (OCI image specification, "Image Manifest"; docker's schema 2 has a
/// subset of its fields). Fields stand in the specification's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The document's own type; optional in OCI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The type of artifact, when this is not an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image config.
    pub config: Descriptor,
    /// The layers, the lowest first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free-form metadata.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Fields that kiln does not know, verbatim.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Manifest {
    /// A new OCI manifest.
    pub fn for_layers(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.into()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
            rest: Map::new(),
        }
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`DocumentError`] when it is too large, too deep or malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let manifest: Self = document::parse(bytes, "manifest")?;
        let is_index = manifest
            .media_type
            .as_deref()
            .is_some_and(media_type::is_index);
        unambiguous("manifest", is_index, &manifest.rest, &["manifests"])?;
        let below = manifest.layers.iter().chain([&manifest.config]);
        no_lookalikes("manifest", &manifest.rest, below)?;
        Ok(manifest)
    }

    /// Compact JSON in the specification's field order: the same bytes for equal values.
    pub fn to_bytes(&self) -> Vec<u8> {
        document::write(self)
    }
}

/// A list of manifests (OCI image specification, "Image Index"; docker's manifest list). Fields
/// stand in the specification's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The document's own type; optional in OCI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The type of artifact, when these are not images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The manifests, or further indexes.
    #[serde(default, deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this index is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free-form metadata.
    #[serde(
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "is_default"
    )]
    pub annotations: BTreeMap<String, String>,
    /// Fields that kiln does not know, verbatim.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Index {
    /// A new OCI index.
    pub fn of(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.into()),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
            rest: Map::new(),
        }
    }

    /// Reads an index.
    ///
    /// # Errors
    /// [`DocumentError`] when it is too large, too deep or malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let index: Self = document::parse(bytes, "index")?;
        let is_manifest = index
            .media_type
            .as_deref()
            .is_some_and(media_type::is_manifest);
        unambiguous("index", is_manifest, &index.rest, &["config", "layers"])?;
        no_lookalikes("index", &index.rest, index.manifests.iter())?;
        Ok(index)
    }

    /// Compact JSON in the specification's field order: the same bytes for equal values.
    pub fn to_bytes(&self) -> Vec<u8> {
        document::write(self)
    }
}

/// The fields that decide what a document says.
const FIELDS: [&str; 5] = ["mediaType", "config", "layers", "manifests", "artifactType"];
/// The same of a descriptor.
const DESCRIPTOR: [&str; 4] = ["mediaType", "digest", "size", "platform"];

/// Refuses what Go would read in another way (see [`DocumentError::Lookalike`]).
fn no_lookalikes<'d>(
    what: &'static str,
    rest: &Map<String, Value>,
    mut below: impl Iterator<Item = &'d Descriptor>,
) -> Result<(), DocumentError> {
    document::no_lookalikes(what, rest, &FIELDS)?;
    below.try_for_each(|descriptor| document::no_lookalikes(what, &descriptor.rest, &DESCRIPTOR))
}

/// Refuses what could be read as two documents (CVE-2021-41190).
fn unambiguous(
    what: &'static str,
    is_typed_as_other: bool,
    rest: &Map<String, Value>,
    others: &[&str],
) -> Result<(), DocumentError> {
    let typed = is_typed_as_other.then_some("mediaType");
    let has = |field: &&&str| rest.contains_key(**field);
    match typed.or(others.iter().find(has).copied()) {
        None => Ok(()),
        Some(field) => Err(DocumentError::Ambiguous {
            what,
            field: field.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_manifest_has_the_specification_s_field_order() {
        let config = Descriptor::of(media_type::OCI_CONFIG, b"{}");
        let layer = Descriptor::of(media_type::OCI_LAYER, b"");
        let manifest = Manifest::for_layers(config.clone(), vec![layer.clone()]);
        let expected = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
            media_type::OCI_MANIFEST,
            serde_json::to_string(&config).unwrap(),
            serde_json::to_string(&layer).unwrap(),
        );
        assert_eq!(String::from_utf8(manifest.to_bytes()).unwrap(), expected);
        assert_eq!(Manifest::parse(expected.as_bytes()).unwrap(), manifest);
    }

    #[test]
    fn a_document_is_one_thing() {
        let config = serde_json::to_string(&Descriptor::of(media_type::OCI_CONFIG, b"{}")).unwrap();
        let both = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"manifests":[]}}"#);
        let typed = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{config},"layers":[]}}"#,
            media_type::DOCKER_MANIFEST_LIST
        );
        for document in [both.as_bytes(), typed.as_bytes()] {
            let refused = Manifest::parse(document).unwrap_err();
            assert!(matches!(refused, DocumentError::Ambiguous { .. }));
        }
        assert!(Index::parse(both.as_bytes()).is_err());
    }

    #[test]
    fn capitals_make_no_other_field() {
        let config = serde_json::to_string(&Descriptor::of(media_type::OCI_CONFIG, b"{}")).unwrap();
        let twice = config.replacen('{', r#"{"Digest":"sha256:evil","#, 1);
        for document in [
            format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"Layers":[{config}]}}"#),
            format!(r#"{{"schemaVersion":2,"config":{config},"MANIFESTS":[]}}"#),
            format!(r#"{{"schemaVersion":2,"config":{twice},"layers":[]}}"#),
            format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{twice}]}}"#),
        ] {
            let refused = Manifest::parse(document.as_bytes()).unwrap_err();
            assert!(
                matches!(refused, DocumentError::Lookalike { .. }),
                "{refused}"
            );
        }
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{twice}]}}"#);
        assert!(Index::parse(index.as_bytes()).is_err());
    }

    #[test]
    fn unknown_fields_survive_and_nil_lists_are_read() {
        let config =
            serde_json::to_string(&Descriptor::of(media_type::DOCKER_CONFIG, b"{}")).unwrap();
        let json = format!(
            r#"{{"schemaVersion":2,"config":{config},"layers":null,"zeta":1,"alpha":[2]}}"#
        );
        let manifest = Manifest::parse(json.as_bytes()).unwrap();
        assert!(manifest.layers.is_empty());
        assert!(
            String::from_utf8(manifest.to_bytes())
                .unwrap()
                .ends_with(r#""layers":[],"zeta":1,"alpha":[2]}"#)
        );
        let index = Index::parse(br#"{"schemaVersion":2,"manifests":[],"x":1}"#).unwrap();
        assert_eq!(
            index.to_bytes(),
            br#"{"schemaVersion":2,"manifests":[],"x":1}"#
        );
    }
}
