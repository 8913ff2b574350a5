//! Where the blobs of layers are kept outside this store. Unaware of how they come from there.

use std::fmt;
use std::path::Path;

use kiln_oci::{Reference, ReferenceError};

/// What the printed form of a folder begins with.
const FOLDER: &str = "oci-layout://";

/// Where a layer or a blob comes from. What this store made itself has no origin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheOrigin {
    /// A folder of this machine.
    Folder(String),
    /// A repository of a registry. The reference has neither tag nor digest.
    Registry(Reference),
    /// A part of object storage: its address, such as `s3://bucket/prefix`.
    Bucket(String),
}

impl CacheOrigin {
    /// A folder, by its absolute path.
    #[must_use]
    pub fn folder(path: &Path) -> Self {
        Self::Folder(path.display().to_string())
    }

    /// The repository of a reference.
    #[must_use]
    pub fn repository(of: &Reference) -> Self {
        Self::Registry(Reference {
            tag: None,
            digest: None,
            ..of.clone()
        })
    }

    /// Reads the printed form, which is the one in the database.
    ///
    /// # Errors
    /// It is no address and no name of a repository.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if let Some(path) = text.strip_prefix(FOLDER) {
            return Ok(Self::Folder(path.to_owned()));
        }
        if text.contains("://") {
            return Ok(Self::Bucket(text.to_owned()));
        }
        Ok(Self::repository(&Reference::parse(text)?))
    }

    /// The repository, if it is one: every later command can reach it, whatever caches that command names.
    #[must_use]
    pub fn as_registry(&self) -> Option<&Reference> {
        match self {
            Self::Registry(repository) => Some(repository),
            Self::Folder(_) | Self::Bucket(_) => None,
        }
    }
}

impl fmt::Display for CacheOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{FOLDER}{path}"),
            Self::Registry(repository) => f.write_str(&repository.name()),
            Self::Bucket(address) => f.write_str(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        let app = Reference::parse("localhost:5000/org/app:v1").unwrap();
        for (origin, text) in [
            (CacheOrigin::repository(&app), "localhost:5000/org/app"),
            (
                CacheOrigin::folder(Path::new("/a b/c")),
                "oci-layout:///a b/c",
            ),
            (CacheOrigin::Bucket("s3://b/p".to_owned()), "s3://b/p"),
        ] {
            assert_eq!(origin.to_string(), text);
            assert_eq!(CacheOrigin::parse(text), Ok(origin));
        }
        assert!(CacheOrigin::parse("app/UPPER").is_err());
    }
}
