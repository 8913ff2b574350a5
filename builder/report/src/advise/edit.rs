//! Edits of a Dockerfile and of its `.dockerignore`: all that they do not name stays as it is, to the byte. Unaware of why they are made.

use serde::Serialize;
use std::ops::Range;
use thiserror::Error;

/// One edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum Edit {
    /// Puts text in the place of bytes of the Dockerfile.
    Replace {
        /// The bytes; none to insert.
        at: Range<usize>,
        /// The text.
        text: String,
    },
    /// Adds a line to the `.dockerignore`.
    Ignore {
        /// The line.
        pattern: String,
    },
}

/// Why edits cannot be made.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EditError {
    /// Two want to change the same bytes.
    #[error("two edits change the same place, byte {0}")]
    Overlap(usize),
    /// One is not about this text.
    #[error("an edit at byte {0} is not within the text")]
    Outside(usize),
}

impl Edit {
    /// Puts text before a byte.
    pub(crate) fn insert(at: usize, text: impl Into<String>) -> Self {
        Edit::replace(at..at, text)
    }

    /// Puts text in the place of bytes.
    pub(crate) fn replace(at: Range<usize>, text: impl Into<String>) -> Self {
        let text = text.into();
        Edit::Replace { at, text }
    }

    /// The bytes of the Dockerfile and what takes their place.
    fn place(&self) -> Option<(&Range<usize>, &str)> {
        match self {
            Edit::Replace { at, text } => Some((at, text)),
            Edit::Ignore { .. } => None,
        }
    }

    /// The line that it adds to the `.dockerignore`.
    #[must_use]
    pub fn pattern(&self) -> Option<&str> {
        match self {
            Edit::Ignore { pattern } => Some(pattern),
            Edit::Replace { .. } => None,
        }
    }

    /// Takes bytes away.
    pub(crate) fn remove(at: Range<usize>) -> Self {
        Edit::replace(at, "")
    }
}

/// The text after all edits of it; equal ones are made once.
///
/// # Errors
/// Two want to change the same bytes.
pub fn applied(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let mut places: Vec<(&Range<usize>, &str)> = edits.iter().filter_map(Edit::place).collect();
    places.sort_by_key(|(at, text)| (at.start, at.end, *text));
    places.dedup();
    let (mut edited, mut done) = (String::with_capacity(text.len()), 0);
    for (at, new) in places {
        if at.start < done {
            return Err(EditError::Overlap(at.start));
        }
        let (kept, _) = text
            .get(done..at.start)
            .zip(text.get(at.clone()))
            .ok_or(EditError::Outside(at.start))?;
        edited += kept;
        edited += new;
        done = at.end;
    }
    edited += text.get(done..).ok_or(EditError::Outside(done))?;
    Ok(edited)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_else_stays_to_the_byte() {
        let text = "FROM a\r\nRUN b \n";
        let edits = [
            Edit::insert(11, " --c"),
            Edit::remove(13..14),
            Edit::insert(11, " --c"),
            Edit::Ignore {
                pattern: ".git".to_owned(),
            },
        ];
        assert_eq!(applied(text, &edits).unwrap(), "FROM a\r\nRUN --c b\n");
        let overlap = [Edit::remove(0..4), Edit::remove(3..6)];
        assert_eq!(applied(text, &overlap), Err(EditError::Overlap(3)));
        let outside = applied(text, &[Edit::remove(90..91)]);
        assert_eq!(outside, Err(EditError::Outside(90)));
    }
}
