//! `.dockerignore`: reads it, and decides on paths like BuildKit's context walk (moby/patternmatcher). Unaware of file systems: paths are
//! relative text with slashes. Names that are not UTF-8 are given lossily.
//!
//! - A pattern matches a path from the root of the context; `**` is any number of directories.
//! - A pattern that matches a directory matches everything below it.
//! - The last pattern that matches decides; `!` re-includes.
//!
//! Why not `ignore::gitignore` or `globset`: both decide differently in common cases (anchoring, `!` below an ignored directory, braces,
//! `**` inside a component).

mod pattern;
mod regexp;
#[cfg(test)]
mod tests;

use pattern::Pattern;
pub use regexp::compile as go_regex;

use crate::glob;
use crate::path;

/// Why patterns cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// `!` alone.
    #[error("illegal exclusion pattern: \"!\"")]
    LoneExclamation,
    /// A bracket that is not closed, an escape at the end, …
    #[error("syntax error in pattern {0:?}")]
    Pattern(String),
}

/// The patterns of a `.dockerignore`, in order, without comments and blank lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoreFile {
    /// Cleaned; with `!` in front if they re-include.
    pub patterns: Vec<String>,
    /// The 1-based line of each pattern.
    pub lines: Vec<u32>,
}

impl IgnoreFile {
    /// Reads the text of the file. [`Matcher::new`] finds broken patterns.
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut file = IgnoreFile::default();
        for (number, line) in (1..).zip(text.split('\n')) {
            // A comment begins in the first column.
            let pattern = line.trim();
            if line.starts_with('#') || pattern.is_empty() {
                continue;
            }
            file.patterns.push(clean(pattern));
            file.lines.push(number);
        }
        file
    }
}

/// `! /a/../b/` is `!b`.
fn clean(pattern: &str) -> String {
    let (mark, body) = match pattern.strip_prefix('!') {
        Some(body) => ("!", body.trim()),
        None => ("", pattern),
    };
    if body.is_empty() {
        return mark.to_owned();
    }
    let body = path::clean(body);
    let body = if body.len() > 1 {
        body.strip_prefix('/').unwrap_or(&body)
    } else {
        &body
    };
    format!("{mark}{body}")
}

/// Compiled patterns.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    patterns: Vec<Pattern>,
}

/// What is known about a directory, for the paths in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Which patterns matched it or a directory above it; empty at the root.
    matched: Vec<bool>,
    ignored: bool,
}

impl State {
    /// Whether the directory itself is ignored.
    pub fn ignored(&self) -> bool {
        self.ignored
    }
}

impl Matcher {
    /// Compiles patterns as [`IgnoreFile`] or `--exclude` give them.
    ///
    /// # Errors
    /// The first pattern that is broken.
    pub fn new<P: AsRef<str>>(patterns: impl IntoIterator<Item = P>) -> Result<Self, IgnoreError> {
        let mut compiled = Vec::new();
        for pattern in patterns {
            let pattern = pattern.as_ref().trim();
            if pattern.is_empty() {
                continue;
            }
            let cleaned = path::clean(pattern);
            let (exclusion, body) = match cleaned.strip_prefix('!') {
                Some("") => return Err(IgnoreError::LoneExclamation),
                Some(body) => (true, body),
                None => (false, cleaned.as_str()),
            };
            glob::check(body).map_err(|_| IgnoreError::Pattern(body.to_owned()))?;
            compiled.push(Pattern::new(body, exclusion));
        }
        Ok(Matcher { patterns: compiled })
    }

    /// Whether nothing is ever ignored.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether some pattern re-includes.
    pub fn has_exclusions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.exclusion)
    }

    /// Whether some pattern leaves out everything in the root.
    pub(crate) fn ignores_all(&self) -> bool {
        let all = |pattern: &Pattern| matches!(pattern.text.as_str(), "*" | "**" | "**/*");
        let mut patterns = self.patterns.iter();
        patterns.any(|pattern| !pattern.exclusion && all(pattern))
    }

    /// The state of the root, in which a walk begins.
    pub fn root(&self) -> State {
        State::default()
    }

    /// Decides on a directory, given the state of the directory that it is in. `path` is the whole path from the root.
    ///
    /// # Errors
    /// A pattern that is found to be broken only when it is used.
    pub fn enter(&self, parent: &State, path: &str) -> Result<State, IgnoreError> {
        let mut state = State {
            matched: vec![false; self.patterns.len()],
            ignored: false,
        };
        for (number, pattern) in self.patterns.iter().enumerate() {
            let matched = pattern.decide(parent.matched.get(number), state.ignored, path)?;
            state.matched[number] = matched;
            if matched {
                state.ignored = !pattern.exclusion;
            }
        }
        Ok(state)
    }

    /// Decides on a file, given the state of the directory that it is in.
    ///
    /// # Errors
    /// As [`Matcher::enter`].
    pub fn ignored_in(&self, parent: &State, path: &str) -> Result<bool, IgnoreError> {
        let mut ignored = false;
        for (number, pattern) in self.patterns.iter().enumerate() {
            if pattern.decide(parent.matched.get(number), ignored, path)? {
                ignored = !pattern.exclusion;
            }
        }
        Ok(ignored)
    }

    /// Decides on a path like a walk that comes to it through its directories.
    ///
    /// # Errors
    /// As [`Matcher::enter`].
    pub fn ignored(&self, path: &str) -> Result<bool, IgnoreError> {
        let mut state = self.root();
        for (at, _) in path.match_indices('/') {
            state = self.enter(&state, &path[..at])?;
        }
        self.ignored_in(&state, path)
    }

    /// The last pattern that decides that a path is left out, by its number from 0; none if it is not.
    pub fn rule(&self, path: &str) -> Option<usize> {
        let mut state = self.root();
        for (at, _) in path.match_indices('/') {
            state = self.enter(&state, &path[..at]).ok()?;
        }
        let mut last = None;
        for (number, pattern) in self.patterns.iter().enumerate() {
            let inherited = state.matched.get(number);
            if pattern.decide(inherited, last.is_some(), path).ok()? {
                last = Some(number).filter(|_| !pattern.exclusion);
            }
        }
        last
    }

    /// Whether a walk may skip the contents of a directory: it is ignored, and no `!` pattern can re-include anything below it.
    pub fn can_prune(&self, directory: &str, state: &State) -> bool {
        if !state.ignored {
            return false;
        }
        // The last match that ignores overrides everything before it, even below.
        let decisions = state.matched.iter().zip(&self.patterns).rev();
        let later = decisions.take_while(|(matched, pattern)| !**matched || pattern.exclusion);
        !later
            .into_iter()
            .any(|(_, pattern)| pattern.exclusion && pattern.may_match_below(directory))
    }
}
