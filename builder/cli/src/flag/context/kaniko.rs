//! Contexts as kaniko writes them: `dir://`, `tar://`, `git://`. Unaware of what is in them.

use super::{context_folder, outside};
use crate::failure::Failure;
use kiln_engine::{ContextSource, MainSource};
use std::path::Path;

/// Where kaniko finds contexts and kiln does not.
const BUCKETS: [&str; 2] = ["gs", "s3"];

/// A context in kaniko's form; none for any other text.
///
/// # Errors
/// When it cannot be used.
pub fn context(text: &str) -> Result<Option<MainSource>, Failure> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(None);
    };
    let named = |source| Ok(Some(MainSource::Named(source)));
    match scheme {
        "dir" => named(ContextSource::Directory(context_folder(Path::new(rest))?)),
        "tar" if is_stdin(text) => Ok(Some(MainSource::Stream)),
        "tar" if Path::new(rest).is_file() => named(ContextSource::Archive(rest.into())),
        "tar" => Err(Failure::usage(format!(
            "--context {text}: there is no archive {rest}"
        ))),
        "git" => Ok(outside(&repository(rest))?.map(MainSource::Named)),
        bucket if BUCKETS.contains(&bucket) => {
            let failure = Failure::usage(format!("--context {text}: kiln does not read buckets"));
            Err(failure.hint("pipe it: … | kiln build --context tar://stdin"))
        }
        _ => Ok(None),
    }
}

/// Whether a context is read from standard input.
pub fn is_stdin(text: &str) -> bool {
    text == "tar://stdin"
}

/// kaniko clones `git://` by https, and takes a commit behind a second `#`, which says more than the branch.
fn repository(rest: &str) -> String {
    let mut parts = rest.splitn(3, '#');
    let address = parts.next().unwrap_or_default();
    let git = if address.ends_with(".git") {
        ""
    } else {
        ".git"
    };
    match parts.last() {
        Some(reference) => format!("https://{address}{git}#{reference}"),
        None => format!("https://{address}{git}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_cloned_by_https() {
        for (given, expected) in [
            ("h/a/b", "https://h/a/b.git"),
            ("h/a.git#refs/heads/x", "https://h/a.git#refs/heads/x"),
            ("h/a.git#refs/heads/x#abc", "https://h/a.git#abc"),
        ] {
            assert_eq!(repository(given), expected);
        }
        let context = context("git://h/a#v1").unwrap();
        assert!(
            matches!(context, Some(MainSource::Named(ContextSource::Git(git))) if git.remote == "https://h/a.git")
        );
    }
}
