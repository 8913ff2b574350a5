//! The `key=value` pairs that describe an output or a cache, and how their values are read. Unaware of what keys mean.

use crate::failure::ExportError;
use kiln_oci::LayerCompression;
use std::collections::BTreeMap;

/// Keys that any kind may have: `annotation.KEY`, `annotation-manifest.KEY` and so on.
const ANNOTATION: &str = "annotation";

/// What an output or a cache says; a key that is given twice has its last value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// The attributes of some pairs.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// Takes the value of a key; an empty one counts as not given.
    pub(crate) fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key).filter(|value| !value.is_empty())
    }

    /// Takes a truth value, as Go reads them.
    pub(crate) fn flag(&mut self, key: &str, default: bool) -> Result<bool, ExportError> {
        Ok(self.choice(key)?.unwrap_or(default))
    }

    /// Takes a truth value that may be left open.
    pub(crate) fn choice(&mut self, key: &str) -> Result<Option<bool>, ExportError> {
        match self.take(key).as_deref() {
            None => Ok(None),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(Some(true)),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(Some(false)),
            Some(value) => Err(ExportError::value(key, value, "expected true or false")),
        }
    }

    /// Takes `compression` and `compression-level`.
    pub(crate) fn compression(&mut self) -> Result<Option<LayerCompression>, ExportError> {
        let Some(mut text) = self.take("compression") else {
            return match self.take("compression-level") {
                None => Ok(None),
                Some(level) => Err(ExportError::value(
                    "compression-level",
                    &level,
                    "it needs compression=…",
                )),
            };
        };
        if text == "uncompressed" {
            text = "none".to_owned();
        }
        if let Some(level) = self.take("compression-level") {
            text = format!("{text}:{level}");
        }
        let parsed = text.parse().map(Some);
        parsed.map_err(|error: kiln_oci::compression::LayerCompressionError| {
            ExportError::value("compression", &text, &error.to_string())
        })
    }

    /// Takes the annotations of manifests.
    pub(crate) fn annotations(&mut self) -> BTreeMap<String, String> {
        let name = |key: &str| {
            let key = key.strip_prefix(ANNOTATION)?;
            let key = key.strip_prefix("-manifest").unwrap_or(key);
            key.strip_prefix('.').map(str::to_owned)
        };
        let given = self.0.iter();
        let named = given.filter_map(|(key, value)| Some((name(key)?, value.clone())));
        named.collect()
    }

    /// Refuses keys that a kind of output does not know.
    pub(crate) fn check(&self, kind: &str, keys: &[&str]) -> Result<(), ExportError> {
        let has_annotations = keys.contains(&ANNOTATION);
        let is_annotation = |key: &String| {
            key.starts_with("annotation.") || key.starts_with("annotation-manifest.")
        };
        let given = self.0.keys();
        let named = given.filter(|key| !(has_annotations && is_annotation(key)));
        known(named, &format!("key of type {kind}"), keys)
    }

    /// Refuses all keys but these; `what` says what they are keys of.
    pub(crate) fn only(&self, what: &str, keys: &[&str]) -> Result<(), ExportError> {
        known(self.0.keys(), what, keys)
    }
}

fn known<'a>(
    mut given: impl Iterator<Item = &'a String>,
    what: &str,
    keys: &[&str],
) -> Result<(), ExportError> {
    match given.find(|key| !keys.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(ExportError::unknown(what, key, keys.iter().copied())),
    }
}
