//! Proxies, and which hosts are reached without them. Unaware of the environment.

use std::fmt;

use reqwest::{NoProxy, Proxy};

use super::transport::innermost;
use super::{Error, Result};

/// This machine, in the ways that clients know: curl reads networks only since 7.86.
const LOOPBACK: &str = "localhost,127.0.0.1,127.0.0.0/8,::1";

/// Proxies as URLs, which may hold `user:password@`. Debug output leaves them out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For plain http (`HTTP_PROXY`).
    pub http: Option<String>,
    /// For https (`HTTPS_PROXY`).
    pub https: Option<String>,
    /// Hosts, domains and networks that are reached directly, with commas between (`NO_PROXY`). Loopback addresses always are.
    pub no_proxy: Option<String>,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
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

    /// The proxies for a transport that otherwise uses none.
    pub(super) fn all(&self) -> Result<Vec<Proxy>> {
        let direct = NoProxy::from_string(&self.direct());
        let mut found = Vec::new();
        for (address, make, what) in [
            (
                &self.http,
                Proxy::http as fn(String) -> _,
                "the proxy in HTTP_PROXY",
            ),
            (&self.https, Proxy::https, "the proxy in HTTPS_PROXY"),
        ] {
            let Some(address) = address.clone().filter(|address| !address.is_empty()) else {
                continue;
            };
            // The address may hold a password.
            let reason = |error: reqwest::Error| innermost(&error.without_url());
            let proxy = make(address).map_err(reason);
            let proxy = proxy.map_err(|reason| Error::Setting { what, reason })?;
            found.push(proxy.no_proxy(direct.clone()));
        }
        Ok(found)
    }
}
