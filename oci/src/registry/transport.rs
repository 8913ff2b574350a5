//! Connections: TLS, proxies, name resolution, by reqwest. Unaware of registries.
//!
//! There are two transports: one checks certificates, the other one is for registries that the user
//! allows to show any. Neither follows redirects nor reads the environment: `exchange` and the
//! settings do that.

use std::error::Error as StdError;
use std::io;
use std::sync::OnceLock;

use reqwest::{Certificate, NoProxy, Proxy, Url, redirect};

use super::error::{Error, Result};
use super::settings::{Certificates, Patience, Proxies, Settings};

/// This machine, in the ways that clients know: curl reads networks only since 7.86.
const LOOPBACK: &str = "localhost,127.0.0.1,127.0.0.0/8,::1";

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
    pub(super) fn get(&self, checked: bool, settings: &Settings) -> Result<reqwest::Client> {
        let place = if checked {
            &self.checked
        } else {
            &self.unchecked
        };
        if let Some(client) = place.get() {
            return Ok(client.clone());
        }
        let client = build_for(checked, settings)?;
        Ok(place.get_or_init(|| client).clone())
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
    if let Some(certificates) = certificates(&settings.certificates)? {
        return build(Trust::Only(certificates), settings);
    }
    // A system without any authority can still speak plain http; https says what is missing.
    build(Trust::System, settings).or_else(|_| build(Trust::Only(Vec::new()), settings))
}

fn build(trust: Trust, settings: &Settings) -> Result<reqwest::Client> {
    // The provider is the process's; whoever comes first installs the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Patience { connect, .. } = settings.patience;
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_only()
        .http1_max_headers(MOST_HEADERS)
        .connect_timeout(connect)
        .pool_max_idle_per_host(settings.patience.transfers)
        .no_proxy();
    for proxy in settings.proxies.all()? {
        builder = builder.proxy(proxy);
    }
    builder = match trust {
        Trust::Anybody => builder.tls_danger_accept_invalid_certs(true),
        Trust::System => builder,
        Trust::Only(certificates) => builder.tls_certs_only(certificates),
    };
    builder.build().map_err(|error| Error::Setting {
        what: "cannot set up TLS",
        reason: innermost(&error),
    })
}

impl Proxies {
    /// What is never reached through a proxy, whatever is set: this machine, then what [`Proxies::no_proxy`] says.
    pub fn direct(&self) -> String {
        match self.no_proxy.as_deref().map(str::trim) {
            None | Some("") => LOOPBACK.into(),
            Some("*") => "*".into(),
            Some(hosts) => format!("{LOOPBACK},{hosts}"),
        }
    }

    /// For a client that otherwise uses none: all HTTP of kiln goes through these.
    ///
    /// # Errors
    /// When an address of a proxy is none.
    pub fn all(&self) -> Result<Vec<Proxy>> {
        let wrong = |what| {
            move |error: reqwest::Error| Error::Setting {
                what,
                // The address may hold a password.
                reason: innermost(&error.without_url()),
            }
        };
        let set = |address: &Option<String>| address.clone().filter(|address| !address.is_empty());
        let mut found = Vec::new();
        if let Some(address) = set(&self.http) {
            found.push(Proxy::http(address).map_err(wrong("the proxy in HTTP_PROXY"))?);
        }
        if let Some(address) = set(&self.https) {
            found.push(Proxy::https(address).map_err(wrong("the proxy in HTTPS_PROXY"))?);
        }
        let direct = NoProxy::from_string(&self.direct());
        let direct = |proxy: Proxy| proxy.no_proxy(direct.clone());
        Ok(found.into_iter().map(direct).collect())
    }
}

/// The certificates that replace the system's; `None` when none do.
fn certificates(named: &Certificates) -> Result<Option<Vec<Certificate>>> {
    let path = match (&named.file, &named.directory) {
        (None, None) => return Ok(None),
        (Some(path), _) | (None, Some(path)) => path.clone(),
    };
    let wrong = |reason: String| Error::Certificates { path, reason };
    let read = rustls_native_certs::load_certs_from_paths(
        named.file.as_deref(),
        named.directory.as_deref(),
    );
    if read.certs.is_empty() {
        let reason = read.errors.first().map(ToString::to_string);
        return Err(wrong(reason.unwrap_or_else(|| "there are none".into())));
    }
    let parsed: std::result::Result<Vec<_>, _> = read
        .certs
        .iter()
        .map(|certificate| Certificate::from_der(certificate))
        .collect();
    parsed.map(Some).map_err(|error| wrong(innermost(&error)))
}

/// What a failed request of reqwest means; `url` is whom it was sent to.
pub(super) fn explain(error: &reqwest::Error, url: &Url) -> Error {
    let host = host_of(url);
    if let Some(tls) = cause::<rustls::Error>(error) {
        return match tls {
            rustls::Error::InvalidCertificate(why) => Error::Untrusted {
                host,
                reason: why.to_string(),
            },
            rustls::Error::InvalidMessage(_) => Error::NotTls { host },
            other => Error::Broken {
                host,
                reason: other.to_string(),
            },
        };
    }
    let reason = innermost(error);
    if error.is_connect() || error.is_timeout() {
        Error::Connect { host, reason }
    } else {
        Error::Broken { host, reason }
    }
}

/// Host and port of an address, for messages.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.into(),
    }
}

/// An address for messages: signed ones carry secrets in their query.
pub(super) fn without_query(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), host_of(url), url.path())
}

/// The first cause of type `T`, also inside of I/O errors, which hide theirs.
fn cause<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .map(|inner| inner as &(dyn StdError + 'static));
        next = inner.or_else(|| error.source());
    }
    None
}

/// The last cause in words: what is above it only repeats the address.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}
