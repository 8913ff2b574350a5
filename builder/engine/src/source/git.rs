//! Git repositories: which commit is meant, and its files as a layer. By the git program, kept on a short leash (`command`).
//! BuildKit's rules: a branch wins over a tag of the same name, an annotated tag means its commit, submodules come along,
//! `.git` does not; modes are 0644 and 0755. Times are the commit's, so that a checkout is the same everywhere.
//! Unaware of what the files are for.

mod address;
mod checkout;
mod command;
mod credentials;
mod ssh;

use super::fetch::{Access, layer, secret};
use crate::failure::FetchError;
use crate::source::fetch::address::redacted;
use command::{Git, LIST};
use kiln_cache::{Fetched, KeyBuilder};
use kiln_oci::Digest;
use kiln_parser::graph::GitSource;
use std::time::Instant;

/// A commit that a source means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id: 40 or 64 hex digits; fewer when only the repository itself can tell which commit begins so.
    pub id: String,
    /// The full name under which the remote offers it, if it is a branch or a tag.
    pub name: Option<String>,
    /// How the repository makes ids.
    pub format: Format,
}

/// How a repository makes the ids of its objects; a fetch works between repositories of one format only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Ids have 40 hex digits.
    Sha1,
    /// Ids have 64.
    Sha256,
}

impl Format {
    fn of(id: &str) -> Self {
        match id.len() {
            64 => Format::Sha256,
            _ => Format::Sha1,
        }
    }
}

impl Commit {
    fn new(id: &str, name: Option<String>) -> Self {
        Commit {
            id: id.to_owned(),
            name,
            format: Format::of(id),
        }
    }

    fn is_whole(&self) -> bool {
        is_id(&self.id)
    }
}

/// Which commit a source means. A whole id needs no network.
///
/// # Errors
/// When the address cannot be used, the remote cannot be asked, or it has no such reference.
pub fn resolve(access: Access<'_>, source: &GitSource) -> Result<Commit, FetchError> {
    let url = redacted(&source.remote);
    address::check(source)?;
    let reference = source.reference.as_deref().unwrap_or("HEAD");
    if is_id(reference) {
        let commit = Commit::new(reference, None);
        check_commit(source, &commit, None)?;
        return Ok(commit);
    }
    if access.session.offline {
        return Err(FetchError::Offline { url, held: None });
    }
    let listed = list(access, source, reference)?;
    if let Some((commit, tag)) = named(&listed, reference) {
        check_commit(source, &commit, Some(tag))?;
        return Ok(commit);
    }
    if is_hex(reference) && reference.len() >= 7 {
        let mut commit = Commit::new(reference, None);
        if let Some((id, _)) = listed.first() {
            commit.format = Format::of(id);
        }
        return Ok(commit);
    }
    let reference = reference.to_owned();
    Err(FetchError::NoReference { url, reference })
}

/// Ids and names that the remote offers for a reference.
fn list(
    access: Access<'_>,
    source: &GitSource,
    reference: &str,
) -> Result<Vec<(String, String)>, FetchError> {
    // a repository of either format lists its names; HEAD tells which one it is
    let git = Git::start(access, source, Format::Sha1)?;
    let names = candidates(reference);
    let mut arguments = vec![LIST, "origin", "HEAD"];
    arguments.extend(names.iter().map(String::as_str));
    let listed = git.ask(LIST, &arguments)?;
    git.finish()?;
    Ok(parse(&listed))
}

/// The commit that a reference names, and the id that stands under the name itself.
fn named<'l>(listed: &'l [(String, String)], reference: &str) -> Option<(Commit, &'l str)> {
    let find = |name: &str| {
        let found = listed.iter().find(|(_, listed)| listed == name);
        found.map(|(id, _)| id.as_str())
    };
    let names = candidates(reference).into_iter();
    let mut names = names.filter(|name| !name.ends_with("^{}"));
    names.find_map(|name| {
        let id = find(&name)?;
        let peeled = find(&format!("{name}^{{}}")).unwrap_or(id);
        let name = Some(name).filter(|name| name != "HEAD");
        Some((Commit::new(peeled, name), id))
    })
}

/// Full names that a reference may stand for, the first that exists wins.
fn candidates(reference: &str) -> Vec<String> {
    if reference == "HEAD" {
        return vec!["HEAD".to_owned()];
    }
    let mut names = Vec::new();
    if reference.starts_with("refs/") {
        names.push(reference.to_owned());
    } else {
        names.push(format!("refs/heads/{reference}"));
        names.push(format!("refs/tags/{reference}"));
        names.push(format!("refs/{reference}"));
    }
    let peeled: Vec<String> = names.iter().map(|name| format!("{name}^{{}}")).collect();
    names.extend(peeled);
    names
}

