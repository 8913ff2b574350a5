//! How JSON documents from outside are read: with a size limit, a depth limit (serde_json's 128)
//! and Go's leniency about `null`. Unaware of what the documents are.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The largest manifest, index or config that is read, in bytes. Registries refuse larger
/// manifests (OCI distribution specification, "Pushing Manifests": 4 MiB at least).
pub const MAX_DOCUMENT: usize = 4 << 20;

/// Why a JSON document was refused.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Larger than [`MAX_DOCUMENT`].
    #[error("{what} is {size} bytes large, more than {MAX_DOCUMENT}")]
    TooLarge {
        /// Which kind of document.
        what: &'static str,
        /// Its size in bytes.
        size: u64,
    },
    /// No JSON, too deep, or not of the expected shape.
    #[error("{what} is malformed")]
    Malformed {
        /// Which kind of document.
        what: &'static str,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A manifest that is an index too, or the other way round: two readers would see two images.
    #[error("{what} is malformed: it has {field:?}, which only another kind of document has")]
    Ambiguous {
        /// Which kind of document it should be.
        what: &'static str,
        /// The field.
        field: String,
    },
    /// A field that differs from a known one by capitals only. Go's readers, docker's among them,
    /// take it for that one.
    #[error("{what} is malformed: docker would take {field:?} for {known:?}")]
    Lookalike {
        /// Which kind of document it is.
        what: &'static str,
        /// The field.
        field: String,
        /// The field that it looks like.
        known: &'static str,
    },
}

/// Refuses unknown fields that differ from a known one by capitals only.
pub(crate) fn no_lookalikes(
    what: &'static str,
    unknown: &Map<String, Value>,
    known: &[&'static str],
) -> Result<(), DocumentError> {
    for field in unknown.keys() {
        if let Some(known) = known.iter().find(|known| known.eq_ignore_ascii_case(field)) {
            let field = field.clone();
            return Err(DocumentError::Lookalike { what, field, known });
        }
    }
    Ok(())
}

/// Parses `bytes`, called `what` in errors.
///
/// # Errors
/// [`DocumentError`] when the document is too large, too deep or malformed.
pub fn parse<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, DocumentError> {
    if bytes.len() > MAX_DOCUMENT {
        return Err(DocumentError::TooLarge {
            what,
            size: bytes.len() as u64,
        });
    }
    serde_json::from_slice(bytes).map_err(|source| DocumentError::Malformed { what, source })
}

/// Serialises a value whose parts are all strings, numbers, lists and maps with string keys.
pub(crate) fn write<T: serde::Serialize>(value: &T) -> Vec<u8> {
    // Such values cannot fail: the only errors are non-string keys and failing writers.
    serde_json::to_vec(value).unwrap_or_default()
}

/// For `deserialize_with`: Go writes nil slices and maps as `null`, which is read as the default.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// For `skip_serializing_if`: leaves out what has its default value.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_depth_are_limited() {
        let large = vec![b' '; MAX_DOCUMENT + 1];
        assert!(matches!(
            parse::<serde_json::Value>(&large, "config"),
            Err(DocumentError::TooLarge { .. })
        ));
        let deep = "[".repeat(1000) + &"]".repeat(1000);
        assert!(matches!(
            parse::<serde_json::Value>(deep.as_bytes(), "config"),
            Err(DocumentError::Malformed { .. })
        ));
        assert!(parse::<serde_json::Value>(b"{} x", "config").is_err());
    }
}
