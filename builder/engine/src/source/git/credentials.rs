//! Credentials for git, as configuration that is in its environment alone: never in a file, never among its arguments. Unaware of
//! where secrets come from.

use super::secret;
use crate::source::fetch::Access;
use crate::source::fetch::address::{self, redacted};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// The address as it may stand in a file: by http without user and password.
pub(super) fn bare(remote: &str) -> Cow<'_, str> {
    match web(remote) {
        Some(_) => Cow::Owned(redacted(remote)),
        None => Cow::Borrowed(remote),
    }
}

/// Scheme, authority and host of an address by http.
fn web(remote: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = remote.split_once("://")?;
    let is_web = ["http", "https"]
        .iter()
        .any(|web| scheme.eq_ignore_ascii_case(web));
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    is_web.then_some((scheme, authority, host))
}

/// Keys and values: user and password that stand in the address are put back where git uses it, and the token of a secret is a
/// header for the source's host. With a token no redirect is followed: git would send it there too.
pub(super) fn configuration(access: Access<'_>, remote: &str) -> Vec<(String, String)> {
    let remote = address::normal(remote);
    let Some((scheme, authority, host)) = web(&remote) else {
        return Vec::new();
    };
    let mut configuration = Vec::new();
    if authority != host {
        configuration.push((
            format!("url.{scheme}://{authority}/.insteadOf"),
            format!("{scheme}://{host}/"),
        ));
    }
    if let Some(value) = header(access, host) {
        configuration.push((
            format!("http.{scheme}://{host}/.extraHeader"),
            format!("Authorization: {value}"),
        ));
        configuration.push(("http.followRedirects".to_owned(), "false".to_owned()));
    }
    configuration
}

/// BuildKit's secrets, those for the host first.
fn header(access: Access<'_>, host: &str) -> Option<String> {
    let header = |name: &str| secret(access, name);
    let basic = |token: String| {
        let text = format!("x-access-token:{token}");
        format!("basic {}", STANDARD.encode(text))
    };
    header(&format!("GIT_AUTH_HEADER.{host}"))
        .or_else(|| header(&format!("GIT_AUTH_TOKEN.{host}")).map(basic))
        .or_else(|| header("GIT_AUTH_HEADER"))
        .or_else(|| header("GIT_AUTH_TOKEN").map(basic))
        .filter(|value| !value.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_no_password() {
        assert_eq!(bare("https://me:pw@h:1/a.git"), "https://h:1/a.git");
        assert_eq!(bare("ssh://git@h/a"), "ssh://git@h/a");
        assert_eq!(bare("git@h:a"), "git@h:a");
    }
}