/// Lines `id<TAB>name`.
fn parse(listed: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let (id, name) = line.split_once('\t')?;
        is_id(id).then(|| (id.to_owned(), name.to_owned()))
    };
    listed.lines().filter_map(line).collect()
}

/// Whether a text is the whole id of an object.
fn is_id(text: &str) -> bool {
    is_hex(text) && matches!(text.len(), 40 | 64)
}

fn is_hex(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Compares with `--checksum`, which may also name the tag itself (`tag`).
fn check_commit(source: &GitSource, commit: &Commit, tag: Option<&str>) -> Result<(), FetchError> {
    match &source.checksum {
        Some(expected)
            if !commit.id.starts_with(expected.as_str())
                && !tag.is_some_and(|tag| tag.starts_with(expected.as_str())) =>
        {
            Err(FetchError::Checksum {
                url: redacted(&source.remote),
                expected: format!("commit {expected}"),
                found: format!("commit {}", commit.id),
            })
        }
        _ => Ok(()),
    }
}

/// What the store holds of a commit.
///
/// # Errors
/// When the store fails.
pub fn known(
    access: Access<'_>,
    source: &GitSource,
    commit: &Commit,
) -> Result<Option<Fetched>, FetchError> {
    if !commit.is_whole() {
        return Ok(None);
    }
    Ok(access
        .session
        .store
        .records()
        .fetched(&key(source, commit))?)
}

/// Fetches a commit and makes a layer of its files.
///
/// # Errors
/// When it cannot be fetched, or has no such folder.
pub fn fetch(
    access: Access<'_>,
    source: &GitSource,
    commit: &Commit,
) -> Result<Fetched, FetchError> {
    if access.session.offline {
        let url = redacted(&source.remote);
        return Err(FetchError::Offline { url, held: None });
    }
    let begun = Instant::now();
    let git = Git::start(access, source, commit.format)?;
    let made = make(access, &git, source, commit);
    git.finish()?;
    let (commit, fetched, files) = made?;
    let store = &access.session.store;
    store
        .records()
        .remember_fetched(&key(source, &commit), &fetched)?;
    let title = format!("{} at {}", redacted(&source.remote), short(&commit.id));
    access.tell(title, files.count, files.bytes, begun);
    Ok(fetched)
}

/// Checks a commit out and makes a layer of its files.
fn make(
    access: Access<'_>,
    git: &Git<'_>,
    source: &GitSource,
    commit: &Commit,
) -> Result<(Commit, Fetched, checkout::Files), FetchError> {
    let done = checkout::check_out(git, source, commit)?;
    let commit = Commit::new(&done.commit, commit.name.clone());
    if commit.name.is_none() {
        check_commit(source, &commit, None)?;
    }
    let (layer, files) = checkout::layer(access, git, source, &done)?;
    let fetched = Fetched {
        layer,
        version: commit.id.clone(),
        etag: None,
        last_modified: None,
        modified: Some(done.time),
    };
    Ok((commit, fetched, files))
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// The commit with all that decides which of its files come along, and how. Relative addresses of submodules make the remote
/// count.
fn key(source: &GitSource, commit: &Commit) -> Digest {
    let name = commit.name.as_deref().filter(|_| source.keep_git_dir);
    KeyBuilder::new("git")
        .bytes("remote", redacted(&source.remote).as_bytes())
        .bytes("commit", commit.id.as_bytes())
        .bytes("name", name.unwrap_or_default().as_bytes())
        .bytes("folder", address::folder(source).as_bytes())
        .bytes("keep .git", &[u8::from(source.keep_git_dir)])
        .bytes("submodules", &[u8::from(source.submodules)])
        .finish()
        .0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_wins_over_a_tag() {
        let names = candidates("v1");
        assert_eq!(names[..2], ["refs/heads/v1", "refs/tags/v1"]);
        assert_eq!(candidates("HEAD"), ["HEAD"]);
        assert_eq!(
            candidates("refs/tags/v1"),
            ["refs/tags/v1", "refs/tags/v1^{}"]
        );
    }

    #[test]
    fn only_ids_are_believed() {
        let id = "a".repeat(40);
        let listed = parse(&format!("{id}\trefs/heads/x\nwarning\nzz\trefs/heads/y\n"));
        assert_eq!(listed, [(id, "refs/heads/x".to_owned())]);
    }
}
