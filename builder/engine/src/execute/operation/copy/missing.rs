//! Why a source of COPY may be missing: it has another name, .dockerignore leaves it out, it is outside of the context. Only hints are made of what
//! is seen here, so that plain looks at the context's folder are enough. Unaware of what is copied.

use super::super::Source;
use crate::execute::copy::shown;
use crate::failure::{CopyError, StepError};
use kiln_parser::ignore::{IgnoreFile, Matcher};
use kiln_parser::suggest;
use std::fs::Metadata;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Where a source was looked for.
#[derive(Debug, Clone, Copy)]
pub struct Missing<'a> {
    /// What the instruction reads.
    pub sources: &'a [Source],
    /// The instruction, as written.
    pub title: &'a str,
    /// The folder of the main context, and what stands in the place of its .dockerignore.
    pub main: Option<&'a Path>,
    pub ignore: Option<&'a str>,
}

impl Missing<'_> {
    /// The same error with a hint, if it is that of a missing source.
    pub fn explain(&self, error: StepError) -> StepError {
        match error {
            StepError::Copy(CopyError::NotFound { path, hint: None }) => {
                let hint = self.hint(path.trim_start_matches('/'));
                CopyError::NotFound { path, hint }.into()
            }
            error => error,
        }
    }

    fn hint(&self, path: &str) -> Option<String> {
        let look = |folder: &Path| folder.join(path).symlink_metadata().ok();
        let seen = |source: &Source| {
            let folder = source.folder.as_deref()?;
            Some(self.seen(folder, path, &look(folder)?))
        };
        let near = |source| near(source, path).map(|near| format!("did you mean {near}?"));
        let mut sources = self.sources.iter();
        let hint = self.sources.iter().find_map(seen);
        hint.or_else(|| self.outside())
            .or_else(|| sources.find_map(near))
    }

    /// What is in the folder, and not in the context.
    fn seen(&self, folder: &Path, path: &str, seen: &Metadata) -> String {
        if seen.file_type().is_socket() {
            return "it is a socket, and an image can hold none".to_owned();
        }
        if seen.is_symlink() {
            return "it is a link, and what it leads to is not there or left out by .dockerignore"
                .to_owned();
        }
        let by = self.rule(folder, path);
        let by = by.unwrap_or_else(|| ".dockerignore leaves it out".to_owned());
        format!("it is in the context's folder, but {by}")
    }

    /// The pattern that leaves a file out.
    fn rule(&self, folder: &Path, path: &str) -> Option<String> {
        let given = self.ignore.filter(|_| self.main == Some(folder));
        let (name, text) = match given {
            Some(text) => ("the Dockerfile's own .dockerignore", text.to_owned()),
            None => (
                ".dockerignore",
                std::fs::read_to_string(folder.join(".dockerignore")).ok()?,
            ),
        };
        let file = IgnoreFile::parse(&text);
        let at = Matcher::new(&file.patterns).ok()?.rule(path)?;
        let (pattern, line) = (file.patterns.get(at)?, file.lines.get(at)?);
        Some(format!("line {line} of {name} leaves it out: {pattern}"))
    }

    /// `..` at the beginning of a source means nothing.
    fn outside(&self) -> Option<String> {
        let mut words = self.title.split_whitespace();
        let is_above = |word: &str| word == ".." || word.starts_with("../");
        words.any(is_above).then(|| {
            "a context ends at its folder, and `..` leads nowhere: build in a folder above, with -f for the Dockerfile, or add \
             the other one with --build-context NAME=DIR and COPY --from=NAME"
                .to_owned()
        })
    }
}

/// What is called nearly as the first part of a path that is not there.
fn near(source: &Source, path: &str) -> Option<String> {
    let mut above = String::new();
    for part in path.split('/') {
        let names = names(source, &above);
        if names.iter().any(|name| name == part) {
            above = format!("{above}/{part}");
            continue;
        }
        let same = names.iter().find(|name| name.eq_ignore_ascii_case(part));
        let near = || suggest::nearest(part, names.iter().map(String::as_str));
        let near = same.map(String::as_str).or_else(near)?;
        return Some(format!("{above}/{near}").trim_start_matches('/').to_owned());
    }
    None
}

/// What a folder of the source holds: of the machine's one, as the context has only what the Dockerfile names.
fn names(source: &Source, folder: &str) -> Vec<String> {
    let Some(root) = &source.folder else {
        let Ok(resolved) = source.files.resolve(folder.as_bytes(), true) else {
            return Vec::new();
        };
        let children = source.files.children(&resolved.path).into_iter();
        return children.map(|(name, _)| shown(name)).collect();
    };
    let entries = std::fs::read_dir(root.join(folder.trim_start_matches('/')));
    let entries = entries.into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
