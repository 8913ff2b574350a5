//! Where folders are that targets name: here, or in the repository that the definition is from. By texts alone; unaware of what is there.

use super::plan::is_elsewhere;
use crate::error::{Error, Result};
use crate::path;

/// What folders are relative to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Base {
    /// The current folder.
    #[default]
    Here,
    /// A repository, by its address: folders are those behind the colon of `address#reference:folder`.
    Repository(String),
    /// An archive, by its address: it is one folder.
    Archive(String),
}

impl Base {
    /// A context as builds take it: a folder by its shortest path, `cwd://` for the current folder's.
    ///
    /// # Errors
    /// It is a folder where only a whole archive can be one.
    pub(super) fn context(&self, context: &str) -> Result<String> {
        if let Some(local) = context.strip_prefix("cwd://") {
            return Ok(path::clean(local));
        }
        if is_elsewhere(context) {
            return Ok(context.to_owned());
        }
        let folder = path::clean(context);
        match (self, folder.as_str()) {
            (Base::Here, _) => Ok(folder),
            (Base::Repository(address) | Base::Archive(address), ".") => Ok(address.clone()),
            (Base::Repository(address), _) => Ok(within(address, &folder)),
            (Base::Archive(address), _) => Err(Error::new(format!(
                "{folder} is a folder in {address}: an archive is a context as a whole, folders of repositories are"
            ))),
        }
    }
}

/// A folder of a repository, below the one that its address names.
fn within(address: &str, folder: &str) -> String {
    let (repository, fragment) = address.split_once('#').unwrap_or((address, ""));
    let (reference, outer) = fragment.split_once(':').unwrap_or((fragment, ""));
    let folder = path::clean(&format!("/{outer}/{folder}"));
    format!(
        "{repository}#{reference}:{}",
        folder.trim_start_matches('/')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_those_of_the_repository() {
        let git = "https://example.org/app.git";
        for (address, context, expected) in [
            (git, ".", git),
            (git, "./web/", "https://example.org/app.git#:web"),
            ("git@h:a.git#v1", "web", "git@h:a.git#v1:web"),
            ("git@h:a.git#v1:sub", "web/../x", "git@h:a.git#v1:sub/x"),
            ("git@h:a.git#v1:sub", "..", "git@h:a.git#v1:"),
            (git, "../..", "https://example.org/app.git#:"),
            (git, "cwd://here", "here"),
            (git, "docker-image://alpine", "docker-image://alpine"),
        ] {
            let base = Base::Repository(address.to_owned());
            assert_eq!(
                base.context(context).unwrap(),
                expected,
                "{address} {context}"
            );
        }
        assert!(Base::Archive(git.to_owned()).context("web").is_err());
        assert_eq!(Base::Here.context("cwd://a/").unwrap(), "a");
    }
}
