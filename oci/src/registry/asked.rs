//! Which mirrors were asked before the registry, and what they answered: a failure of the registry tells it, so that nobody has to guess where
//! a pull went. Unaware of requests.

use super::endpoint::Endpoint;
use super::error::Error;

/// Mirrors that were of no help, in the order in which they were asked.
#[derive(Debug, Default)]
pub(super) struct Asked(Vec<String>);

impl Asked {
    /// A mirror failed.
    pub(super) fn note(&mut self, mirror: &Endpoint, error: &Error) {
        let host = &mirror.host;
        self.0
            .push(format!("the mirror {host} was asked ({error})"));
    }

    /// The failure of the registry, which came after that of all mirrors.
    pub(super) fn explain(&mut self, error: Error) -> Error {
        if self.0.is_empty() || error.is_cancelled() {
            return error;
        }
        Error::Mirrored {
            mirrors: std::mem::take(&mut self.0).join(", "),
            source: Box::new(error),
        }
    }
}
