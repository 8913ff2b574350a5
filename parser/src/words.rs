//! Shell words: quotes, escapes and `$VARIABLE` substitution as in Dockerfile instructions (BuildKit's `shell.Lex`, which is not quite a
//! shell). Unaware of instructions.
//!
//! ```text
//! word       := ( '…' | "…" | $name | ${…} | <<blanks | escape any | any )*
//! ${…}       := ${name} | ${name[:](-|+|?)word} | ${name(#|##|%|%%)pattern}
//!             | ${name/pattern/word} | ${name//pattern/word}
//! name       := digits | one of @*#?-$! | (letter | digit | _)+
//! ```
//! There are two differences: letters of names are Unicode's alphabetic characters (not its L category), and substitutions nest at most
//! [`MAX_DEPTH`] deep.

mod pattern;
mod reader;
mod split;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use reader::Reader;
use split::Splitter;

/// The longest expanded word in bytes (a longer word may keep its own length).
pub const MAX_EXPANDED: usize = 1 << 20;

/// How deep `${a:-${b:-…}}` may nest.
pub const MAX_DEPTH: usize = 200;

/// Where the values of variables come from.
pub trait Variables {
    /// The value of a variable that is set.
    fn get(&self, name: &str) -> Option<&str>;
}

impl Variables for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

/// No variable is set.
#[derive(Clone, Copy, Debug)]
pub struct NoVariables;

impl Variables for NoVariables {
    fn get(&self, _: &str) -> Option<&str> {
        None
    }
}

/// What is done with quotes and escapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quotes {
    /// Both are removed.
    #[default]
    Remove,
    /// Quotes stay in the result, escapes are removed.
    Keep,
    /// Both stay in the result.
    Raw,
    /// Quotes are plain characters (heredoc bodies); escapes are removed.
    Literal,
}

/// How a word is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// The escape character.
    pub escape: char,
    /// What is done with quotes and escapes.
    pub quotes: Quotes,
    /// References to unset variables stay as they were written; otherwise they vanish.
    pub keep_unset: bool,
}

impl Style {
    /// Quotes are removed, unset variables vanish.
    pub fn new(escape: char) -> Self {
        Style {
            escape,
            quotes: Quotes::Remove,
            keep_unset: false,
        }
    }
}

/// A word after expansion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// The whole text.
    pub text: String,
    /// Variables that were looked up and found.
    pub used: BTreeSet<String>,
    /// Variables that were looked up and not found.
    pub unset: BTreeSet<String>,
}

/// Why a word cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// A quote is not closed.
    #[error("unexpected end of statement while looking for matching {0}")]
    Unclosed(&'static str),
    /// `${` without `}`.
    #[error("syntax error: missing '}}'")]
    MissingBrace,
    /// `${name/pattern` without the second slash.
    #[error("syntax error: missing '/' in ${{}}")]
    MissingSlash,
    /// `${}`, `${:…}`, `${{…}`.
    #[error("syntax error: bad substitution")]
    BadSubstitution,
    /// `${name` followed by something unknown.
    #[error("unsupported modifier ({0}) in substitution")]
    Modifier(String),
    /// `${name:?message}` of a variable that is not set (or empty).
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// The user's message or a standard one.
        message: String,
    },
    /// An invalid pattern of `#`, `%` or `/`.
    #[error("invalid pattern ({0}) in substitution: {1}")]
    Pattern(String, String),
    /// More than [`MAX_EXPANDED`] bytes.
    #[error("the expanded value is longer than {MAX_EXPANDED} bytes")]
    TooLong,
    /// More than [`MAX_DEPTH`] levels.
    #[error("substitutions are nested more than {MAX_DEPTH} deep")]
    TooDeep,
}

/// Expands a word into one string.
pub fn expand(word: &str, style: Style, env: &dyn Variables) -> Result<Expansion, WordError> {
    let mut reader = Reader::new(word, style, env);
    let text = reader.until(None, style.quotes == Quotes::Raw, None)?;
    Ok(Expansion {
        text,
        used: reader.used,
        unset: reader.unset,
    })
}

/// Expands a word and splits the result at blanks that were not quoted.
pub fn expand_words(
    word: &str,
    style: Style,
    env: &dyn Variables,
) -> Result<(Vec<String>, Expansion), WordError> {
    let mut words = Splitter::default();
    let mut reader = Reader::new(word, style, env);
    let text = reader.until(None, style.quotes == Quotes::Raw, Some(&mut words))?;
    let expansion = Expansion {
        text,
        used: reader.used,
        unset: reader.unset,
    };
    Ok((words.finish(), expansion))
}
