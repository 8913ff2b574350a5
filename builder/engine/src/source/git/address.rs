//! Which addresses, references and folders may be given to git: nothing that git, ssh or a shell could take for something
//! else. The transports are a list of allowed ones; what may stand in a reference is git's own rule (git-check-ref-format).
//! Unaware of processes.

use crate::failure::FetchError;
use crate::source::fetch::address::redacted;
use kiln_parser::graph::GitSource;

/// Transports that a source may use.
const SCHEMES: [&str; 4] = ["http", "https", "ssh", "git"];
/// Longer ones are no addresses.
const MAX_LENGTH: usize = 4096;

/// Refuses what could become an option, a command or another file.
///
/// # Errors
/// [`FetchError::Address`], saying what is wrong.
pub(super) fn check(source: &GitSource) -> Result<(), FetchError> {
    let wrong = |message: &str| FetchError::Address {
        url: redacted(&source.remote),
        message: message.to_owned(),
    };
    check_remote(&source.remote).map_err(wrong)?;
    if let Some(reference) = &source.reference {
        check_reference(reference).map_err(wrong)?;
    }
    check_folder(&folder(source)).map_err(wrong)?;
    match &source.checksum {
        Some(checksum) if !super::is_hex(checksum) || checksum.len() > 64 => {
            Err(wrong("its checksum is no commit id"))
        }
        _ => Ok(()),
    }
}

fn check_remote(remote: &str) -> Result<(), &'static str> {
    let is_bad = |ch: char| ch == '\\' || ch.is_control() || ch.is_whitespace();
    if remote.len() > MAX_LENGTH || remote.chars().any(is_bad) {
        return Err("is no address of a repository");
    }
    let authority = match remote.split_once("://") {
        Some((scheme, _)) if !SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) => {
            return Err("repositories are fetched by https, http, ssh or git");
        }
        Some((_, rest)) => rest.split('/').next(),
        None => remote.split(':').next(),
    };
    let authority = authority.unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if host.is_empty() {
        return Err("has no host");
    }
    if host.starts_with('-') || user.starts_with('-') {
        return Err("its host begins with a dash, which ssh would take for an option");
    }
    // `helper::address` would have git run a program of that name.
    if !remote.contains("://") && remote.contains("::") {
        return Err("is no address of a repository");
    }
    Ok(())
}

fn check_reference(reference: &str) -> Result<(), &'static str> {
    let is_bad = |ch: char| ch.is_control() || " ~^:?*[\\\"@".contains(ch);
    // `@` is allowed by git inside of names, `@{` is not.
    let text = reference.replace('@', "");
    let is_bad_part =
        |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    if reference.starts_with('-') {
        return Err("its reference begins with a dash, which git would take for an option");
    }
    if reference.len() > MAX_LENGTH
        || text.contains(is_bad)
        || reference.contains("..")
        || reference.contains("@{")
        || reference.ends_with('.')
        || reference.split('/').any(is_bad_part)
    {
        return Err("its reference is no name of a branch, tag or commit");
    }
    Ok(())
}

/// The folder of the repository that is asked for, as a clean path: what `..` leaves is decided by the name alone, before any link
/// is looked at, and nothing is above the repository.
pub(super) fn folder(source: &GitSource) -> String {
    let mut parts = Vec::new();
    for part in source.subdir.as_deref().unwrap_or_default().split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn check_folder(folder: &str) -> Result<(), &'static str> {
    if folder.chars().any(char::is_control) {
        return Err("its folder holds control characters");
    }
    if folder
        .split('/')
        .any(|part| part.eq_ignore_ascii_case(".git"))
    {
        return Err("its folder is git's own");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(remote: &str, reference: Option<&str>, subdir: Option<&str>) -> GitSource {
        GitSource {
            remote: remote.to_owned(),
            reference: reference.map(str::to_owned),
            subdir: subdir.map(str::to_owned),
            checksum: None,
            keep_git_dir: false,
            submodules: true,
        }
    }

    #[test]
    fn ordinary_addresses_pass() {
        for remote in [
            "https://example.com/a.git",
            "http://user:pw@example.com:8080/a/b.git",
            "git@example.com:a/b.git",
            "ssh://git@example.com:22/a",
            "git://127.0.0.1:9418/a",
            "ssh://[::1]:22/a",
        ] {
            check(&source(remote, Some("feature/x-1.2@y"), Some("a/./b"))).unwrap();
        }
    }

    #[test]
    fn a_folder_is_a_clean_path_below_the_repository() {
        for (written, clean) in [
            ("", ""),
            ("/a/./b//", "a/b"),
            ("a/../b", "b"),
            ("a/b/../../c/..", ""),
            ("..", ""),
            ("../../etc", "etc"),
            ("a..b/..c", "a..b/..c"),
        ] {
            let source = source("https://h/a.git", None, Some(written));
            assert_eq!(folder(&source), clean, "{written}");
        }
    }

    #[test]
    fn nothing_becomes_an_option_or_a_command() {
        for remote in [
            "--upload-pack=touch /tmp/x",
            "--upload-pack=x",
            "ext::sh -c x",
            "ext::sh",
            "file:///etc",
            "ssh://-oProxyCommand=x/a",
            "ssh://-oProxyCommand=x@h/a",
            "-oProxyCommand=x@h:a",
            "git@-oProxyCommand=x:a",
            "https:///a.git",
            "https://h/a\n[core]",
            "fd::7/a",
            "http://h\\@other/a.git",
        ] {
            assert!(check(&source(remote, None, None)).is_err(), "{remote}");
        }
        for reference in [
            "--upload-pack=x",
            "-x",
            "a b",
            "a..b",
            "a:b",
            "+a:refs/b",
            "a^{}",
            "a\nb",
            "@{-1}",
            "x.lock",
            "",
            "/a",
        ] {
            assert!(
                check(&source("https://h/a.git", Some(reference), None)).is_err(),
                "{reference}"
            );
        }
        for folder in [".git", "a/.GIT/hooks", "../.git", "a\nb"] {
            assert!(
                check(&source("https://h/a.git", None, Some(folder))).is_err(),
                "{folder}"
            );
        }
    }
}
