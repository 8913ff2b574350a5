//! Addresses as they are fetched: read once, by the parser of the http client, so that messages and source policies speak of the host
//! that is asked. Unaware of what the addresses are for.

use kiln_oci::http::Url;

/// Reads an address by http(s).
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(address: &str) -> Result<Url, String> {
    check(address)?;
    let url = Url::parse(address).map_err(|error| error.to_string())?;
    if !is_web(&url) || url.host_str().is_none() {
        return Err("is no http or https address".to_owned());
    }
    Ok(url)
}

/// Refuses what programs read in different ways: to some a backslash ends the host, and some skip control characters.
fn check(address: &str) -> Result<(), String> {
    let is_bad = |ch: char| ch == '\\' || ch.is_ascii_control();
    match address.chars().find(|ch| is_bad(*ch)) {
        Some('\\') => Err("an address holds no backslash".to_owned()),
        Some(_) => Err("an address holds no control characters".to_owned()),
        None => Ok(()),
    }
}

/// An address without user name and password, by http(s) as it is fetched.
#[must_use]
pub fn redacted(address: &str) -> String {
    if let Some(url) = Url::parse(address).ok().filter(is_web) {
        return bare(url).into();
    }
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => address.to_owned(),
    }
}

/// An address as it is fetched, with its credentials; what is not by http(s) stays as it is.
#[must_use]
pub fn normal(address: &str) -> String {
    let url = Url::parse(address).ok().filter(is_web);
    url.map_or_else(|| address.to_owned(), String::from)
}

/// One spelling for all that mean the same file by http(s), without credentials.
///
/// # Errors
/// When it is no address, or servers may differ about what it means.
pub fn identifier(address: &str) -> Result<String, String> {
    let mut url = bare(parse(address)?);
    let path = url.path().to_ascii_lowercase();
    let path = path.replace("%2f", "/").replace("%5c", "/");
    let path = path.replace("%2e", ".");
    if path.split('/').any(|part| part == "..") {
        return Err("its path leads upwards in disguise".to_owned());
    }
    url.set_fragment(None);
    if url.query() == Some("") {
        url.set_query(None);
    }
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let host = host.to_owned();
    url.set_host(Some(&host))
        .map_err(|error| error.to_string())?;
    let path = plain(url.path());
    url.set_path(&path);
    Ok(url.into())
}

/// The address of a repository in a spelling that leaves no doubt about host and path; with its credentials.
///
/// # Errors
/// When there is doubt.
pub fn repository(remote: &str) -> Result<String, String> {
    if Url::parse(remote).is_ok_and(|url| is_web(&url)) {
        identifier(remote)?;
        return Ok(normal(remote));
    }
    check(remote)?;
    let (is_short, place) = match remote.split_once("://") {
        Some((_, rest)) => (false, rest),
        None => (true, remote),
    };
    let ends = if is_short { ':' } else { '/' };
    let path = place.split_once(ends).map_or("", |(_, path)| path);
    let is_odd = |part: &str| matches!(part, "" | "." | "..");
    if path.trim_matches('/').split('/').any(is_odd) {
        return Err("its path has empty parts, or parts that lead elsewhere".to_owned());
    }
    // git decodes the long form, and reads brackets of the short one
    if place.contains(if is_short { '[' } else { '%' }) {
        return Err("no rule can be held against such an address".to_owned());
    }
    Ok(remote.to_owned())
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

fn bare(mut url: Url) -> Url {
    // an address by http(s) has a host, and so these cannot fail
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// Letters, digits and marks that need no `%` are written without one (RFC 3986).
fn plain(path: &str) -> String {
    let mut parts = path.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let is_free = |code: &u8| code.is_ascii_alphanumeric() || b"-._~".contains(code);
        match code.filter(is_free) {
            Some(code) => {
                plain.push(char::from(code));
                plain += &part[2..];
            }
            None => {
                plain.push('%');
                plain += part;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        assert_eq!(redacted("https://me:pw@h:1/a@b"), "https://h:1/a@b");
        assert_eq!(redacted("https://h/a@b"), "https://h/a@b");
        assert_eq!(redacted("git@h:a"), "git@h:a");
        assert_eq!(redacted("ssh://me:pw@h/a"), "ssh://h/a");
    }

    #[test]
    fn the_host_that_is_asked_is_the_host_that_is_shown() {
        let address = "http://127.0.0.1:8099\\@localhost:8077/ok";
        assert_eq!(
            redacted(address),
            "http://127.0.0.1:8099/@localhost:8077/ok"
        );
        assert!(parse(address).unwrap_err().contains("backslash"));
        for address in ["http://h/a\tb", "http://h\n/", "\u{1}http://h/"] {
            assert!(parse(address).unwrap_err().contains("control"));
        }
    }

    #[test]
    fn one_file_has_one_spelling() {
        for address in [
            "http://h/ok/../secret",
            "http://h/ok/%2e%2E/secret",
            "HTTP://me:pw@H:80/secret",
            "http://h./%73ecret?#x",
        ] {
            assert_eq!(identifier(address).unwrap(), "http://h/secret", "{address}");
        }
        assert_eq!(
            identifier("http://h/a%2Fb%é").unwrap(),
            "http://h/a%2Fb%%C3%A9"
        );
        for address in ["http://h/ok/..%2fsecret", "http://h/ok/%2e%2e%5Csecret"] {
            assert!(identifier(address).is_err(), "{address}");
        }
    }

    #[test]
    fn repositories_that_leave_doubt_are_refused() {
        assert_eq!(
            repository("https://me@H:443/x/../a.git").unwrap(),
            "https://me@h/a.git"
        );
        for remote in [
            "ssh://git@h:22/a/b.git",
            "git@h:a/b",
            "git@h:/a/b",
            "git://h/a/",
        ] {
            assert_eq!(repository(remote).unwrap(), remote);
        }
        for remote in [
            "ssh://h/ok/../a",
            "ssh://h/ok/%2e%2e/a",
            "git@h:ok/../a",
            "git@h:ok//a",
            "git://h/./a",
            "[h:22]:a",
            "ssh://h\\@x/a",
        ] {
            assert!(repository(remote).is_err(), "{remote}");
        }
    }
}
