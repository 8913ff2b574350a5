//! Git repositories as sources of `ADD`: `https://host/repo.git#reference:folder`, `git@host:repo.git?branch=…`, `ssh://…`, `git://…`
//! (BuildKit's `dfgitutil`). Unaware of how they are fetched.

use crate::go;
use crate::graph::GitSource;

/// A query or fragment that cannot be understood, or two that disagree.
pub(crate) type Problem = String;

/// A git source as its URL describes it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GitUrl {
    pub(crate) remote: String,
    reference: Option<String>,
    subdir: Option<String>,
    pub(crate) checksum: Option<String>,
    pub(crate) keep_git_dir: Option<bool>,
    submodules: Option<bool>,
}

impl GitSource {
    /// Reads an address that may name a repository, like `ADD`; None if it names something else.
    ///
    /// # Errors
    /// What cannot be understood about the address.
    pub fn parse(address: &str) -> Option<Result<Self, String>> {
        Some(parse(address)?.and_then(|url| url.into_source(None, None)))
    }
}

/// Whether a source is a git repository.
pub(crate) fn is_git(source: &str) -> bool {
    remote(source).is_some()
}

/// Reads a git source. None if it is something else.
pub(crate) fn parse(source: &str) -> Option<Result<GitUrl, Problem>> {
    let (remote, query, fragment) = remote(source)?;
    let mut url = GitUrl {
        remote: remote.to_owned(),
        ..GitUrl::default()
    };
    let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
    url.reference = some(reference);
    url.subdir = some(subdir);
    Some(url.read_query(query).map(|()| url))
}

impl GitUrl {
    /// The source, with what flags of `ADD` say.
    pub(crate) fn into_source(
        self,
        checksum: Option<String>,
        keep: Option<bool>,
    ) -> Result<GitSource, Problem> {
        if let (Some(flag), Some(url)) = (&checksum, &self.checksum)
            && flag != url
        {
            return Err(format!("checksum mismatch {flag:?} != {url:?}"));
        }
        if let (Some(flag), Some(url)) = (keep, self.keep_git_dir)
            && flag != url
        {
            return Err("inconsistent keep-git-dir configuration".to_owned());
        }
        Ok(GitSource {
            remote: self.remote,
            reference: self.reference,
            subdir: self.subdir,
            checksum: self.checksum.or(checksum),
            keep_git_dir: self.keep_git_dir.or(keep).unwrap_or(false),
            submodules: self.submodules.unwrap_or(true),
        })
    }

    fn read_query(&mut self, query: &str) -> Result<(), Problem> {
        let mut seen: Vec<String> = Vec::new();
        let (mut tag, mut branch) = (None, None);
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let (key, value) = (percent_decoded(key), percent_decoded(value));
            if seen.contains(&key) {
                return Err(format!("query {key:?} has multiple values"));
            }
            match key.as_str() {
                "submodules" => self.submodules = Some(boolean(&key, &value)?),
                "keep-git-dir" => self.keep_git_dir = Some(boolean(&key, &value)?),
                _ if value.is_empty() => return Err(format!("query {key:?} has no value")),
                "ref" => agree("ref", &mut self.reference, value)?,
                "subdir" => agree("subdir", &mut self.subdir, value)?,
                "checksum" | "commit" => self.checksum = Some(value),
                "tag" => tag = Some(qualified("refs/tags/", value)),
                "branch" => branch = Some(qualified("refs/heads/", value)),
                _ => return Err(format!("unexpected query {key:?}")),
            }
            seen.push(key);
        }
        if tag.is_some() && branch.is_some() {
            return Err("branch conflicts with tag".to_owned());
        }
        if let Some(reference) = tag.or(branch) {
            agree("ref", &mut self.reference, reference)?;
        }
        if self.reference.is_none() {
            self.reference = self.checksum.clone();
        }
        Ok(())
    }
}

/// Address, query and fragment.
fn remote(source: &str) -> Option<(&str, &str, &str)> {
    if source.starts_with("./") || source.starts_with("../") {
        return None;
    }
    let (rest, fragment) = source.split_once('#').unwrap_or((source, ""));
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_remote = match address.split_once("://") {
        Some((scheme, path)) => match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => path.ends_with(".git"),
            "ssh" | "git" => true,
            _ => false,
        },
        None => is_scp_style(address),
    };
    is_remote.then_some((address, query, fragment))
}

/// `user@host:path`
fn is_scp_style(address: &str) -> bool {
    let word = |text: &str, more: &str| {
        let inside = |ch: char| ch.is_ascii_alphanumeric() || more.contains(ch);
        !text.is_empty() && text.chars().all(inside)
    };
    let parts = address
        .split_once('@')
        .and_then(|(user, rest)| Some((user, rest.split_once(':')?)));
    parts.is_some_and(|(user, (host, _))| word(user, "-_") && word(host, "-."))
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn agree(what: &str, known: &mut Option<String>, value: String) -> Result<(), Problem> {
    match known {
        Some(old) if *old != value => Err(format!("{what} conflicts: {old:?} vs {value:?}")),
        _ => {
            *known = Some(value);
            Ok(())
        }
    }
}

fn qualified(prefix: &str, name: String) -> String {
    if name.starts_with(prefix) {
        name
    } else {
        format!("{prefix}{name}")
    }
}

fn boolean(key: &str, value: &str) -> Result<bool, Problem> {
    let read = if value.is_empty() {
        Some(true)
    } else {
        go::boolean(value)
    };
    read.ok_or_else(|| format!("invalid {key} value: {value:?}"))
}

/// Replaces `%41`; a text that is no UTF-8 afterwards stays as it was.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..2);
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> GitSource {
        parse(text)
            .unwrap()
            .unwrap()
            .into_source(None, None)
            .unwrap()
    }

    #[test]
    fn what_is_git() {
        for git in [
            "https://a/b.git",
            "http://a/b.git#x",
            "git@a:b",
            "ssh://a/b",
            "git://a/b",
            "https://a/b.git?ref=x",
        ] {
            assert!(is_git(git), "{git}");
        }
        for other in [
            "https://a/b",
            "github.com/a/b",
            "./a.git",
            "a.git",
            "https://a/b.git/c",
            "ftp://a/b.git",
        ] {
            assert!(!is_git(other), "{other}");
        }
    }

    #[test]
    fn references_and_folders() {
        let git = source("https://a/b.git#main:x/y");
        assert_eq!(
            (git.reference.as_deref(), git.subdir.as_deref()),
            (Some("main"), Some("x/y"))
        );
        let git = source("https://a/b.git?tag=v1&subdir=d%2Fe&keep-git-dir&submodules=0");
        assert_eq!(git.reference.as_deref(), Some("refs/tags/v1"));
        assert_eq!(git.subdir.as_deref(), Some("d/e"));
        assert!(git.keep_git_dir && !git.submodules);
        assert_eq!(
            source("https://a/b.git?checksum=abc").reference.as_deref(),
            Some("abc")
        );
    }

    #[test]
    fn contradictions() {
        for bad in [
            "?ref=a#b",
            "?tag=a&branch=b",
            "?ref=",
            "?x=1",
            "?ref=a&ref=a",
            "?submodules=maybe",
        ] {
            assert!(
                parse(&format!("https://a/b.git{bad}")).unwrap().is_err(),
                "{bad}"
            );
        }
        let url = parse("https://a/b.git?checksum=abc").unwrap().unwrap();
        assert!(url.into_source(Some("abd".to_owned()), None).is_err());
    }
}
