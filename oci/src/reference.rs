//! Image references as people write them (`app:v1`, `ghcr.io/org/app@sha256:…`), normalised as docker does. Unaware of registries as
//! services: no name here is ever looked up.
//!
//! The grammar and its length limits are those of distribution/reference (`reference.go`, `normalize.go`). It is written by hand because
//! it is small and the published crates leave out docker's normalisation or the short display form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::digest::{Digest, DigestError};

/// The registry of names that do not say one.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag of names that say neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";
/// The longest repository path, in bytes, without the registry.
pub const MAX_REPOSITORY: usize = 255;
/// The longest tag, in bytes.
pub const MAX_TAG: usize = 128;

/// An older name of [`DEFAULT_REGISTRY`].
const LEGACY_REGISTRY: &str = "index.docker.io";
/// Where docker.io keeps the repositories that are written as one word.
const OFFICIAL: &str = "library/";

/// A parsed, normalised image reference. [`fmt::Display`] gives the canonical full form (`docker.io/library/app:v1`),
/// [`Reference::familiar`] the one that docker shows (`app:v1`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Host with optional port: `docker.io`, `localhost:5000`, `[::1]:5000`.
    pub registry: String,
    /// Path in the registry: `library/app`.
    pub repository: String,
    /// The tag, when one was given.
    pub tag: Option<String>,
    /// The digest, when one was given; it wins over the tag.
    pub digest: Option<Digest>,
}

/// Why a text is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing to parse, or no repository before the tag or digest.
    #[error("image reference {0:?} has no repository name")]
    Empty(String),
    /// 64 hexadecimal digits are an image ID, never a name.
    #[error(
        "{0:?} is an image ID, not a reference: 64 hexadecimal digits cannot be a repository name"
    )]
    ImageId(String),
    /// The repository has upper-case letters.
    #[error("repository name {given:?} must be lower-case: did you mean {lower:?}?")]
    UpperCase {
        /// The name as written.
        given: String,
        /// The same in lower-case.
        lower: String,
    },
    /// The registry is not a host with an optional port.
    #[error("invalid registry {registry:?} in image reference {reference:?}")]
    Registry {
        /// The registry part.
        registry: String,
        /// The whole text.
        reference: String,
    },
    /// A component of the repository breaks the grammar.
    #[error(
        "invalid repository name {component:?} in image reference {reference:?}: expected lower-case letters and \
         digits, separated by '.', '_', '__' or '-'"
    )]
    Repository {
        /// The component.
        component: String,
        /// The whole text.
        reference: String,
    },
    /// The repository is longer than [`MAX_REPOSITORY`].
    #[error("repository name is {0} bytes long, more than {MAX_REPOSITORY}")]
    TooLong(usize),
    /// The tag breaks the grammar or is longer than [`MAX_TAG`].
    #[error(
        "invalid tag {tag:?} in image reference {reference:?}: expected up to {MAX_TAG} letters, digits, '_', '.' \
         and '-', not starting with '.' or '-'"
    )]
    Tag {
        /// The tag.
        tag: String,
        /// The whole text.
        reference: String,
    },
    /// What follows `@` is not a digest.
    #[error("invalid digest in image reference {reference:?}")]
    Digest {
        /// The whole text.
        reference: String,
        /// What is wrong with it.
        source: DigestError,
    },
    /// An image of such a name would be found in place of the one that has the digest.
    #[error("{0:?} cannot be the name of an image: it reads as a digest")]
    LikeDigest(String),
}

