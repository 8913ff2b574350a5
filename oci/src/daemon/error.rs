//! What can go wrong between kiln and a daemon. Unaware of requests.

use super::Address;
use crate::http;

/// Why a daemon did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// That is no address that kiln can reach.
    #[error("{address} is no daemon that kiln can reach: {problem}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong.
        problem: String,
    },
    /// Nobody answers.
    #[error("the daemon at {address} cannot be reached")]
    Unreachable {
        /// Its address.
        address: String,
        /// Why.
        #[source]
        source: Box<http::Error>,
    },
    /// An answer that says no.
    #[error("the daemon at {address} refuses: {message}")]
    Status {
        /// Its address.
        address: String,
        /// The HTTP status.
        code: u16,
        /// What it says.
        message: String,
    },
    /// An archive that it does not take.
    #[error("the daemon at {address} does not take the image: {message}")]
    Refused {
        /// Its address.
        address: String,
        /// What it says.
        message: String,
    },
    /// An answer that means nothing.
    #[error("the daemon at {address} answers in a way that kiln does not know: {problem}")]
    Answer {
        /// Its address.
        address: String,
        /// What is wrong.
        problem: String,
    },
}

impl DaemonError {
    pub(super) fn refused(address: &Address, message: String) -> Self {
        DaemonError::Refused {
            address: address.to_string(),
            message,
        }
    }

    pub(super) fn answer(address: &Address, problem: String) -> Self {
        DaemonError::Answer {
            address: address.to_string(),
            problem,
        }
    }
}
