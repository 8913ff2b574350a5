//! The registry client against a registry that misbehaves: what each fault costs, what it says, what it leaves behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    missing_debug_implementations
)]

#[path = "../../tests/support/registry.rs"]
mod registry;

#[path = "registry/blobs.rs"]
mod blobs;
#[path = "registry/login.rs"]
mod login;
#[path = "registry/manifests.rs"]
mod manifests;
#[path = "registry/mirrors.rs"]
mod mirrors;
#[path = "registry/real.rs"]
mod real;
#[path = "registry/uploads.rs"]
mod uploads;

use std::time::Duration;

use kiln_oci::http::{self, Patience};
use kiln_oci::registry::{Client, Credential, Keychain, Secret, Settings};
use kiln_oci::{Descriptor, Digest, Reference};
use registry::{Guard, Registry};

/// Settings whose pauses are short.
pub fn settings() -> http::Settings {
    http::Settings {
        patience: Patience {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(2),
            commit: Duration::from_secs(3),
            stall: Duration::from_secs(1),
            least: 100,
            silence: Duration::from_secs(20),
            notice: Duration::from_secs(1),
            retries: 2,
            pause: Duration::from_millis(10),
            longest_pause: Duration::from_millis(40),
            longest_retry_after: Duration::from_secs(2),
            transfers: 2,
        },
        ..http::Settings::default()
    }
}

pub fn client() -> Client {
    client_with(Settings::default())
}

/// A client with short pauses.
pub fn client_with(registries: Settings) -> Client {
    Client::new(http::Client::new(settings()), registries)
}

/// A client that has a password for the registry `host`.
pub fn client_of(host: &str, credential: Credential) -> Client {
    client_with(Settings {
        keychain: Keychain {
            given: [(host.to_owned(), credential)].into(),
            ..Keychain::default()
        },
        ..Settings::default()
    })
}

pub fn password(password: &str) -> Credential {
    Credential::Password {
        user: "user".into(),
        password: Secret::new(password),
    }
}

pub fn open() -> Registry {
    Registry::start(Guard::Open)
}

/// `app:v1` at `registry`.
pub fn app(registry: &Registry) -> Reference {
    Reference::parse(&format!("{}/app:v1", registry.host)).unwrap()
}

pub fn blob(digest: Digest, bytes: &[u8]) -> Descriptor {
    let descriptor = Descriptor::of("application/octet-stream", bytes);
    assert_eq!(descriptor.digest, digest);
    descriptor
}

/// Bytes that differ from each other.
pub fn content(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + n / 251) as u8).collect()
}