impl Reference {
    /// Parses and normalises `text` as docker does: no registry means `docker.io`, one word there means `library/<word>`,
    /// `index.docker.io` is `docker.io`. No tag is added.
    ///
    /// # Errors
    /// [`ReferenceError`], naming the part that breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if is_image_id(text) {
            return Err(ReferenceError::ImageId(text.into()));
        }
        let shown = || text.chars().take(512).collect::<String>();
        let (named, digest) = match text.split_once('@') {
            None => (text, None),
            Some((named, digest)) => (named, Some(digest.parse())),
        };
        let wrong_digest = |source| ReferenceError::Digest {
            reference: shown(),
            source,
        };
        let digest = digest.transpose().map_err(wrong_digest)?;
        let (name, tag) = split_tag(named);
        let (registry, repository) = split_registry(name);
        check_registry(registry, &shown)?;
        check_repository(&repository, name, &shown)?;
        check_tag(tag, &shown)?;
        Ok(Self {
            registry: registry.into(),
            repository,
            tag: tag.map(Into::into),
            digest,
        })
    }

    /// As [`Reference::parse`], of a name that an image is to get, which has the tag `latest` unless it says another one.
    ///
    /// # Errors
    /// As for [`Reference::parse`]; and for a digest, and what reads as one.
    pub fn parse_new(text: &str) -> Result<Self, ReferenceError> {
        let name = Self::parse(text)?;
        match name.digest.is_some() || name.is_like_digest() {
            true => Err(ReferenceError::LikeDigest(text.into())),
            false => Ok(name.with_default_tag()),
        }
    }

    /// Whether the short form begins as a digest does: `sha256:…`. As in docker, no image may have such a name.
    pub fn is_like_digest(&self) -> bool {
        let algorithm = self.repository.strip_prefix(OFFICIAL);
        self.registry == DEFAULT_REGISTRY && matches!(algorithm, Some("sha256" | "sha512"))
    }

    /// The tag, or `latest`.
    pub fn tag_or_latest(&self) -> &str {
        self.tag.as_deref().unwrap_or(DEFAULT_TAG)
    }

    /// The same reference, with the tag `latest` when it has neither tag nor digest.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.into());
        }
        self
    }

    /// Registry and repository without tag and digest: `docker.io/library/app`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The shortest form that parses to this reference: `app:v1` for `docker.io/library/app:v1`.
    pub fn familiar(&self) -> String {
        format!("{}{}", self.familiar_name(), self.suffix())
    }

    /// As [`Reference::familiar`], without tag and digest.
    pub fn familiar_name(&self) -> String {
        let full = self.name();
        if self.registry != DEFAULT_REGISTRY {
            return full;
        }
        let official = self.repository.strip_prefix(OFFICIAL);
        let mut shorter = official.into_iter().chain([self.repository.as_str()]);
        // `localhost/app` or `my.app/x` on docker.io would read as a registry: keep what parses back.
        let parses_back = |name: &&str| {
            Self::parse(name)
                .is_ok_and(|r| r.repository == self.repository && r.registry == self.registry)
        };
        shorter.find(parses_back).map_or(full, Into::into)
    }

    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}"));
        let digest = self.digest.map(|digest| format!("@{digest}"));
        tag.unwrap_or_default() + &digest.unwrap_or_default()
    }
}

/// Splits `name[:tag]`; a colon before the last slash belongs to a port.
fn split_tag(named: &str) -> (&str, Option<&str>) {
    match named.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (named, None),
    }
}

/// Splits the registry off, with docker's rule for what looks like one, and completes both parts.
fn split_registry(name: &str) -> (&str, String) {
    let is_host = |s: &str| {
        s == "localhost" || s.contains(['.', ':']) || s.bytes().any(|b| b.is_ascii_uppercase())
    };
    let (registry, repository) = match name.split_once('/') {
        Some((LEGACY_REGISTRY, rest)) => (DEFAULT_REGISTRY, rest),
        Some((first, rest)) if is_host(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    if registry == DEFAULT_REGISTRY && !repository.contains('/') {
        return (registry, format!("{OFFICIAL}{repository}"));
    }
    (registry, repository.into())
}

fn check_registry(registry: &str, shown: &dyn Fn() -> String) -> Result<(), ReferenceError> {
    if is_registry(registry) {
        return Ok(());
    }
    Err(ReferenceError::Registry {
        registry: registry.into(),
        reference: shown(),
    })
}

fn check_tag(tag: Option<&str>, shown: &dyn Fn() -> String) -> Result<(), ReferenceError> {
    match tag.filter(|tag| !is_tag(tag)) {
        None => Ok(()),
        Some(tag) => Err(ReferenceError::Tag {
            tag: tag.chars().take(200).collect(),
            reference: shown(),
        }),
    }
}

fn check_repository(
    repository: &str,
    given: &str,
    shown: &dyn Fn() -> String,
) -> Result<(), ReferenceError> {
    if given.is_empty() || repository.is_empty() || repository == OFFICIAL {
        return Err(ReferenceError::Empty(shown()));
    }
    if repository.len() > MAX_REPOSITORY {
        return Err(ReferenceError::TooLong(repository.len()));
    }
    if repository.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(ReferenceError::UpperCase {
            given: given.into(),
            lower: given.to_ascii_lowercase(),
        });
    }
    let mut components = repository.split('/');
    let wrong = components.find(|component| !is_component(component));
    let wrong = wrong.map(|component| ReferenceError::Repository {
        component: component.into(),
        reference: shown(),
    });
    wrong.map_or(Ok(()), Err)
}

/// `[a-z0-9]+ ((\.|_|__|-+) [a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let is_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_well = |end: Option<&u8>| end.is_some_and(|b| is_alphanumeric(*b));
    let is_separator =
        |run: &[u8]| matches!(run, b"" | b"." | b"_" | b"__") || run.iter().all(|b| *b == b'-');
    ends_well(bytes.first())
        && ends_well(bytes.last())
        && bytes.split(|b| is_alphanumeric(*b)).all(is_separator)
}

/// `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
}

/// A host name or bracketed IPv6 address, with an optional port.
fn is_registry(registry: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if let Some(rest) = registry.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        let is_address =
            !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = registry
        .split_once(':')
        .map_or((registry, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_image_id(text: &str) -> bool {
    Digest::from_hex(text).is_ok()
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name(), self.suffix())
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
