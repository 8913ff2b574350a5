//! Edits of a Dockerfile and of its `.dockerignore`: all that they do not name stays as it is, to the byte. Unaware of why they are made.

use kiln_parser::Line;
use serde::Serialize;
use std::collections::BTreeSet;
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
    /// Makes two RUNs one after the other one RUN, after all other edits.
    Join {
        /// Where the name of the first one stands.
        first: usize,
        /// Where that of the second one does.
        second: usize,
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
    /// Two RUNs cannot be one.
    #[error("the RUN at byte {0} cannot be joined to the one before it")]
    Apart(usize),
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
            Edit::Join { .. } | Edit::Ignore { .. } => None,
        }
    }

    /// The line that it adds to the `.dockerignore`.
    #[must_use]
    pub fn pattern(&self) -> Option<&str> {
        match self {
            Edit::Ignore { pattern } => Some(pattern),
            Edit::Replace { .. } | Edit::Join { .. } => None,
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
/// Two want to change the same bytes, or RUNs cannot be joined.
pub fn applied(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let mut places: Vec<(&Range<usize>, &str)> = edits.iter().filter_map(Edit::place).collect();
    places.sort_by_key(|(at, text)| (at.start, at.end, *text));
    places.dedup();
    let mut edited = replaced(text, &places)?;
    let joins = edits.iter().filter_map(|edit| match edit {
        Edit::Join { first, second } => Some((*second, *first)),
        _ => None,
    });
    // the last first, so that those before stay where they are
    let joins: BTreeSet<(usize, usize)> = joins.collect();
    for (second, first) in joins.into_iter().rev() {
        let [first, now] = [first, second].map(|at| moved(at, &places));
        edited = joined(&edited, first, now).ok_or(EditError::Apart(second))?;
    }
    Ok(edited)
}

/// The text with other bytes at some places, which are sorted.
fn replaced(text: &str, places: &[(&Range<usize>, &str)]) -> Result<String, EditError> {
    let (mut edited, mut done, mut is_removed) = (String::with_capacity(text.len()), 0, false);
    for (at, new) in places.iter().copied() {
        // a flag of an instruction that goes away
        if at.start < done && is_removed && at.is_empty() && new.starts_with(" --") {
            continue;
        }
        if at.start < done {
            return Err(EditError::Overlap(at.start));
        }
        let (kept, _) = text
            .get(done..at.start)
            .zip(text.get(at.clone()))
            .ok_or(EditError::Outside(at.start))?;
        edited += kept;
        edited += new;
        (done, is_removed) = (at.end, new.is_empty());
    }
    edited += text.get(done..).ok_or(EditError::Outside(done))?;
    Ok(edited)
}

/// Where a byte is after those edits.
fn moved(byte: usize, places: &[(&Range<usize>, &str)]) -> usize {
    let before = places.iter().filter(|(at, _)| at.end <= byte);
    let (less, more) = before.fold((0, 0), |(less, more), (at, new)| {
        (less + at.len(), more + new.len())
    });
    byte + more - less
}

/// The text with one RUN in the place of two that stand one after the other, with the same flags. Comments between them stay where they are.
pub(super) fn joined(text: &str, first: usize, second: usize) -> Option<String> {
    let dockerfile = kiln_parser::parse(text).dockerfile;
    let line = |start| {
        let mut lines = dockerfile.lines.iter();
        lines.find(|line| line.name_span().start() == start && is_list(line))
    };
    let (first, second) = (line(first)?, line(second)?);
    let flags = |line: &Line| -> Vec<String> {
        let flags = line.flags().iter();
        flags.map(|flag| flag.text.to_string()).collect()
    };
    let head = text.get(..first.span.end())?.trim_end();
    let gap = gap(text.get(head.len()..second.name_span().start())?)?;
    let command = second.words().first()?.span.start();
    let (escape, rest) = (dockerfile.escape, &text[command..]);
    let is_same = flags(first) == flags(second);
    is_same.then(|| format!("{head} && {escape}{gap}    {rest}"))
}

/// What stays between two RUNs that become one: the end of the line, and comments. None where anything else stands there. A line without
/// anything ends no command, and is no longer allowed in one.
fn gap(between: &str) -> Option<String> {
    let is_other = |line: &str| !is_blank(line) && !line.trim_start().starts_with('#');
    if !between.contains('\n') || between.lines().any(is_other) {
        return None;
    }
    let lines = between.split_inclusive('\n').enumerate();
    let kept = lines.filter(|(number, line)| *number == 0 || !is_blank(line));
    let kept: String = kept.map(|(_, line)| line).collect();
    Some(kept.trim_start_matches([' ', '\t']).to_owned())
}

/// Whether a line is a RUN with a list of commands.
fn is_list(line: &Line) -> bool {
    let is_run = line.name().eq_ignore_ascii_case("RUN");
    is_run && line.heredocs().is_empty() && !line.is_json()
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
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

    /// The text after the RUNs of these numbers are joined to those before them.
    fn after_joins(text: &str, seconds: &[usize], others: &[Edit]) -> Result<String, EditError> {
        let lines = kiln_parser::parse(text).dockerfile.lines;
        let name = |number: usize| lines[number].name_span().start();
        let joins = seconds.iter().map(|number| Edit::Join {
            first: name(number - 1),
            second: name(*number),
        });
        applied(text, &[others, &joins.collect::<Vec<_>>()].concat())
    }

    #[test]
    fn runs_are_joined_and_all_else_stays() {
        let text = "FROM a\nrun apt-get update  \n\n# why\n  RUN apt-get install b \\\n  c\nRUN d\n\nCMD e\n";
        let all = after_joins(text, &[2, 3], &[]).unwrap();
        let wanted = "FROM a\nrun apt-get update && \\\n# why\n    apt-get install b \\\n  c && \\\n    d\n\nCMD e\n";
        assert_eq!(all, wanted);
        // flags that both get are those of the one
        let flagged = after_joins(
            "FROM a\nRUN b\nRUN c\n",
            &[2],
            &[
                Edit::insert(10, " --network=none"),
                Edit::insert(16, " --network=none"),
            ],
        );
        assert_eq!(
            flagged.as_deref(),
            Ok("FROM a\nRUN --network=none b && \\\n    c\n")
        );
    }

    #[test]
    fn what_is_no_pair_of_runs_stays_apart() {
        for text in [
            "FROM a\nRUN b\nRUN --network=none c\n",
            "FROM a\nRUN b\nRUN [\"c\"]\n",
            "FROM a\nRUN <<E\nb\nE\nRUN c\n",
            "FROM a\nRUN b\nENV c=d\n",
            "FROM a\nONBUILD RUN b\nRUN c\n",
        ] {
            assert!(
                matches!(after_joins(text, &[2], &[]), Err(EditError::Apart(_))),
                "{text}"
            );
        }
        let windows = after_joins("FROM a\r\nRUN b\r\nRUN c\r\n", &[2], &[]);
        assert_eq!(windows.as_deref(), Ok("FROM a\r\nRUN b && \\\r\n    c\r\n"));
        let escaped = "# escape=`\nFROM a\nRUN b\nRUN c\n";
        let joined = after_joins(escaped, &[2], &[]);
        assert_eq!(
            joined.as_deref(),
            Ok("# escape=`\nFROM a\nRUN b && `\n    c\n")
        );
    }

    #[test]
    fn a_flag_of_what_goes_away_goes_with_it() {
        let edits = [Edit::remove(7..14), Edit::insert(10, " --mount=x")];
        assert_eq!(
            applied("FROM a\nRUN b \nRUN c", &edits).as_deref(),
            Ok("FROM a\nRUN c")
        );
    }
}
