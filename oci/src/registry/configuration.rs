//! The configuration file of registries: mirrors, and which hosts need no checks. Unaware
//! of where the file is; the command line reads it.
//!
//! The file is one JSON object, both of its fields optional:
//!
//! ```json
//! {
//!   "mirrors": { "docker.io": ["https://mirror.example", "http://localhost:5000/hub"] },
//!   "insecure": ["registry.lan:5000"]
//! }
//! ```
//!
//! `mirrors` names the hosts that are asked before a registry when something is pulled. A mirror is a
//! host, a host and port, or an `http(s)://` URL; a path is put before the repository. `insecure` is
//! what `--insecure-registry` says. Unknown fields are errors, so that a typing mistake is seen.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::endpoint::is_loopback;
use crate::http::{Url, host_of};

/// The largest configuration file that is read, in bytes.
const LARGEST: usize = 1 << 20;

/// A configuration file, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Registry to its mirrors.
    pub mirrors: BTreeMap<String, Vec<Mirror>>,
    /// Registries that may speak plain http or show any certificate.
    pub insecure: Vec<String>,
}

/// A registry that is asked in place of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Host, and port where it is not the usual one.
    pub host: String,
    /// Whether to speak plain http; `None` when the configuration leaves it open.
    pub plain: Option<bool>,
    /// What stands before each repository, without slashes at its ends.
    pub prefix: String,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// No JSON of the documented shape.
    #[error("the registry configuration is malformed")]
    Malformed(#[source] serde_json::Error),
    /// More than a megabyte.
    #[error("the registry configuration is larger than {LARGEST} bytes")]
    TooLarge,
    /// A mirror that cannot be used.
    #[error("the mirror {mirror:?} {reason}")]
    Mirror {
        /// As written.
        mirror: String,
        /// What is wrong.
        reason: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    mirrors: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    insecure: Vec<String>,
}

impl Configuration {
    /// Reads the content of a configuration file.
    ///
    /// # Errors
    /// [`ConfigurationError`], naming what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigurationError> {
        if bytes.len() > LARGEST {
            return Err(ConfigurationError::TooLarge);
        }
        let document: Document =
            serde_json::from_slice(bytes).map_err(ConfigurationError::Malformed)?;
        let mut mirrors = BTreeMap::new();
        for (registry, written) in document.mirrors {
            let parsed: Result<Vec<Mirror>, _> = written
                .iter()
                .map(|mirror| Mirror::parse(mirror, &document.insecure))
                .collect();
            mirrors.insert(registry, parsed?);
        }
        Ok(Self {
            mirrors,
            insecure: document.insecure,
        })
    }
}

impl Mirror {
    /// Reads a mirror as the file writes it. Plain http is for hosts of `insecure` only, and for loopback addresses.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(written: &str, insecure: &[String]) -> Result<Self, ConfigurationError> {
        let wrong = |reason| ConfigurationError::Mirror {
            mirror: written.into(),
            reason,
        };
        let plain = match written.split_once("://") {
            None => None,
            Some(("https", _)) => Some(false),
            Some(("http", _)) => Some(true),
            Some(_) => return Err(wrong("is neither http:// nor https://")),
        };
        let url = match plain {
            None => Url::parse(&format!("https://{written}")),
            Some(_) => Url::parse(written),
        };
        let url = url.map_err(|_| wrong("is no URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("holds credentials: use `kiln login` for them"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("has a query or a fragment"));
        }
        let host = host_of(&url);
        if plain == Some(true) && !is_loopback(&host) && !insecure.contains(&host) {
            return Err(wrong("is plain http: add its host to \"insecure\""));
        }
        Ok(Self {
            host,
            plain,
            prefix: url.path().trim_matches('/').into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(written: &str) -> Result<Mirror, String> {
        let json =
            format!(r#"{{"mirrors":{{"docker.io":[{written:?}]}},"insecure":["lan:5000"]}}"#);
        match Configuration::parse(json.as_bytes()) {
            Ok(mut read) => Ok(read.mirrors.remove("docker.io").unwrap().remove(0)),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn mirrors_are_hosts_or_urls() {
        let read = mirror("mirror.example").unwrap();
        assert_eq!((read.host.as_str(), read.plain), ("mirror.example", None));
        let read = mirror("http://localhost:5000/hub/").unwrap();
        assert_eq!(
            (read.host.as_str(), read.plain),
            ("localhost:5000", Some(true))
        );
        assert_eq!(read.prefix, "hub");
        assert_eq!(mirror("http://lan:5000").unwrap().plain, Some(true));
        assert_eq!(mirror("https://lan:5000").unwrap().plain, Some(false));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        for (written, reason) in [
            ("http://mirror.example", "plain http"),
            ("ftp://mirror.example", "neither http"),
            ("https://user:secret@mirror.example", "credentials"),
            ("https://mirror.example/?a=b", "query"),
            ("https://", "no URL"),
        ] {
            let message = mirror(written).unwrap_err();
            assert!(message.contains(reason), "{written}: {message}");
        }
        let misspelt = Configuration::parse(br#"{"mirror":{}}"#).unwrap_err();
        assert!(matches!(misspelt, ConfigurationError::Malformed(_)));
        assert_eq!(
            Configuration::parse(b"{}").unwrap(),
            Configuration::default()
        );
    }
}
