//! Connections: TLS, proxies, name resolution, by reqwest. Unaware of what is sent over them.
//!
//! There are two transports: one checks certificates, the other one is for hosts that the user allows to show any. Neither follows
//! redirects nor reads the environment: `request` and the settings do that.

use std::error::Error as StdError;
use std::io;
use std::sync::OnceLock;

use reqwest::{Certificate, Url, redirect};

use super::error::NO_CONNECTION;
use super::{Error, Patience, Result, Settings};

/// Headers in an answer; hyper limits their bytes, to some 400 kB.
const MOST_HEADERS: usize = 100;

/// Both transports, each made when it is first used.
#[derive(Debug, Default)]
pub(super) struct Transports {
    checked: OnceLock<reqwest::Client>,
    unchecked: OnceLock<reqwest::Client>,
}

impl Transports {
    /// The transport that checks certificates, or the one that does not.
    pub(super) fn get(&self, checked: bool, settings: &Settings) -> Result<&reqwest::Client> {
        let place = match checked {
            true => &self.checked,
            false => &self.unchecked,
        };
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let client = build_for(checked, settings)?;
        Ok(place.get_or_init(|| client))
    }
}

/// Whose certificates are good.
enum Trust {
    Anybody,
    System,
    Only(Vec<Certificate>),
}

fn build_for(checked: bool, settings: &Settings) -> Result<reqwest::Client> {
    if !checked {
        return build(Trust::Anybody, settings);
    }
    if let Some(certificates) = settings.authorities.load()? {
        return build(Trust::Only(certificates), settings);
    }
    // A system without any authority can still speak plain http; https says what is missing.
    build(Trust::System, settings).or_else(|_| build(Trust::Only(Vec::new()), settings))
}

fn build(trust: Trust, settings: &Settings) -> Result<reqwest::Client> {
    // The provider is the process's: whichever part of it comes first installs the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let patience = &settings.patience;
    let builder = reqwest::Client::builder()
        .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        .http1_max_headers(MOST_HEADERS)
        .connect_timeout(patience.connect)
        .pool_max_idle_per_host(patience.transfers)
        .no_proxy();
    let proxies = settings.proxies.all()?.into_iter();
    let builder = proxies.fold(builder, reqwest::ClientBuilder::proxy);
    let sockets = settings.socket.iter();
    let builder = sockets.fold(builder, |builder, path| builder.unix_socket(path.as_path()));
    let builder = match trust {
        Trust::Anybody => builder.tls_danger_accept_invalid_certs(true),
        Trust::System => builder,
        Trust::Only(certificates) => builder.tls_certs_only(certificates),
    };
    let wrong = |error| Error::Setting {
        what: "cannot set up TLS",
        reason: innermost(&error),
    };
    builder.build().map_err(wrong)
}

impl Patience {
    /// What a failed request of reqwest means; `url` is whom it was sent to.
    pub(super) fn explain(&self, error: &reqwest::Error, url: &Url) -> Error {
        let host = host_of(url);
        let broken = |reason| Error::Broken {
            host: host_of(url),
            reason,
        };
        match cause::<rustls::Error>(error) {
            Some(rustls::Error::InvalidCertificate(why)) => {
                let reason = why.to_string();
                return Error::Untrusted { host, reason };
            }
            Some(rustls::Error::InvalidMessage(_)) => return Error::NotTls { host },
            Some(other) => return broken(other.to_string()),
            None => {}
        }
        let (what, waited) = (NO_CONNECTION, self.connect);
        match (error.is_connect(), error.is_timeout()) {
            (_, true) => Error::Stalled { host, what, waited },
            (true, false) => Error::Connect {
                host,
                reason: innermost(error),
            },
            (false, false) => broken(innermost(error)),
        }
    }
}

/// Host and port of an address, for messages.
pub fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.into(),
    }
}

/// An address for messages: signed ones carry secrets in their query.
pub fn without_query(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), host_of(url), url.path())
}

/// The first cause of type `T`, also inside of I/O errors, which hide theirs.
fn cause<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>();
        let inner = inner.and_then(io::Error::get_ref);
        let inner = inner.map(|inner| inner as &(dyn StdError + 'static));
        next = inner.or_else(|| error.source());
    }
    None
}

/// The last cause in words: what is above it only repeats the address.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}
