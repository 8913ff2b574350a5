//! The certificate authorities that are trusted. Unaware of connections.

use std::path::PathBuf;

use reqwest::Certificate;

use super::transport::innermost;
use super::{Error, Result};

/// Which certificate authorities are trusted. Both empty: those of the system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authorities {
    /// A file of PEM certificates (`SSL_CERT_FILE`); it replaces the system's.
    pub file: Option<PathBuf>,
    /// A folder of such files (`SSL_CERT_DIR`); it replaces the system's.
    pub directory: Option<PathBuf>,
}

impl Authorities {
    /// The certificates that replace the system's; `None` when none do.
    pub(super) fn load(&self) -> Result<Option<Vec<Certificate>>> {
        let (file, directory) = (self.file.as_deref(), self.directory.as_deref());
        let Some(path) = file.or(directory) else {
            return Ok(None);
        };
        let wrong = |reason: String| Error::Authorities {
            path: path.into(),
            reason,
        };
        let read = rustls_native_certs::load_certs_from_paths(file, directory);
        if read.certs.is_empty() {
            let reason = read.errors.first().map(ToString::to_string);
            return Err(wrong(reason.unwrap_or_else(|| "there are none".into())));
        }
        let certificates = read.certs.iter();
        let parsed: reqwest::Result<Vec<_>> = certificates
            .map(|certificate| Certificate::from_der(certificate))
            .collect();
        parsed.map(Some).map_err(|error| wrong(innermost(&error)))
    }
}
